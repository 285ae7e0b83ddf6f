"""A project for tests of hubs and satellites: what a test needs of tables and mappings, from CSV files day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from databases import Database
from loading import Loader
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Column, Domain, Hub, Satellite, SatelliteKind
from pyelt_provider.model.limits import EVERYTHING
from pyelt_provider.model.mapping import EntityMapping, FieldMapping, MappingSource
from pyelt_provider.model.pipe import DatabaseFunction, Pipe
from pyelt_provider.model.pipeline import OnErrors, Pipeline
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import CsvFile, StagingTable, Validation

DAY_1, DAY_2, DAY_3, DAY_4, DAY_5 = (date(2026, 1, day) for day in range(1, 6))


def satellite(owner: str, name: str = "Default", types: Sequence[str] = (), /, **columns: str) -> Satellite:
    """A plain satellite, or with `types` a hybrid one; columns by name with their type."""
    return Satellite(
        schema="dv",
        owner=owner,
        name=name,
        kind=SatelliteKind.HYBRID if types else SatelliteKind.PLAIN,
        types=tuple(types),
        columns=tuple(Column(name=column, type=kind) for column, kind in columns.items()),
    )


def record_status(owner: str) -> Satellite:
    return Satellite(schema="dv", owner=owner, name="RecordStatus", kind=SatelliteKind.RECORD_STATUS)


def hub(name: str, *satellites: Satellite, extends: str | None = None, root: str | None = None) -> Hub:
    return Hub(schema="dv", name=name, root=root or extends or name, extends=extends, satellites=satellites)


PATIENT = hub(
    "Patient",
    satellite("Patient", name="text", born="date"),
    satellite("Patient", "Contact", ("home", "mobile"), number="text"),
    record_status("Patient"),
)


def entity(table: str, to: str = "Patient", bk: str = "nr", prefer: str | None = None, **fields: str) -> EntityMapping:
    """A mapping of the table's rows; fields as ``name="name"`` (satellite Default) or ``Contact__number__home="phone"``."""
    return EntityMapping(
        name=f"{table}_hstage -> {to}",
        source=MappingSource(staging=f"{table}_hstage"),
        hub=to,
        bk=bk,
        prefer=prefer,
        fields=tuple(_field(name, expression) for name, expression in fields.items()),
    )


def from_source(mapping: EntityMapping, name: str | None = None, **source: Any) -> EntityMapping:
    """The mapping with other attributes of its source (filter, join, view, query, reads)."""
    given = {"staging": mapping.source.staging} if not {"view", "query"} & source.keys() else {}
    return EntityMapping(
        name=name or mapping.name,
        source=MappingSource(**{**given, **source}),
        hub=mapping.hub,
        bk=mapping.bk,
        prefer=mapping.prefer,
        fields=mapping.fields,
    )


def _field(name: str, expression: str) -> FieldMapping:
    parts = name.split("__")
    satellite_name, column = parts[:2] if len(parts) > 1 else ("Default", parts[0])
    kind = parts[2] if len(parts) > 2 else None
    return FieldMapping(satellite=satellite_name, column=column, type=kind, expression=expression)


def pipe(
    name: str,
    tables: Mapping[str, str],
    *entities: EntityMapping,
    validations: Sequence[Validation] = (),
    functions: Sequence[DatabaseFunction] = (),
    fk_columns: tuple[tuple[str, str], ...] = (),
) -> Pipe:
    """A pipe whose tables are given by name with their header; the first column is the key."""
    return Pipe(
        name=name,
        sor_schema=f"sor_{name}",
        source=FileSource(path=""),
        tables=tuple(
            StagingTable(
                schema=f"sor_{name}",
                name=f"{table}_hstage",
                source=CsvFile(path=f"{{{{ ds }}}}/{name}_{table}.csv", delimiter=";"),
                key=(header.split(";")[0],),
                limits=EVERYTHING,
                fk_columns=fk_columns,
            )
            for table, header in tables.items()
        ),
        validations=tuple(validations),
        functions=tuple(functions),
        entities=tuple(entities),
    )


class Care(Loader):
    """A pipeline of these hubs and pipes; `deliver` writes a day's files and runs the day."""

    def __init__(
        self,
        warehouse: Database,
        folder: Path,
        *pipes: Pipe,
        hubs: Sequence[Hub] = (PATIENT,),
        on_errors: OnErrors = OnErrors.THROW,
    ) -> None:
        self.folder = folder
        super().__init__(
            warehouse,
            Pipeline(
                name="care",
                warehouse=ConnectionRef("postgresql://nowhere/nothing"),
                data_root=str(folder),
                on_errors=on_errors,
                domains=(Domain(schema="dv", hubs=tuple(hubs)),),
                pipes=pipes,
            ),
        )
        self.headers: dict[str, str] = {}

    def write(self, day: date, headers: Mapping[str, str], **files: Sequence[str]) -> None:
        """Write the day's files: ``his_patient=["1;Ann"]`` are the rows of the pipe his; those not named are empty."""
        folder = self.folder / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for pipe_ in self.pipeline.pipes:
            for table in pipe_.tables:
                stem = f"{pipe_.name}_{table.stem}"
                (folder / f"{stem}.csv").write_text("\n".join([headers[stem], *files.get(stem, [])]) + "\n")

    def deliver(self, day: date, headers: Mapping[str, str], **files: Sequence[str]) -> dict[str, Any]:
        self.write(day, headers, **files)
        return self.run(day)

    def numbers(self, day: date, stage: str = "his.dv.etl_hubs") -> dict[str, dict[str, int]]:
        """The numbers of a stage by table and count, zeroes left out."""
        found = self.rows(
            "select s.schemaname || '.' || s.tablename, s.count, sum(s.rows)::int from sys.steps s join sys.runs r using (runid) "
            "where s.stage = %s and r.interval_start = %s and s.rows > 0 group by 1, 2 order by 1, 2",
            (stage, day),
        )
        numbers: dict[str, dict[str, int]] = {}
        for table, count, rows in found:
            if count is not None:
                numbers.setdefault(table, {})[count] = rows
        return numbers

"""A project for tests of links: visits of patients to doctors, from CSV files that a test writes day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from databases import Database
from loading import Loader
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Column, Domain, Hub, Link, Reference, Satellite, VaultValidation
from pyelt_provider.model.limits import EVERYTHING
from pyelt_provider.model.mapping import (
    EntityMapping,
    FieldMapping,
    LinkMapping,
    MappingSource,
    MissingReference,
    ReferenceMapping,
)
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import OnErrors, Pipeline
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import CsvFile, Delivery, StagingTable, Validation

DAY_1, DAY_2, DAY_3, DAY_4, DAY_5 = (date(2026, 1, day) for day in range(1, 6))

PATIENT = Hub(
    schema="dv",
    name="Patient",
    root="Patient",
    satellites=(Satellite(schema="dv", owner="Patient", name="Default", columns=(Column(name="name", type="text"),)),),
)
DOCTOR = Hub(schema="dv", name="Doctor", root="Doctor")
HEADERS = {
    "patients": "nr;name",
    "doctors": "nr;name",
    "visits": "nr;patient;doctor;kind;day;remark",
}


def link(**changes: Any) -> Link:
    """The link Visit between patient and doctor, of no types, without status."""
    given: dict[str, Any] = {
        "schema": "dv",
        "name": "Visit",
        "references": (
            Reference(role="patient", hub="Patient", root="Patient"),
            Reference(role="doctor", hub="Doctor", root="Doctor"),
        ),
    }
    return Link(**{**given, **changes})


def remarks() -> Satellite:
    """A satellite of Visit with a day and a remark."""
    return Satellite(
        schema="dv",
        owner="Visit",
        name="Default",
        columns=(Column(name="day", type="date"), Column(name="remark", type="text")),
    )


REMARKS = (
    FieldMapping(satellite="Default", column="day", expression="day"),
    FieldMapping(satellite="Default", column="remark", expression="remark"),
)


def visit(**changes: Any) -> LinkMapping:
    """visit_hstage -> Visit by the columns patient and doctor; `source` changes the source's attributes."""
    given: dict[str, Any] = {
        "name": "visit_hstage -> Visit",
        "source": MappingSource(**{"staging": "visit_hstage", **changes.pop("source", {})}),
        "link": "Visit",
        "references": (ReferenceMapping(role="patient", bk="patient"), ReferenceMapping(role="doctor", bk="doctor")),
        "missing_reference": MissingReference.WAIT,
    }
    return LinkMapping(**{**given, **changes})


def staging(pipe: str, file: str, delivery: Delivery = Delivery.FULL) -> StagingTable:
    return StagingTable(
        schema=f"sor_{pipe}",
        name=f"{file.removesuffix('s')}_hstage",
        source=CsvFile(path=f"{{{{ ds }}}}/{pipe}_{file}.csv", delimiter=";"),
        key=("nr",),
        delivery=delivery,
        limits=EVERYTHING,
    )


def pipe(
    name: str = "his",
    *,
    files: Sequence[str] = ("patients", "doctors", "visits"),
    links: Sequence[LinkMapping] = (),
    validations: Sequence[Validation] = (),
    delivery: Delivery = Delivery.FULL,
) -> Pipe:
    """A pipe with some of the three files; patients and doctors are mapped onto their hubs."""
    hubs = {"patients": "Patient", "doctors": "Doctor"}
    fields = {"patients": (FieldMapping(satellite="Default", column="name", expression="name"),)}
    return Pipe(
        name=name,
        sor_schema=f"sor_{name}",
        source=FileSource(path=""),
        tables=tuple(staging(name, file, delivery) for file in files),
        validations=tuple(validations),
        entities=tuple(
            EntityMapping(
                name=f"{file.removesuffix('s')}_hstage -> {hubs[file]}",
                source=MappingSource(staging=f"{file.removesuffix('s')}_hstage"),
                hub=hubs[file],
                bk="nr",
                fields=fields.get(file, ()),
            )
            for file in files
            if file in hubs
        ),
        links=tuple(links),
    )


class Clinic(Loader):
    """A pipeline of these pipes; `deliver` writes a day's files and runs the day."""

    def __init__(
        self,
        warehouse: Database,
        folder: Path,
        *pipes: Pipe,
        visits: Link | None = None,
        validations: Sequence[VaultValidation] = (),
        on_errors: OnErrors = OnErrors.THROW,
    ) -> None:
        self.folder = folder
        super().__init__(
            warehouse,
            Pipeline(
                name="clinic",
                warehouse=ConnectionRef("postgresql://nowhere/nothing"),
                data_root=str(folder),
                on_errors=on_errors,
                domains=(
                    Domain(
                        schema="dv",
                        hubs=(PATIENT, DOCTOR),
                        links=(visits or link(),),
                        validations=tuple(validations),
                    ),
                ),
                pipes=tuple(pipes),
            ),
        )

    def write(self, day: date, **files: str) -> None:
        """Write files of a day: ``his_visits="1;P1;D1 2;P2;D1"`` are the visits of the pipe his.

        Rows stand between blanks; columns that a row leaves out at its end are null.
        """
        folder = self.folder / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for pipe in self.pipeline.pipes:
            for table in pipe.tables:
                stem = f"{pipe.name}_{table.stem}s"
                rows = files.get(stem, "")
                header = HEADERS[f"{table.stem}s"]
                lines = [row + ";" * (header.count(";") - row.count(";")) for row in rows.split()]
                (folder / f"{stem}.csv").write_text("\n".join([header, *lines]) + "\n")

    def deliver(self, day: date, **files: str) -> dict[str, Any]:
        self.write(day, **files)
        return self.run(day)

    @property
    def links(self) -> list[tuple[Any, ...]]:
        """Every link as (patient, doctor), sorted."""
        return self.rows(
            "select p.bk, d.bk from dv.visit_link l join dv.patient_hub p on p._id = l.fk_patient_hub "
            "join dv.doctor_hub d on d._id = l.fk_doctor_hub order by 1, 2, l._id"
        )

    @property
    def status(self) -> list[tuple[Any, ...]]:
        """Every status row as (patient, doctor, source, run, status, active), oldest first."""
        return self.rows(
            "select p.bk, d.bk, s._source_system, s._runid, s.record_status, s._active from dv.visit_sat_status s "
            "join dv.visit_link l on l._id = s._id join dv.patient_hub p on p._id = l.fk_patient_hub "
            "join dv.doctor_hub d on d._id = l.fk_doctor_hub order by s._runid, 1, 2, 3"
        )

    @property
    def waiting(self) -> list[tuple[Any, ...]]:
        """Every waiting reference as (role, missing key, run, resolved in run)."""
        return self.rows("select role, missing_bk, runid, resolved_runid from sys.waiting_references order by id")

"""A small hospital for random nights: two pipes on one hub with a subtype, hybrid values, a record status, and links."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from databases import Database
from hubs.care import hub, record_status, satellite
from loading import Loader
from nights.story import COLUMNS, TABLES, Line, Rules, Story
from pyelt_provider.execution.rewinding import rewind
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Column, Domain, Hub, Link, Reference, Satellite, VaultValidation
from pyelt_provider.model.limits import EVERYTHING
from pyelt_provider.model.mapping import (
    EntityMapping,
    FieldMapping,
    LinkMapping,
    MappingSource,
    ReferenceMapping,
)
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import OnErrors, Pipeline
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import CsvFile, Delivery, StagingTable, Validation

DAY_1 = date(2026, 1, 1)
_OF_DOCTOR = (
    satellite("Doctor", room="text", beds="integer"),
    satellite("Doctor", "Contact", ("home", "mobile"), number="text"),
    record_status("Doctor"),
)
DOCTOR = hub("Doctor", *_OF_DOCTOR)
SPECIALIST = hub("Specialist", satellite("Specialist", "Skill", skill="text"), *_OF_DOCTOR, extends="Doctor")
WARD = hub("Ward", record_status("Ward"))


def visit_link(story: Story) -> Link:
    return Link(
        schema="dv",
        name="Visit",
        references=(
            Reference(role="doctor", hub="Doctor", root="Doctor"),
            Reference(role="ward", hub="Ward", root="Ward"),
        ),
        satellites=(
            Satellite(
                schema="dv",
                owner="Visit",
                name="Default",
                columns=(Column(name="remark", type="text"), Column(name="n", type="integer")),
            ),
        ),
        status=True,
        driving="doctor" if story.driving else None,
    )


def _entities(name: str, rules: Rules) -> tuple[EntityMapping, ...]:
    room = "upper(room)" if rules.upper else "room"
    only = "kind <> 'out'" if rules.filtered else None

    def mapping(table: str, to: str, bk: str, *fields: tuple[str, str, str | None, str]) -> EntityMapping:
        return EntityMapping(
            name=f"{table}_hstage -> {to}",
            source=MappingSource(
                staging=f"{table}_hstage", filter=_or_broken(only if table != "ward" else None, table, rules)
            ),
            hub=to,
            bk=bk,
            fields=tuple(FieldMapping(satellite=s, column=c, type=t, expression=e) for s, c, t, e in fields),
        )

    found = [
        mapping(
            "doctor",
            "Doctor",
            "doctor",
            ("Default", "room", None, room),
            ("Default", "beds", None, "beds"),
            ("Contact", "number", "home", "home"),
            ("Contact", "number", "mobile", "mobile"),
        ),
        mapping("ward", "Ward", "nr"),
    ]
    if name == "his":
        more = [("Default", "room", None, room)] if rules.second else []
        found.append(mapping("skill", "Specialist", "doctor", ("Skill", "skill", None, "skill"), *more))
    return tuple(found)


def _links(name: str, rules: Rules, story: Story) -> tuple[LinkMapping, ...]:
    only = "kind <> 'out'" if rules.filtered else None
    visits = LinkMapping(
        name="visit_hstage -> Visit",
        source=MappingSource(staging="visit_hstage", filter=_or_broken(only, "visit", rules)),
        link="Visit",
        references=(ReferenceMapping(role="doctor", bk="doctor"), ReferenceMapping(role="ward", bk="ward")),
        prefer="remark" if story.prefer else None,
        fields=(
            FieldMapping(satellite="Default", column="remark", expression="remark"),
            FieldMapping(satellite="Default", column="n", expression="n"),
        ),
    )
    if name != "his" or not rules.second:
        return (visits,)
    of_skills = LinkMapping(
        name="skill_hstage -> Visit",
        source=MappingSource(staging="skill_hstage"),
        link="Visit",
        references=(
            ReferenceMapping(role="doctor", bk="doctor"),
            ReferenceMapping(role="ward", bk="case skill when 'eye' then '1' else '2' end"),
        ),
    )
    return (visits, of_skills)


def _or_broken(condition: str | None, table: str, rules: Rules) -> str | None:
    """The filter of the table's mapping, or one that no server can do."""
    return "no_such_function(nr)" if rules.broken == table else condition


def _pipe(name: str, rules: Rules, story: Story) -> Pipe:
    delta = story.delta and name == "crm"
    return Pipe(
        name=name,
        sor_schema=f"sor_{name}",
        source=FileSource(path=""),
        tables=tuple(
            StagingTable(
                schema=f"sor_{name}",
                name=f"{table}_hstage",
                source=CsvFile(path=f"{{{{ ds }}}}/{name}_{table}.csv", delimiter=";"),
                key=("nr",),
                delivery=Delivery.DELTA if delta else Delivery.FULL,
                deleted_when="kind = 'gone'" if delta else None,
                limits=EVERYTHING,
            )
            for table in TABLES[name]
        ),
        validations=tuple(
            Validation(table=f"{table}_hstage", when=f"kind = '{kind}'", message=f"It is {kind}")
            for table in TABLES[name]
            for kind in rules.rejects
            if table != "ward"
        ),
        entities=_entities(name, rules),
        links=_links(name, rules, story),
    )


class Hospital(Loader):
    """The hospital's warehouse; `rules` are in force from the next run on."""

    def __init__(
        self, warehouse: Database, folder: Path, story: Story, order: tuple[str, ...] = ("his", "crm")
    ) -> None:
        self.folder, self.story, self.order = folder, story, order
        super().__init__(warehouse, Pipeline(name="hospital", warehouse=ConnectionRef(""), data_root=str(folder)))
        self.obey(Rules())

    def obey(self, rules: Rules) -> None:
        validations: tuple[VaultValidation, ...] = ()
        if rules.vault_rule:
            when = f"room = '{rules.vault_rule}'"
            validations = (VaultValidation(table=TableName("dv", "doctor_sat"), when=when, message="No such room"),)
        hubs: tuple[Hub, ...] = (DOCTOR, SPECIALIST, WARD)
        domain = Domain(schema="dv", hubs=hubs, links=(visit_link(self.story),), validations=validations)
        pipes = tuple(_pipe(name, rules, self.story) for name in self.order)
        on_errors = OnErrors.LOG if rules.log_errors else OnErrors.THROW
        self.pipeline = replace(self.pipeline, domains=(domain,), pipes=pipes, on_errors=on_errors)

    def write(self, night: int, lines: dict[str, dict[str, tuple[Line, ...]]]) -> None:
        folder = self.folder / day_of(night).isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for pipe, tables in lines.items():
            for table, rows in tables.items():
                text = "\n".join(";".join(line) for line in (COLUMNS[table], *rows))
                (folder / f"{pipe}_{table}.csv").write_text(text + "\n")

    def load(self, night: int, *kinds: str) -> None:
        """Run the loading stages of a night, or those of these kinds; the first night makes the tables too."""
        stages = [stage.id for stage in self.plan().stages]
        if night > 0:
            wanted = kinds or ("etl_sor", "etl_hubs", "etl_links")
            stages = [stage for stage in stages if stage.rpartition(".")[2] in wanted]
        self.run(day_of(night), stages=stages)

    def number(self, night: int) -> Decimal:
        """The run of the night (-1: before the first)."""
        found = (
            self.rows("select runid from sys.runs where interval_start = %s", (day_of(night),)) if night >= 0 else []
        )
        return Decimal(found[0][0]) if found else Decimal(0)

    def take_back(self, night: int, pipe: str | None = None) -> None:
        """Rewind to the night (-1: to before the first)."""
        to, now = self.number(night), datetime(2026, 2, 1)
        rewind(self.pipeline, to, self.environment, now=now, log=_silent(), pipe=pipe)

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the vault says, without what is luck (ids, times, who was first)."""
        return {name: self.rows(query) for name, query in STATE.items()}


def _silent() -> Any:
    import logging

    return logging.getLogger("silent")


def day_of(night: int) -> date:
    return DAY_1 + timedelta(days=night)


_HISTORY = """s._source_system, r.interval_start::date - date '2026-01-01' as night, s._revision, s._active,
    f.interval_start::date - date '2026-01-01' as closed"""
_RUNS = "left join sys.runs r on r.runid = s._runid left join sys.runs f on f.runid = s._finish_runid"
_LINKED = (
    f"join dv.visit_link l on l._id = s._id join dv.doctor_hub d on d._id = l.fk_doctor_hub "
    f"join dv.ward_hub w on w._id = l.fk_ward_hub {_RUNS} order by 1, 2, 3, 4, 5"
)
STATE = {
    **{
        f"sor_{pipe}.{table}": f"""select {", ".join(f"s.{column}" for column in COLUMNS[table])}, {_HISTORY}, s._valid,
            s._deleted_runid is not null from sor_{pipe}.{table}_hstage s {_RUNS} order by s.nr, night, s._revision"""
        for pipe, tables in TABLES.items()
        for table in tables
    },
    "doctor_hub": "select bk, type from dv.doctor_hub order by 1",
    "ward_hub": "select bk, type from dv.ward_hub order by 1",
    "visit_link": "select d.bk, w.bk from dv.visit_link l join dv.doctor_hub d on d._id = l.fk_doctor_hub "
    "join dv.ward_hub w on w._id = l.fk_ward_hub order by 1, 2",
    "doctor_sat": f"select h.bk, {_HISTORY}, s.room, s.beds, s._valid, s._validation_msg from dv.doctor_sat s "
    f"join dv.doctor_hub h using (_id) {_RUNS} order by 1, 2, 3, 4",
    "contact": f"select h.bk, {_HISTORY}, s.type, s.number from dv.doctor_sat_contact s "
    f"join dv.doctor_hub h using (_id) {_RUNS} order by 1, 2, 3, 4, s.type",
    "skill": f"select h.bk, {_HISTORY}, s.skill from dv.specialist_sat_skill s join dv.doctor_hub h using (_id) {_RUNS} "
    "order by 1, 2, 3, 4",
    "doctor_status": f"select h.bk, {_HISTORY}, s.record_status from dv.doctor_sat_record_status s "
    f"join dv.doctor_hub h using (_id) {_RUNS} order by 1, 2, 3, 4",
    "ward_status": f"select h.bk, {_HISTORY}, s.record_status from dv.ward_sat_record_status s "
    f"join dv.ward_hub h using (_id) {_RUNS} order by 1, 2, 3, 4",
    "visit_sat": f"select d.bk, w.bk, {_HISTORY}, s.remark, s.n from dv.visit_sat s {_LINKED}",
    "visit_status": f"select d.bk, w.bk, {_HISTORY}, s.record_status from dv.visit_sat_status s {_LINKED}",
}

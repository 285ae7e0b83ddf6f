"""Eight processes load pipes of three DAGs that share every vault table, round after round, while the vault is extended.

Each round is also done in another warehouse, one pipe after the other, and both are compared at its end.
Started by the tests as a process without threads: ``python -m crash.rounds``, with a JSON text of what to do on its input.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from crash.leftovers import left_behind
from crash.night import copied
from crash.state import State, difference, state_of
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.planning.plan import Plan, build_plan

PIPES = {
    ("clinic", None): ("p1", "p2", "p3"),
    ("clinic", "monthly"): ("p4",),
    ("lab", None): ("p5", "p6", "p7", "p8"),
}
"""The pipes of each DAG: of a pipeline and, of that, of a schedule."""
PIPELINES = {"clinic": ("p1", "p2", "p3", "p4"), "lab": ("p5", "p6", "p7", "p8")}
KEYS = range(40)
EXTEND_EVERY = 2
"""Rounds after which the lab's vault gets a column, a satellite, a hub or a view more, while everybody loads."""
MOST_EXTENSIONS = 24
ALWAYS_COMPARED = 20
"""So many rounds are compared one by one, of the later ones every tenth."""

_PIPELINE = """
pipeline: {name}
conn_dwh: warehouse
start_date: 2026-01-01
data_root: {data}
schedules: {{monthly: "0 3 1 * *"}}
"""
_DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {{name: text, town: text{columns}}}
      Contact: {{types: [phone, mobile], columns: {{number: text}}}}
      RecordStatus: record_status
{satellites}
  Doctor:
    satellites: {{Default: {{room: text}}}}
{hubs}
links:
  Treatment:
    references: {{patient: Patient, doctor: Doctor}}
    status: true
    satellites: {{Default: {{remark: text{columns}}}}}
valuesets: {{Valueset: {{}}}}
"""
_PIPE = """
pipe: {pipe}
source_path: {pipe}
{schedule}
sor:
  patient_hstage: {{csv: "{{{{ ds }}}}/patients.csv", delimiter: ";", key: [nr]}}
entities:
  - from: patient_hstage
    to: Patient
    bk: nr
    fields:
      Default.name: name
      Default.town: town
      Contact.number[phone]: phone
      Contact.number[mobile]: mobile
{fields}
  - {{from: patient_hstage, to: Doctor, bk: doctor, prefer: nr, fields: {{Default.room: room}}}}
{entities}
links:
  - from: patient_hstage
    to: Treatment
    references: {{patient: {{entity: Patient}}, doctor: doctor}}
    fields: {{Default.remark: remark}}
valuesets:
  - from: patient_hstage
    to: Valueset
    prefer: nr
    fields: {{valueset_naam: "'town'", code: town, omschrijving: remark}}
"""
_TABLE = (
    "-- materialized: table\nselect p.bk as nr, p.default_name as name, p.default_town as town from dv.patient_view p\n"
)
_VIEW = "-- materialized: view\nselect p.bk as nr, p.contact_phone_number as phone from dv.patient_view p\n"


@dataclass(frozen=True)
class Extended:
    """How many columns, satellites, hubs and views the lab has by now beyond what it began with."""

    columns: int = 0
    satellites: int = 0
    hubs: int = 0
    views: int = 0

    @staticmethod
    def after(changes: int) -> Extended:
        return Extended(*((min(changes, MOST_EXTENSIONS) + 3 - place) // 4 for place in range(4)))


class Rounds:
    """The three DAGs on one warehouse."""

    def __init__(self, folder: Path, warehouse: str) -> None:
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = warehouse
        self._folder = folder
        self._warehouse = warehouse
        self._extended = Extended()
        self._plans: dict[tuple[str, str | None], Plan] = {}
        for name in PIPELINES:
            self._plans.update(self._written(name, Extended()))

    def _written(self, name: str, extended: Extended) -> dict[tuple[str, str | None], Plan]:
        project = self._folder / name
        (project / "pipes").mkdir(parents=True, exist_ok=True)
        (project / "datamarts").mkdir(exist_ok=True)
        (project / "pipeline.yaml").write_text(_PIPELINE.format(name=name, data=self._folder / "data"))
        (project / "domain.yaml").write_text(
            _DOMAIN.format(
                columns="".join(f", extra_{n}: text" for n in range(extended.columns)),
                satellites="\n".join(f"      Extra{n}: {{word: text}}" for n in range(extended.satellites)),
                hubs="\n".join(f"  Ward{n}: {{satellites: {{Default: {{room: text}}}}}}" for n in range(extended.hubs)),
            )
        )
        for pipe in PIPELINES[name]:
            fields = [f"      Default.extra_{n}: town" for n in range(extended.columns)]
            fields += [f"      Extra{n}.word: name" for n in range(extended.satellites)]
            entities = [
                f"  - {{from: patient_hstage, to: Ward{n}, bk: room, prefer: nr, fields: {{Default.room: phone}}}}"
                for n in range(extended.hubs)
            ]
            monthly = pipe in PIPES.get((name, "monthly"), ())
            (project / "pipes" / f"{pipe}.yaml").write_text(
                _PIPE.format(
                    pipe=pipe,
                    schedule="schedule: monthly" if monthly else "",
                    fields="\n".join(fields),
                    entities="\n".join(entities),
                )
            )
        (project / "datamarts" / f"{name}_patients.sql").write_text(_TABLE)
        for n in range(extended.views):
            (project / "datamarts" / f"{name}_phones_{n}.sql").write_text(_VIEW)
        pipeline = read_pipeline(project, {})
        return {(name, schedule): build_plan(pipeline, schedule) for own, schedule in PIPES if own == name}

    def deliver(self, number: int) -> None:
        """Every pipe delivers most keys, some with other values than before; each second pipe in the opposite order."""
        day = _day(number)
        for pipe in (pipe for pipes in PIPELINES.values() for pipe in pipes):
            chosen = random.Random(f"{pipe} {number}")
            lines = []
            for key in KEYS:
                if chosen.random() < 0.1:
                    continue
                calm = random.Random(f"{pipe} {key} {number // chosen.choice((1, 5))}")
                word = partial(calm.choice, "abcdefgh")
                lines.append(f"k{key};{word()};{word()};{word()};{word()};d{calm.randrange(15)};{word()};{word()}")
            if int(pipe[1:]) % 2:
                lines.reverse()
            path = self._folder / "data" / pipe / day / "patients.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("nr;name;town;phone;mobile;doctor;room;remark\n" + "\n".join(lines) + "\n")

    def deliver_again(self, number: int) -> None:
        """What was delivered the day before."""
        for pipe in (pipe for pipes in PIPELINES.values() for pipe in pipes):
            folder = self._folder / "data" / pipe
            (folder / _day(number)).mkdir()
            text = (folder / _day(number - 1) / "patients.csv").read_text()
            (folder / _day(number) / "patients.csv").write_text(text)

    def one(self, number: int, *, at_once: bool, extends: bool = True) -> list[str]:
        """Do a round; return the errors of its processes."""
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = self._warehouse
        for plan in self._plans.values():  # in turn, so that runs have the same numbers in both warehouses
            self._run(plan, "prepare", number)
        if number == 0:
            for plan in self._plans.values():
                self._all(plan, number, "ddl_valset", "ddl_dv", "ddl_sor")
        work = [partial(self._load, self._plans[dag], pipe, number) for dag, pipes in PIPES.items() for pipe in pipes]
        wider = None
        if extends and number % EXTEND_EVERY == EXTEND_EVERY - 1:
            extended = Extended.after(number // EXTEND_EVERY + 1)
            if extended != self._extended:
                self._extended, wider = extended, self._written("lab", extended)
                work.append(partial(self._all, wider["lab", None], number, "ddl_valset", "ddl_dv", run="wider"))
        errors = _do(work, at_once=at_once)
        if wider:
            self._plans.update(wider)
        marts = [partial(self._all, plan, number, "ddl_dm", "etl_dm", "close") for plan in self._plans.values()]
        return errors or _do(marts, at_once=at_once)

    def _load(self, plan: Plan, pipe: str, number: int) -> None:
        for stage in ("sor.etl_sor", "valset.etl_valset", "dv.etl_hubs", "dv.etl_links"):
            self._run(plan, f"{pipe}.{stage}", number)

    def _all(self, plan: Plan, number: int, *kinds: str, run: str = "scheduled") -> None:
        for stage in plan.stages:
            if stage.kind.value in kinds:
                self._run(plan, stage.id, number, run)

    def _run(self, plan: Plan, stage: str, number: int, kind: str = "scheduled") -> None:
        start = datetime.fromisoformat(_day(number)).replace(tzinfo=UTC)
        request = RunRequest(
            dag_id=plan.dag_id,
            dag_run_id=f"{kind}__{number}",
            interval_start=start,
            interval_end=start + timedelta(days=1),
        )
        now = start.replace(tzinfo=None) + timedelta(hours=2)
        run_stage(plan.stage(stage), request, LocalEnvironment(), clock=lambda: now)

    def numbers(self, process: int, count: int) -> None:
        """Ask for run ids as so many new runs would."""
        plans = list(self._plans.values())
        for turn in range(count):
            self._run(plans[process % len(plans)], "prepare", 0, f"process_{process}_{turn}_")

    def state(self) -> State:
        """All that does not depend on who was first: of a row that several pipes deliver, that is luck."""
        with contextlib.closing(psycopg2.connect(self._warehouse)) as connection:
            state = state_of(connection, scratch=False, bookkeeping=False)
        return {
            name: sorted(map(_without_luck, rows)) if name.endswith(("_hub", "_link")) else rows
            for name, rows in state.items()
            if name != "attempts"
        }


def _without_luck(row: str) -> str:
    return json.dumps(
        {name: value for name, value in json.loads(row).items() if name not in ("_source_system", "_runid")}
    )


def _do(work: list[Callable[[], None]], *, at_once: bool) -> list[str]:
    if at_once:
        return _side_by_side(work)
    return [error for single in work for error in _side_by_side([single])]


def _side_by_side(work: list[Callable[[], None]]) -> list[str]:
    """Do each piece of work in a process of its own, all at once; return their errors."""
    children = []
    for single in work:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            try:
                single()
            except BaseException:
                os.write(writing, traceback.format_exc()[-3000:].encode())
            os._exit(0)
        os.close(writing)
        children.append((process, reading))
    errors = []
    for process, reading in children:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as told:
            errors.append(told.read())
        os.waitpid(process, 0)
    return [error for error in errors if error]


def _day(number: int) -> str:
    return f"{datetime(2026, 1, 1) + timedelta(days=number):%Y-%m-%d}"


def play(side: Rounds, turn: Rounds, rounds: int, seconds: float) -> tuple[int, list[str]]:
    """Do rounds in both warehouses until there are enough or the time is over; return how many, and what is wrong."""
    started, done = time.monotonic(), 0
    while done < rounds and (done < EXTEND_EVERY or time.monotonic() - started < seconds):
        for loading, at_once in ((side, True), (turn, False)):
            loading.deliver(done)
            errors = loading.one(done, at_once=at_once)
            if errors:
                return done, [f"round {done}, {'at once' if at_once else 'in turn'}:", *errors]
        found = left_behind(side._warehouse)
        if done < ALWAYS_COMPARED or done % 10 == 0:  # every row has a history: comparing costs more with each round
            found += difference(turn.state(), side.state())
        if found:
            return done, [f"round {done}:", *found]
        done += 1
    found = difference(turn.state(), side.state())
    if found:
        return done, ["after the last round:", *found]
    # The same deliveries twice more: sources that tell different things of one key do not take turns. The first time
    # may compare everything once, because the vault was extended.
    before: State = {}
    for again in (done, done + 1):
        side.deliver_again(again)
        errors = side.one(again, at_once=True, extends=False)
        errors = errors or (difference(before, side.state()) if before else [])
        if errors:
            return done, ["the same deliveries again:", *errors]
        before = side.state()
    return done, left_behind(side._warehouse)


def main() -> None:
    order = json.loads(sys.stdin.read())
    folder = Path(order["folder"])
    told: dict[str, Any] = {}
    with (
        copied(order["server"], "template0", f"rounds_at_once_{os.getpid()}") as one,
        copied(order["server"], "template0", f"rounds_in_turn_{os.getpid()}") as other,
    ):
        side, turn = Rounds(folder / "at once", one), Rounds(folder / "in turn", other)
        told["rounds"], told["errors"] = play(side, turn, order["rounds"], order["seconds"])
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = one
        told["errors"] += _side_by_side([partial(side.numbers, process, 5) for process in range(8)])
        with contextlib.closing(psycopg2.connect(one)) as connection, connection.cursor() as cursor:
            # In the order of their transactions: these runs were given a number, and nothing else.
            cursor.execute(
                "select runid::text, dag_run_id from sys.runs where dag_run_id like 'process%' order by xmin::text::bigint"
            )
            told["runs"] = cursor.fetchall()
            cursor.execute("select count(*) from dv.patient_hub")
            told["patients"] = cursor.fetchone()
    print(json.dumps(told))


if __name__ == "__main__":
    main()

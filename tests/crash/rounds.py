"""Eight processes load pipes of two pipelines that share every vault table, round after round, while columns are added.

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
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from crash.night import copied
from crash.state import State, state_of
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.planning.plan import Plan, build_plan

PIPELINES = {"daily": ("p1", "p2", "p3", "p4"), "weekly": ("p5", "p6", "p7", "p8")}
KEYS = range(40)
COLUMN_EVERY = 3
"""Rounds after which a further column is added to two satellites while they are loaded."""

_PIPELINE = "pipeline: {name}\nconn_dwh: warehouse\nstart_date: 2026-01-01\ndata_root: {data}\n"
_DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {{name: text, town: text{more}}}
      Contact: {{types: [phone, mobile], columns: {{number: text}}}}
      RecordStatus: record_status
  Doctor:
    satellites: {{Default: {{room: text}}}}
links:
  Treatment:
    references: {{patient: Patient, doctor: Doctor}}
    status: true
    satellites: {{Default: {{remark: text{more}}}}}
valuesets: {{Valueset: {{}}}}
"""
_PIPE = """
pipe: {pipe}
source_path: {pipe}
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
  - {{from: patient_hstage, to: Doctor, bk: doctor, prefer: nr, fields: {{Default.room: room}}}}
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


class Rounds:
    """Both pipelines on one warehouse."""

    def __init__(self, folder: Path, warehouse: str) -> None:
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = warehouse
        self._folder = folder
        self._warehouse = warehouse
        for name in PIPELINES:
            self._write(name, "")
        self._plans = {name: build_plan(read_pipeline(folder / name, {}), None) for name in PIPELINES}
        self._wider: Plan | None = None

    def _write(self, name: str, more: str) -> None:
        project = self._folder / name
        (project / "pipes").mkdir(parents=True, exist_ok=True)
        (project / "pipeline.yaml").write_text(_PIPELINE.format(name=name, data=self._folder / "data"))
        (project / "domain.yaml").write_text(_DOMAIN.format(more=more))
        for pipe in PIPELINES[name]:
            (project / "pipes" / f"{pipe}.yaml").write_text(_PIPE.format(pipe=pipe))

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

    def one(self, number: int, *, at_once: bool) -> list[str]:
        """Do a round; return the errors of its processes."""
        for name, plan in self._plans.items():
            kinds = ("prepare", "ddl_valset", "ddl_dv") if number == 0 else ("prepare",)
            for kind in kinds:
                self._run(plan, kind, number)
            if number == 0:
                for pipe in PIPELINES[name]:
                    self._run(plan, f"{pipe}.sor.ddl_sor", number)
        work = [partial(self._load, name, pipe, number) for name, pipes in PIPELINES.items() for pipe in pipes]
        if number % COLUMN_EVERY == COLUMN_EVERY - 1:
            more = "".join(f", extra_{column}: text" for column in range(number // COLUMN_EVERY + 1))
            self._write("weekly", more)
            wider = build_plan(read_pipeline(self._folder / "weekly", {}), None)
            work.append(partial(self._run, wider, "ddl_dv", number, "wider"))
        if at_once:
            return _side_by_side(work)
        return [error for single in work for error in _side_by_side([single])]

    def _load(self, name: str, pipe: str, number: int) -> None:
        for stage in ("sor.etl_sor", "valset.etl_valset", "dv.etl_hubs", "dv.etl_links"):
            self._run(self._plans[name], f"{pipe}.{stage}", number)

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
        for turn in range(count):
            plan = self._plans["daily" if process % 2 else "weekly"]
            self._run(plan, "prepare", 0, f"process_{process}_{turn}_")

    def state(self) -> State:
        with contextlib.closing(psycopg2.connect(self._warehouse)) as connection:
            return {name: rows for name, rows in state_of(connection).items() if name[:4] not in ("sys.", "atte")}


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


def main() -> None:
    order = json.loads(sys.stdin.read())
    folder = Path(order["folder"])
    told: dict[str, Any] = {}
    states = []
    rounds = order["rounds"]
    for at_once in (True, False):
        with copied(order["server"], "template0", f"rounds_{os.getpid()}") as warehouse:
            loading = Rounds(folder / str(at_once), warehouse)
            started, done = time.monotonic(), 0
            while done < rounds and (not at_once or time.monotonic() - started < order["seconds"]):
                loading.deliver(done)
                errors = loading.one(done, at_once=at_once)
                if errors:
                    told["errors"] = [f"round {done}, {'at once' if at_once else 'in turn'}:", *errors]
                    print(json.dumps(told))
                    return
                done += 1
            rounds = told["rounds"] = done
            states.append(loading.state())
            if at_once:
                told["errors"] = _side_by_side([partial(loading.numbers, process, 5) for process in range(8)])
                with contextlib.closing(psycopg2.connect(warehouse)) as connection, connection.cursor() as cursor:
                    cursor.execute("select runid::text, dag_run_id from sys.runs order by ctid")
                    told["runs"] = cursor.fetchall()
    told["states"] = states
    print(json.dumps(told))


if __name__ == "__main__":
    main()

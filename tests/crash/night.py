"""A night whose tasks are killed, stage by stage, each time in a process of its own that is forked from this warm one.

Started by the tests as a process without threads: ``python -m crash.night``, with a JSON text of what to do on its input.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from crash.instants import Instants, WatchedEnvironment
from crash.leftovers import left_behind
from crash.project import read_project
from crash.state import State, difference, state_of
from grants import grant_loading
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.planning.plan import build_plan
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.hubs import load as hub_load
from pyelt_provider.statements.links import load as link_load


@dataclass(frozen=True)
class Scenario:
    """A starting state (a database to copy), what is delivered, and the day of the run."""

    name: str
    template: str
    source: str
    day: str


@dataclass(frozen=True)
class Ended:
    """How a forked process ended: the instant at which it was killed, or its error, or neither; and what it counted."""

    killed: str = ""
    kind: str = ""
    error: str = ""
    instants: tuple[str, ...] = ()


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


Act = Callable[[str], None]
Around = Callable[[], contextlib.AbstractContextManager[Callable[[Any], None] | None]]


class Child:
    """A forked process that runs a stage."""

    def __init__(self, stage: str, process: int, reading: int) -> None:
        self.process = process
        self._stage, self._reading = stage, reading

    def ended(self) -> Ended:
        """Wait for its end."""
        with os.fdopen(self._reading, encoding="utf-8") as told:
            text = told.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        if status == -signal.SIGKILL:
            return Ended(killed=f"{self._stage}: {text}")
        told_back = json.loads(text)
        return Ended(kind=told_back["kind"], error=told_back["error"], instants=tuple(told_back["instants"]))


class Night:
    """Runs the stages of one night on a copy of the scenario's database."""

    def __init__(self, scenario: Scenario, folder: Path, warehouse: str) -> None:
        hub_load.BULK_ROWS = link_load.BULK_ROWS = 3  # so that first loads of a few rows drop and make indexes too
        os.environ["AIRFLOW_CONN_CRM"] = scenario.source
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = warehouse
        self._warehouse = warehouse
        self._day = date.fromisoformat(scenario.day)
        self._plan = build_plan(read_project(folder), None)
        self._ticks = 0

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self._plan.stages

    def attempt(self, stage: Stage, at: int = 0, act: Act | None = None, *, around: Around = nothing) -> Ended:
        """Run the stage in a new process, in which `act` (else SIGKILL) happens at the instant `at`; 0 lets it be."""
        return self.start(stage, at, act, around=around).ended()

    def start(self, stage: Stage, at: int = 0, act: Act | None = None, *, around: Around = nothing) -> Child:
        """Start the stage in a new process and return at once; `around` is entered in that process."""
        self._ticks += 1
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            self._in_child(stage, Instants(at, act or partial(_kill, writing)), writing, around)
        os.close(writing)
        return Child(stage.id, process, reading)

    def state(self) -> State:
        with contextlib.closing(psycopg2.connect(self._warehouse)) as connection:
            return state_of(connection)

    def _in_child(self, stage: Stage, instants: Instants, writing: int, around: Around) -> None:
        kind = error = ""
        try:
            with around() as on_session:
                self.run(stage, instants, on_session)
            instants.come("after the last statement")
        except BaseException as raised:
            kind, error = type(raised).__name__, traceback.format_exc()
        os.write(writing, json.dumps({"kind": kind, "error": error, "instants": instants.seen}).encode())
        os._exit(0)

    def run(self, stage: Stage, instants: Instants, on_session: Callable[[Any], None] | None = None) -> None:
        """Run the stage in this process."""
        start = datetime.combine(self._day, time(), UTC)
        request = RunRequest(
            dag_id=self._plan.dag_id,
            dag_run_id=f"scheduled__{self._day}",
            interval_start=start,
            interval_end=start + timedelta(days=1),
        )
        now = datetime.combine(self._day, time(2)) + timedelta(seconds=self._ticks)
        run_stage(stage, request, WatchedEnvironment(instants), clock=lambda: now, on_session=on_session)


@contextlib.contextmanager
def copied(server: str, template: str, name: str, *, keep: bool = False) -> Iterator[str]:
    """Give the URL of a copy of the database `template`; it is dropped at the end unless it is to be kept."""
    with contextlib.closing(psycopg2.connect(server)) as maintenance:
        maintenance.autocommit = True
        with maintenance.cursor() as cursor:
            cursor.execute(f'create database "{name}" template "{template}" strategy wal_log')
            try:
                yield grant_loading(f"{server.rpartition('/')[0]}/{name}")
            finally:
                if not keep:
                    cursor.execute(f'drop database "{name}" with (force)')


def undisturbed(server: str, scenario: Scenario, folder: Path, keep: str = "") -> list[dict[str, Any]]:
    """Run the night without harm; return each stage with its instants and the state after it.

    With `keep`, the database stays under that name, as a template for others.
    """
    told = []
    with copied(server, scenario.template, keep or f"undisturbed_{scenario.name}", keep=bool(keep)) as warehouse:
        night = Night(scenario, folder, warehouse)
        for stage in night.stages:
            ended = night.attempt(stage)
            if ended.error:
                raise AssertionError(f"{stage.id} fails although nobody disturbs it:\n{ended.error}")
            told.append({"stage": stage.id, "instants": ended.instants, "state": night.state()})
    return told


def disturbed(server: str, scenario: Scenario, folder: Path, at: dict[str, int], expected: dict[str, State]) -> Any:
    """Kill each stage at its instant of `at`, run it again, and compare with the undisturbed state after it.

    Returns the kills and the differences, with which the night ends.
    """
    kills: list[str] = []
    found: list[str] = []
    with copied(server, scenario.template, f"disturbed_{os.getpid()}") as warehouse:
        night = Night(scenario, folder, warehouse)
        for stage in night.stages:
            ended = night.attempt(stage, at[stage.id]) if at.get(stage.id) else None
            if ended is not None and ended.killed:
                kills.append(ended.killed)
            if ended is not None and ended.error:
                found = [f"{stage.id} was to be killed and failed:", ended.error]
                break
            if ended is None or ended.killed:
                again = night.attempt(stage)
                if again.error:
                    found = [f"{stage.id} failed when it was run again:", again.error]
                    break
            if (ended is not None and ended.killed) or stage is night.stages[-1]:
                found = difference(expected[stage.id], night.state())
            if found:
                break
        found = found or left_behind(warehouse)
    return {"kills": kills, "found": found and [f"night {scenario.name}, after {kills[-3:]}:", *found]}


def _kill(writing: int, what: str) -> None:
    """End this process as kill -9 and the kernel's out-of-memory killer do, and say where."""
    os.write(writing, what.encode())
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    order = json.loads(sys.stdin.read())
    folder, server = Path(order["folder"]), order["server"]
    for job in order["jobs"]:
        scenario = Scenario(**job["scenario"])
        if "at" in job:
            expected = json.loads(Path(job["expected"]).read_text())
            states = {stage["stage"]: stage["state"] for stage in expected}
            told: Any = disturbed(server, scenario, folder, job["at"], states)
        else:
            told = undisturbed(server, scenario, folder, job["keep"])
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

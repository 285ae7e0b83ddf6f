"""Other harm than SIGKILL that comes to a stage: signals, frozen workers, busy ghosts, cut connections, stopped servers.

Started by the tests as a process without threads: ``python -m crash.harms``, with a JSON text of what to do on its input.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2

from crash.leftovers import left_behind
from crash.night import Child, Ended, Night, Scenario, copied
from crash.project import SECOND
from crash.state import State, difference
from databases import TEST_SETTINGS, Database
from pyelt_provider.embedded.failure import EmbeddedServerError
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.execution import warehouse as product_sessions
from pyelt_provider.orchestration.interruption import Interruption
from pyelt_provider.planning.stages import Stage

SLOW_TABLES = {
    "crm.sor.etl_sor": "sor_crm.relation_hstage",
    "crm.valset.etl_valset": "valset.valueset",
    "crm.dv.etl_hubs": "dv.patient_sat",
    "his.sor.etl_sor": "sor_his.patient_hstage",
    "his.valset.etl_valset": "valset.valueset",
    "his.dv.etl_hubs": "dv.doctor_hub",
    "crm.dv.etl_links": "dv.treatment_link",
    "his.dv.etl_links": "dv.treatment_sat",
    "etl_dm": "dm.treatments",
}
"""A table for each stage that writes rows; an insert into it can be made to take an hour."""

_SLOW = """
    create schema bystander;
    create function bystander.slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(3600); return null; end $$;
    create trigger slow before insert on {table} for each statement execute function bystander.slow();
"""
_FAST = "drop schema bystander cascade"


class EndedBySignal(Exception):
    """What Airflow's handler raises, too."""


@contextlib.contextmanager
def signals_heard() -> Iterator[Callable[[Any], None]]:
    """As in a task of Airflow: SIGTERM raises an exception and cancels what the server works on."""

    def raise_it(number: int, frame: FrameType | None) -> None:
        raise EndedBySignal("the task was marked failed")

    signal.signal(signal.SIGTERM, raise_it)
    interruption = Interruption()
    with interruption.watched():
        yield interruption.watch


@dataclass
class Harm:
    """Does one kind of harm to a stage and returns how its process ended."""

    night: Night
    warehouse: str
    source: str
    server: EmbeddedServer
    source_server: EmbeddedServer | None
    again: Ended | None = None
    """The next attempt, where it belongs to the harm."""

    def sigterm(self, stage: Stage, at: int) -> Ended:
        return self.night.attempt(stage, at, lambda _: os.kill(os.getpid(), signal.SIGTERM), around=signals_heard)

    def connections_cut(self, stage: Stage, at: int) -> Ended:
        return self.night.attempt(stage, at, lambda _: _terminate(self.warehouse, "pyelt:%"))

    def source_cut(self, stage: Stage, at: int) -> Ended:
        return self.night.attempt(stage, at, lambda _: _terminate(self.source, "%"))

    def server_stopped(self, stage: Stage, at: int) -> Ended:
        ended = self.night.attempt(stage, at, lambda _: stop_immediately(self.server))
        self.server.start()
        return ended

    def source_stopped(self, stage: Stage, at: int) -> Ended:
        """The source delivers far more than the pipes between two servers hold, and its server stops meanwhile."""
        assert self.source_server is not None
        _execute(
            self.source,
            "drop table relation;"
            "create table relation as select n::text as nr, repeat('x', 100) as name, 'one' as insurer, "
            "'d1' as doctor "
            "from generate_series(1, 200000) n",
        )
        ended = self.night.attempt(stage, at, lambda _: stop_immediately(self.source_server))
        self.source_server.start()
        SECOND.write_source(Database("", self.source))
        return ended

    def frozen(self, stage: Stage, at: int) -> Ended:
        """The worker hangs, with all that it holds; while it hangs, the stage is run again; then it goes on."""
        child = self.night.start(stage, at, lambda _: os.kill(os.getpid(), signal.SIGSTOP))
        os.waitpid(child.process, os.WUNTRACED)
        self.again = self.night.attempt(stage)
        os.kill(child.process, signal.SIGCONT)
        return child.ended()

    def killed_while_busy(self, stage: Stage, at: int) -> Ended:
        child = self._busy(stage)
        os.kill(child.process, signal.SIGKILL)
        return child.ended()

    def sigterm_while_busy(self, stage: Stage, at: int) -> Ended:
        child = self._busy(stage, around=signals_heard)
        os.kill(child.process, signal.SIGTERM)
        return child.ended()

    def _busy(self, stage: Stage, **keywords: Any) -> Child:
        """A process whose session is in a statement that takes an hour; the next attempt's statement will not."""
        _execute(self.warehouse, _SLOW.format(table=SLOW_TABLES[stage.id]))
        child = self.night.start(stage, **keywords)
        busy = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        for _ in range(2400):
            if _rows(self.warehouse, busy):
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"{stage.id} never wrote into {SLOW_TABLES[stage.id]}")
        # Its statement goes on: the function stays for who is in it. Nobody waits for locks to make that so.
        _execute(
            self.warehouse,
            "create or replace function bystander.slow() returns trigger language plpgsql as "
            "$$ begin return null; end $$",
        )
        return child


def stop_immediately(server: EmbeddedServer) -> None:
    """What ``pg_ctl stop -m immediate`` does: SIGQUIT to the server, whose sessions end without a word."""
    os.kill(server.process_id, signal.SIGQUIT)
    with contextlib.suppress(EmbeddedServerError):
        while server.process_id:
            time.sleep(0.02)


def happen(order: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Do harm to the stages of ``at``, run each again, and compare with the undisturbed states.

    Returns what the harm gave per stage (kind of the exception, its text, seconds of the next attempt), and the differences.
    """
    scenario = Scenario(**job["scenario"])
    server = EmbeddedServer(Path(order["data_folder"]), extra_settings=TEST_SETTINGS).start()
    expected = {stage["stage"]: stage["state"] for stage in json.loads(Path(job["expected"]).read_text())}
    told: dict[str, Any] = {"harmed": {}, "found": []}
    # Nothing but the next attempt itself shall end a ghost.
    product_sessions.CLIENT_CHECK_SECONDS = 3600
    name = f"harmed_{job['harm']}_{os.getpid()}"
    with copied(order["server"], scenario.template, name, keep=True) as warehouse:
        night = Night(scenario, Path(order["folder"]), warehouse)
        elsewhere = job.get("source_folder")
        source_server = EmbeddedServer(Path(elsewhere), extra_settings=TEST_SETTINGS).start() if elsewhere else None
        harm = Harm(night, warehouse, scenario.source, server, source_server)
        for stage in night.stages:
            told["found"] = _step(harm, stage, job, expected, told["harmed"])
            if told["found"] or stage.id == job.get("until"):
                break
        told["found"] = told["found"] or left_behind(warehouse)
        told["attempts"] = _rows(warehouse, "select stage, attempt, state, error from sys.attempts order by 1, 2")
    return told


def _step(
    harm: Harm, stage: Stage, job: dict[str, Any], expected: dict[str, State], harmed: dict[str, Any]
) -> list[str]:
    at = job["at"].get(stage.id, 0)
    if at:
        ended = getattr(harm, job["harm"])(stage, at)
        harmed[stage.id] = {"kind": ended.kind, "error": ended.error, "killed": ended.killed}
    started = time.monotonic()
    again, harm.again = harm.again or harm.night.attempt(stage), None
    if again.error:
        return [f"{stage.id} fails after the harm:", again.error]
    if not at:
        return []
    harmed[stage.id]["seconds"] = time.monotonic() - started
    with contextlib.suppress(psycopg2.errors.InvalidSchemaName):
        _execute(harm.warehouse, _FAST)
    found = difference(_kept(expected[stage.id]), _kept(harm.night.state()))
    return found and [f"after {job['harm']} of {stage.id}:", *found]


def _kept(state: State) -> State:
    """Without unlogged tables, which a server that crashed has emptied."""
    return {name: rows for name, rows in state.items() if not name.endswith(("_temp", "_temp_hash"))}


def _terminate(url: str, name: str) -> None:
    _rows(
        url,
        f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database() "
        f"and application_name like '{name}' and pid <> pg_backend_pid()",
    )


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def _execute(url: str, statements: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statements)
        connection.commit()


def main() -> None:
    order = json.loads(sys.stdin.read())
    tell = partial(print, flush=True)
    for job in order["jobs"]:
        tell(json.dumps(happen(order, job)))


if __name__ == "__main__":
    main()

"""A random hospital whose nights a real Airflow loads, one by one or by backfill, and what can be seen and done meanwhile."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psutil

from databases import Database
from grants import grant_loading
from nights.comparison import vault_differences
from nights.hospital import Hospital, day_of
from nights.model import Model
from pyelt_provider.execution.rewinding import rewind
from soak.judge import leftovers
from soak.stack import SoakStack
from soak.story import Told

PATIENCE_SECONDS = 240

SLOW = """
    create schema if not exists bystander;
    create or replace function bystander.slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(3600); return new; end $$;
    create or replace trigger slow before insert on sys.stages for each row when (new.stage = '{stage}')
        execute function bystander.slow();
"""
"""The last thing that a stage does before its commit takes an hour: all of its work is done by then, with all its locks."""
FAST = """
    create or replace function bystander.slow() returns trigger language plpgsql as $$ begin return new; end $$;
"""
BUSY = """
    select attempt.worker, activity.pid
    from sys.attempts as attempt join pg_stat_activity as activity
        on activity.pid = attempt.backend_pid and activity.backend_start = attempt.backend_start
    where attempt.state = 'running' and attempt.stage = %s and activity.wait_event = 'PgSleep'
"""


class LiveHospital:
    """One hospital: its DAG in the stack, its warehouse, and the model of its nights."""

    def __init__(self, stack: SoakStack, name: str, story: Told) -> None:
        self.stack, self.name, self.told = stack, name, story
        stack.warehouses.ensure_database(name)
        self.warehouse = Database(name, grant_loading(stack.warehouses.url(name)))
        self.folder = stack.places.home / name
        self.folder.mkdir()
        self.hospital = Hospital(self.warehouse, self.folder, story.story)
        story.deliver(self.hospital)

    def let(self, last_night: int, **changes: Any) -> None:
        """Let the DAG have runs until this night, with other settings than usual where `changes` says so."""
        chapter = self.told.chapter(last_night, self.name, self.warehouse, self.folder)
        self.hospital.obey(chapter.rules)
        self.pipeline = chapter.pipeline
        replace(chapter, **changes).write(self.stack.places.dags)

    def load(self, night: int) -> None:
        """Let Airflow load the nights until this one, and wait until all of them have gone well."""
        self.let(night)
        self.wait_for_success(night)

    def wait_for_success(self, night: int) -> None:
        """Wait until all nights until this one have gone well."""
        self.wait(
            lambda: self.stack.nights_with_success(self.name) >= set(range(night + 1)), f"night {night} is loaded"
        )

    def wait(
        self, done: Callable[[], Any], what: str, patience: float = PATIENCE_SECONDS, *, pause: float = 0.2
    ) -> Any:
        """Wait until `done`, which is asked again after each `pause`, gives something that is true, and return it."""
        deadline = time.monotonic() + patience
        while not (found := done()):
            assert time.monotonic() < deadline, f"waited in vain until {what}; runs are {self.runs()}"
            time.sleep(pause)
        return found

    def runs(self) -> dict[int, str]:
        """The state of the run of each night."""
        return {night: state for night, (_, state) in self._runs().items()}

    def run_id(self, night: int) -> str:
        """Airflow's name of the run of a night."""
        return self._runs()[night][0]

    def task(self, night: int, task_id: str) -> tuple[str, int]:
        """The state of a task and the number of its try; nothing and 0 before there is one."""
        if night not in self._runs():
            return "", 0
        query = "select state, try_number from task_instance where (dag_id, run_id, task_id) = (%s, %s, %s)"
        [(state, tries)] = self.stack.metadata(query, self.name, self.run_id(night), task_id)
        return str(state), int(tries)

    def hold(self, night: int, stage: str, **changes: Any) -> tuple[int, int]:
        """Let Airflow load a night, and wait until a stage has done its work and takes an hour for its commit.

        Returns the number of its task's process, and that of its server session. The next attempt will take no time.
        """
        self.warehouse.execute(SLOW.format(stage=stage))
        self.let(night, **changes)
        worker, session = self.wait(lambda: self.warehouse.rows(BUSY, (stage,)), f"{stage} comes to its end")[0]
        self.warehouse.execute(FAST)
        host, _, process = str(worker).rpartition(":")
        assert host == socket.gethostname()
        return int(process), int(session)

    def is_gone(self, session: int) -> bool:
        """Whether a server session has ended."""
        return not self.warehouse.rows("select from pg_stat_activity where pid = %s", (session,))

    def attempts(self, night: int, stage: str) -> list[tuple[str, str | None]]:
        """How each attempt of a stage in a night ended: its state and its error."""
        query = (
            "select state, error from sys.attempts join sys.runs using (runid) "
            "where interval_start = %s and stage = %s order by attempt"
        )
        return [(state, error) for state, error in self.warehouse.rows(query, (day_of(night), stage))]

    def seconds_until_next_attempt(self, night: int, stage: str, since: datetime) -> float:
        """How long after a moment the newest attempt of a stage began."""
        query = (
            "select max(started) from sys.attempts join sys.runs using (runid) where interval_start = %s and stage = %s"
        )
        [(started,)] = self.warehouse.rows(query, (day_of(night), stage))
        return float((started - since.astimezone(UTC).replace(tzinfo=None)).total_seconds())

    def problems(self, night: int) -> list[str]:
        """Where the vault is not as the model says after a night, and what of its loads is left over."""
        model = Model(self.told.story)
        for number in range(night + 1):
            model.night(number)
        return vault_differences(self.hospital, model) + leftovers(self.warehouse)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the vault and of staging, to compare with later."""
        staging = self.warehouse.rows(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_name like '%\\_hstage' or table_name = '_exceptions' order by 1"
        )
        rows = {table: self.warehouse.rows(f"select t::text from {table} t order by 1") for (table,) in staging}
        return {**rows, **self.hospital.state()}

    def rewind(self, to: Decimal) -> None:
        """What ``pyelt rewind --to`` does."""
        rewind(
            self.pipeline,
            to,
            self.hospital.environment,
            now=datetime.now(UTC).replace(tzinfo=None),
            log=logging.getLogger("rewind"),
        )

    def backfill(self, first: int, last: int, *options: str) -> None:
        """``airflow backfill create`` for these nights, waited for to its end."""
        self.create_backfill(first, last, *options)
        self.wait_for_backfill(last - first + 1)

    def create_backfill(self, first: int, last: int, *options: str) -> None:
        """``airflow backfill create`` for these nights."""
        dates = ["--from-date", str(day_of(first)), "--to-date", str(day_of(last))]
        self.wait(lambda: self.stack.metadata("select from dag where dag_id = %s", self.name), "Airflow knows the DAG")
        airflow(self.stack, "backfill", "create", "--dag-id", self.name, *dates, *options)

    def wait_for_backfill(self, nights: int) -> None:
        """Wait until nothing is left to do of a backfill of so many nights."""
        unfinished = "select from backfill where dag_id = %s and completed_at is null"
        open_runs = "select count(*) from dag_run where dag_id = %s and state not in ('success', 'failed')"

        def done() -> bool:
            return self.stack.metadata(open_runs, self.name) == [(0,)] and not self.stack.metadata(
                unfinished, self.name
            )

        self.wait(done, "the backfill has ended", PATIENCE_SECONDS + 60 * nights)

    def process_of(self, night: int, task_id: str) -> int | None:
        """The number of the process in which a task runs; None when it does not run."""
        query = (
            "select pid from task_instance join dag_run using (dag_id, run_id) where dag_id = %s and task_id = %s "
            "and task_instance.state = 'running' and logical_date = %s"
        )
        found = self.stack.metadata(query, self.name, task_id, day_of(night))
        return int(found[0][0]) if found and found[0][0] else None

    def _runs(self) -> dict[int, tuple[str, str]]:
        query = "select run_id, state, logical_date from dag_run where dag_id = %s order by logical_date"
        return {
            (moment.astimezone(UTC).date() - day_of(0)).days: (run, state)
            for run, state, moment in self.stack.metadata(query, self.name)
        }


def supervisor_of(task: int) -> psutil.Process:
    """The worker process that looks after a task's process."""
    parent = psutil.Process(task).parent()
    assert parent is not None
    return parent


def now() -> datetime:
    return datetime.now(UTC) - timedelta(milliseconds=1)


def airflow(stack: SoakStack, *arguments: str) -> None:
    """Airflow's own command, as a person types it."""
    ended = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=stack.environment,
        cwd=stack.places.home,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr

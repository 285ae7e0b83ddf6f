"""Writes what must be seen while a stage works, or after it failed: over a second session, committed at once."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg2

from pyelt_provider.identifiers import quote
from pyelt_provider.statements.runs.bookkeeping import SYS_VERSION, create_bookkeeping
from pyelt_provider.statements.runs.locking import LOADING

RUN_NUMBER_LOCK = "pyelt: run numbers"
HANGING_SECONDS = 10
"""How long a short transaction of the bookkeeping waits for its worker; it has a few statements and never waits long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """Which run of which DAG this is, and the data interval that it stands for (UTC)."""

    pipeline: str
    dag_id: str
    dag_run_id: str
    interval_start: datetime
    interval_end: datetime


class RunLog:
    """The bookkeeping of one warehouse over a session in autocommit mode."""

    def __init__(self, connection: Any, sys_schema: str) -> None:
        self._connection = connection
        self._sys_name = sys_schema
        self._sys = quote(sys_schema)
        # Losing the last line of progress in a crash of the server is fine; waiting for its disk at each line is not.
        # And a worker that hangs, or whose machine is gone, must not keep the lock on run numbers from everybody.
        self._run(f"set synchronous_commit = off; set idle_in_transaction_session_timeout = '{HANGING_SECONDS}s'")

    def ensure_tables(self) -> None:
        """Make or extend the bookkeeping tables; one look at the catalogue when they are there already."""
        if self._are_there():
            return
        with self._transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended('pyelt: ddl', 0))")
            if self._are_there():  # somebody else made them meanwhile, and loads: their locks would meet ours
                return
            cursor.execute(create_bookkeeping(self._sys_name), {})
            cursor.execute(f"comment on schema {self._sys} is '{_mark()}'")

    def _are_there(self) -> bool:
        return self._value("select obj_description(to_regnamespace(%(s)s), 'pg_namespace')", s=self._sys) == _mark()

    def run_number(self, key: RunKey, day: date, now: datetime, *, debug: bool) -> Decimal:
        """Return the run id that is bound to this DAG run, giving out the next one when it has none.

        PyELT's rule: a whole number per day, + 0.01 for each further run of that day, after .99 the next whole number.
        Given out under a lock, so runs that start together get different ids. Numbers follow the order of loads: a run
        behind which older ones have been loaded since (it was taken back, or was the first of a backfill to start) gets a
        new one before it loads anything, and `overtaken_by` of its old number says which.
        """
        known = self._bound_number(key)
        if known is not None and not known[1]:
            return known[0]
        with self._transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (RUN_NUMBER_LOCK,))
            known = self._bound_number(key)
            if known is not None and not known[1]:
                return known[0]
            cursor.execute(
                f"select runid, coalesce(run_day, rundate::date) from {self._sys}.runs order by runid desc limit 1"
            )
            number = next_run_number(cursor.fetchone(), day)
            if known is not None:
                cursor.execute(
                    f"""update {self._sys}.runs set dag_run_id = dag_run_id || ' as ' || runid, overtaken_by = %s,
                            finish_date = coalesce(finish_date, %s)
                        where runid = %s""",
                    (number, now, known[0]),
                )
            cursor.execute(
                f"""insert into {self._sys}.runs
                    (runid, rundate, pipeline, dag_id, dag_run_id, interval_start, interval_end, run_day, debug)
                    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                (
                    number,
                    now,
                    key.pipeline,
                    key.dag_id,
                    key.dag_run_id,
                    key.interval_start,
                    key.interval_end,
                    day,
                    debug,
                ),
            )
        return number

    def _bound_number(self, key: RunKey) -> tuple[Decimal, bool] | None:
        """Return the number that is bound to a DAG run, and whether it would be out of the order of loads."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"""select own.runid,
                        exists (select from {self._sys}.runs as older join {self._sys}.stages using (runid)
                                where older.dag_id = own.dag_id and older.interval_end < own.interval_end
                                  and older.runid > own.runid
                                  and stages.kind = any(%(loading)s) and stages.state in ('done', 'failed'))
                        and not exists (select from {self._sys}.stages
                                        where stages.runid = own.runid
                                          and stages.kind = any(%(loading)s) and stages.state in ('done', 'failed'))
                    from {self._sys}.runs as own where (own.dag_id, own.dag_run_id) = (%(dag)s, %(run)s)""",
                {"loading": [kind.value for kind in LOADING], "dag": key.dag_id, "run": key.dag_run_id},
            )
            row = cursor.fetchone()
        return None if row is None else (Decimal(str(row[0])), bool(row[1]))

    def end_leftover_sessions(self, run: Decimal, stage: str, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        """End the sessions that a killed earlier attempt of this stage left behind, with the locks that they hold."""
        # The attempt may have been made under the number that the run had before.
        of_run = f"""(attempt.runid = %(run)s
                      or attempt.runid in (select runid from {self._sys}.runs
                                           where overtaken_by = %(run)s and dag_run_id like '%% as ' || runid))"""
        of_stage = {"run": run, "stage": stage}
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"""select count(*) filter (where pg_terminate_backend(activity.pid, 10000))
                    from {self._sys}.attempts as attempt
                    join pg_stat_activity as activity
                        on activity.pid = attempt.backend_pid and activity.backend_start = attempt.backend_start
                    where {of_run} and attempt.stage = %(stage)s and attempt.state = 'running'""",
                of_stage,
            )
            row = cursor.fetchone()
            if row and row[0]:
                log.warning("ended %s leftover session(s) of an earlier attempt that was killed", row[0])
            cursor.execute(
                f"""update {self._sys}.attempts as attempt set state = 'failed', error = 'the worker was killed'
                    where {of_run} and attempt.stage = %(stage)s and attempt.state = 'running'""",
                of_stage,
            )

    def begin_attempt(
        self, run: Decimal, stage: str, key: RunKey, try_number: int, backend: tuple[int, datetime], now: datetime
    ) -> int:
        """Record that an attempt started and return its number, counted from 1 per run and stage."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"""insert into {self._sys}.attempts
                    (runid, stage, attempt, dag_id, dag_run_id, try_number, backend_pid, backend_start, worker, started, state)
                    select %(run)s, %(stage)s, coalesce(max(attempt), 0) + 1, %(dag)s, %(dag_run)s, %(try)s, %(pid)s,
                           %(backend_start)s, %(worker)s, %(now)s, 'running'
                    from {self._sys}.attempts where runid = %(run)s and stage = %(stage)s
                    returning attempt""",
                {
                    "run": run,
                    "stage": stage,
                    "dag": key.dag_id,
                    "dag_run": key.dag_run_id,
                    "try": try_number,
                    "pid": backend[0],
                    "backend_start": backend[1],
                    "worker": f"{socket.gethostname()}:{os.getpid()}",
                    "now": now,
                },
            )
            row = cursor.fetchone()
            return int(row[0])

    def doing(self, run: Decimal, stage: str, attempt: int, what: str) -> None:
        """Record what the attempt does at this moment."""
        self._run(
            f"update {self._sys}.attempts set doing = %(what)s where (runid, stage, attempt) = (%(run)s, %(stage)s, %(no)s)",
            what=what,
            run=run,
            stage=stage,
            no=attempt,
        )

    def end_attempt(self, run: Decimal, stage: str, attempt: int, state: str, error: str | None, now: datetime) -> None:
        """Record how the attempt ended; never raises when the session is gone, because the outcome is not ours to hide."""
        if self._connection.closed:
            return
        self._run(
            # This line is kept even when the server crashes: nobody writes it a second time.
            f"""set synchronous_commit = on;
                update {self._sys}.attempts set state = %(state)s, error = %(error)s, ended = %(now)s,
                    doing = case when %(state)s = 'done' then null else doing end
                where (runid, stage, attempt) = (%(run)s, %(stage)s, %(no)s)""",
            state=state,
            error=error,
            now=now,
            run=run,
            stage=stage,
            no=attempt,
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Give a cursor whose statements are committed together, or not at all."""
        with self._connection.cursor() as cursor:
            cursor.execute("begin")
            try:
                yield cursor
                cursor.execute("commit")
            except BaseException:
                with contextlib.suppress(psycopg2.Error):  # when the session is gone, its error is the one to tell
                    cursor.execute("rollback")
                raise

    def _run(self, sql: str, **parameters: object) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)

    def _value(self, sql: str, **parameters: object) -> object:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            row = cursor.fetchone()
            return row[0] if row else None


def next_run_number(last: tuple[Any, Any] | None, day: date) -> Decimal:
    """Return the number after `last` = (number, its day); 1.00 for the first run of a warehouse."""
    if last is None:
        return Decimal("1.00")
    number, last_day = Decimal(str(last[0])).quantize(Decimal("0.01")), last[1]
    if last_day == day:
        return number + Decimal("0.01")
    return Decimal(int(number) + 1).quantize(Decimal("0.01"))


def _mark() -> str:
    return f"PyELT bookkeeping, version {SYS_VERSION}"

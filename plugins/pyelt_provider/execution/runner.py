"""Runs one stage: binds it to its run, keeps the order, takes its locks, does its program, commits it whole or not at all."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
from psycopg2.extras import execute_values

from pyelt_provider.errors import PyeltError, StageFailed
from pyelt_provider.execution.database_errors import safe_message
from pyelt_provider.execution.environment import Environment
from pyelt_provider.execution.interpreter import Interpreter
from pyelt_provider.execution.log_files import LogFiles
from pyelt_provider.execution.outcome import StageOutcome, StageState
from pyelt_provider.execution.run_log import RunKey, RunLog
from pyelt_provider.execution.warehouse import session
from pyelt_provider.identifiers import quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.programs import statements_for
from pyelt_provider.statements.runs.locking import lock_stage
from pyelt_provider.statements.runs.ordering import check_order
from pyelt_provider.statements.sql.loads import LOAD_LOCK, let_loads_go
from pyelt_provider.statements.staging.repeating import begin_again

LOCK_PATIENCE = "2h"
"""How long a stage waits for its own advisory locks: other stages may be loading millions of rows behind them."""

Log = logging.Logger | logging.LoggerAdapter[Any]
_LOG = logging.getLogger("pyelt")


def utc_now() -> datetime:
    """Return the time as the warehouse keeps it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Which run asks for the stage, and what its operator allowed; interval times are UTC."""

    dag_id: str
    dag_run_id: str
    interval_start: datetime
    interval_end: datetime
    try_number: int = 1
    allow_deletions: bool = False
    allow_rejections: bool = False
    allow_ddl: bool = False
    allow_key_change: bool = False


def run_stage(
    stage: Stage,
    request: RunRequest,
    environment: Environment,
    *,
    clock: Callable[[], datetime] = utc_now,
    log: Log = _LOG,
    on_session: Callable[[Any], None] | None = None,
) -> StageOutcome:
    """Do one stage in one transaction and return what came of it, also when single mappings failed (on_errors: log).

    A stage that was done before in this run is taken back first, in the same transaction. Raises PyeltError when
    nothing was committed; the attempt, its last statement and its error stand in `sys.attempts` in either case.
    `on_session` is given the session of the load, for whoever has to cancel it.
    """
    try:
        return _run_stage(stage, request, environment, clock, log, on_session)
    except psycopg2.Error as error:  # before the load began: in the bookkeeping
        raise StageFailed(f"{stage.id}: {safe_message(error)}") from None


def _run_stage(
    stage: Stage,
    request: RunRequest,
    environment: Environment,
    clock: Callable[[], datetime],
    log: Log,
    on_session: Callable[[Any], None] | None,
) -> StageOutcome:
    pipeline = stage.pipeline
    name = f"pyelt:{request.dag_id}:{request.dag_run_id}:{stage.id}"
    started = time.perf_counter()
    with ExitStack() as sessions:
        run_log = RunLog(
            sessions.enter_context(session(pipeline, environment, f"{name}:log", autocommit=True)), pipeline.sys_schema
        )
        run_log.ensure_tables()
        key = RunKey(
            pipeline=pipeline.name,
            dag_id=request.dag_id,
            dag_run_id=request.dag_run_id,
            interval_start=_naive(request.interval_start),
            interval_end=_naive(request.interval_end),
        )
        now = clock()
        day = now.replace(tzinfo=UTC).astimezone(ZoneInfo(pipeline.timezone)).date()
        number = run_log.run_number(key, day, now, debug=pipeline.debug)
        run_log.end_leftover_sessions(number, stage.id, log)
        connection = sessions.enter_context(session(pipeline, environment, name))
        if on_session is not None:
            on_session(connection)
        attempt = run_log.begin_attempt(number, stage.id, key, request.try_number, _backend(connection), now)
        run = Run(
            number=number,
            dag_id=request.dag_id,
            dag_run_id=request.dag_run_id,
            interval_start=key.interval_start,
            interval_end=key.interval_end,
            load_time=now,
            attempt=attempt,
            debug=pipeline.debug,
            allow_deletions=request.allow_deletions,
            allow_rejections=request.allow_rejections,
            allow_ddl=request.allow_ddl,
            allow_key_change=request.allow_key_change,
        )
        files = sessions.enter_context(closing(LogFiles(stage, run, environment)))
        interpreter = Interpreter(
            connection, stage, run, environment, lambda what: run_log.doing(number, stage.id, attempt, what), files, log
        )
        try:
            _walk(stage, run, interpreter, connection)
            outcome = StageOutcome(
                stage=stage.id,
                run=number,
                attempt=attempt,
                state=StageState.FAILED if interpreter.failures else StageState.DONE,
                seconds=time.perf_counter() - started,
                steps=tuple(interpreter.records),
                failures=tuple(interpreter.failures),
            )
            _record(connection, stage, outcome, clock())
            connection.commit()
        except BaseException as error:
            reason = str(error) if isinstance(error, PyeltError) else type(error).__name__
            if isinstance(error, psycopg2.Error):
                reason = safe_message(error)
            files.line(f"{stage.id} failed: {reason}")
            _quietly(connection.rollback)
            _quietly(lambda: run_log.end_attempt(number, stage.id, attempt, "failed", reason, clock()))
            if isinstance(error, psycopg2.Error):
                raise StageFailed(f"{stage.id}: {reason}") from None
            raise
        reasons = "; ".join(f"{mapping}: {error}" for mapping, error in outcome.failures)
        ended = "failed" if outcome.failures else "done"
        # It is committed: what goes wrong with the session from here on does not make it undone.
        _quietly(lambda: run_log.end_attempt(number, stage.id, attempt, ended, reasons or None, clock()))
        return outcome


def _walk(stage: Stage, run: Run, interpreter: Interpreter, connection: Any) -> None:
    state = _state(connection, stage, run.number)
    again = state is StageState.DONE or (state is StageState.FAILED and stage.kind is StageKind.ETL_SOR)
    _execute(connection, f"set local lock_timeout = '{LOCK_PATIENCE}'")
    interpreter.walk(lock_stage(stage, run, exclusive=again))
    _execute(connection, "set local lock_timeout = %s", _lock_timeout(stage))
    interpreter.walk(check_order(stage, run))
    if again:
        interpreter.walk(begin_again(stage, run, failed=state is StageState.FAILED))
    interpreter.walk(statements_for(stage, run))


def _lock_timeout(stage: Stage) -> str:
    return f"{int(stage.pipeline.lock_timeout.total_seconds() * 1000)}ms"


def _state(connection: Any, stage: Stage, number: Decimal) -> StageState | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select state from {quote(stage.pipeline.sys_schema)}.stages where (runid, stage) = (%s, %s)",
            (number, stage.id),
        )
        row = cursor.fetchone()
        return StageState(row[0]) if row else None


def _record(connection: Any, stage: Stage, outcome: StageOutcome, finished: datetime) -> None:
    """Write the outcome into the same transaction as the data, so that both are there or neither is."""
    s = quote(stage.pipeline.sys_schema)
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            f"""insert into {s}.steps (runid, stage, attempt, no, mapping, schemaname, tablename, label, count, rows, seconds)
                values %s""",
            [
                (
                    outcome.run,
                    outcome.stage,
                    outcome.attempt,
                    number,
                    step.mapping,
                    step.table.schema if step.table else None,
                    step.table.name if step.table else None,
                    step.label,
                    step.count.value if step.count else None,
                    step.rows,
                    step.seconds,
                )
                for number, step in enumerate(outcome.steps, start=1)
            ],
        )
        # A new row each time, so that load_order says when the stage was last committed.
        cursor.execute("select pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (LOAD_LOCK,))
        own = {"runid": outcome.run, "stage": outcome.stage}
        of_it = "(stages.runid, stages.stage) = (%(runid)s, %(stage)s)"
        cursor.execute(let_loads_go(stage.pipeline.sys_schema, of_it), own)
        cursor.execute(f"delete from {s}.stages where {of_it}", own)
        cursor.execute(
            f"""insert into {s}.stages (runid, stage, pipe, kind, state, attempt, fingerprint, finished, seconds, numbers)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning load_order""",
            (
                outcome.run,
                outcome.stage,
                stage.pipe_name,
                stage.kind.value,
                outcome.state.value,
                outcome.attempt,
                stage.fingerprint,
                finished,
                outcome.seconds,
                json.dumps(outcome.numbers),
            ),
        )
        load_order = cursor.fetchone()[0]
        execute_values(
            cursor,
            f"insert into {s}.writes (schemaname, tablename, load_order) values %s",
            [(table.schema, table.name, load_order) for table in sorted(outcome.written_tables)],
        )


def _backend(connection: Any) -> tuple[int, datetime]:
    with connection.cursor() as cursor:
        cursor.execute("select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()")
        row = cursor.fetchone()
        return int(row[0]), row[1]


def _execute(connection: Any, sql: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _quietly(work: Callable[[], object]) -> None:
    try:
        work()
    except psycopg2.Error as error:
        _LOG.warning("while cleaning up after a failure: %s", safe_message(error))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment

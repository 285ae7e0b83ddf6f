"""Mends what an old PyELT left broken in a warehouse, so that its keys hold and loads go on as in one of our own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment
from pyelt_provider.execution.interpreter import Interpreter, StepFailed
from pyelt_provider.execution.keeping_out import keep_loads_out
from pyelt_provider.execution.log_files import LogFiles
from pyelt_provider.execution.run_log import RunLog
from pyelt_provider.execution.runner import Log
from pyelt_provider.execution.warehouse import session
from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import build_plans, pipe_stages
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.ddl.table_ddl import lock_ddl
from pyelt_provider.statements.repair.damage import Found, Repair
from pyelt_provider.statements.repair.program import mend
from pyelt_provider.statements.runs.bookkeeping import create_bookkeeping
from pyelt_provider.statements.runs.locking import LOADING
from pyelt_provider.statements.step import Program

_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair found and mended, what it left for a person, and how many rows of which table it changed."""

    mended: tuple[Found, ...]
    left: tuple[Found, ...]
    tables: tuple[tuple[TableName, int], ...]

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.tables)


def repair(pipeline: Pipeline, environment: Environment, *, now: datetime, log: Log, dry_run: bool = False) -> Repaired:
    """Mend the pipeline's tables; every row that changes or goes is kept in `sys.repaired_rows` as it was.

    One transaction, in which nobody loads these pipes: killed at any point it has done nothing. Recorded in
    `sys.repairs`. With `dry_run` the same is done and rolled back. Done again, it finds nothing to do. Raises PyeltError
    when somebody loads or holds the tables just now.
    """
    name = f"pyelt:repair:{pipeline.name}"
    if not dry_run:
        with session(pipeline, environment, f"{name}:log", autocommit=True) as bookkeeping:
            RunLog(bookkeeping, pipeline.sys_schema).ensure_tables()
    with session(pipeline, environment, name) as connection:
        stages = [stage for pipe in pipeline.pipes for stage in pipe_stages(pipeline, pipe) if stage.kind in LOADING]
        keep_loads_out(connection, stages, None, "repaired")
        if dry_run:
            with connection.cursor() as cursor:
                cursor.execute(create_bookkeeping(pipeline.sys_schema), {})
        number = _begin(connection, pipeline, now)
        mended: list[Found] = []
        left: list[Found] = []
        program = _mend(pipeline, Repair(number=number, sys_schema=pipeline.sys_schema), mended, left)
        tables = _walk(connection, pipeline, program, environment, now, log)
        repaired = Repaired(mended=tuple(mended), left=tuple(left), tables=tables)
        if dry_run or not tables:
            connection.rollback()
        else:
            _record(connection, pipeline, number, repaired)
            connection.commit()
        return repaired


def _mend(pipeline: Pipeline, number: Repair, mended: list[Found], left: list[Found]) -> Program:
    yield from lock_ddl()
    yield from mend(pipeline, number, mended, left)


def _begin(connection: Any, pipeline: Pipeline, now: datetime) -> int:
    s = quote(pipeline.sys_schema)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""insert into {s}.repairs (date, pipeline, found, rows, load_order, by)
                select %s, %s, '[]', 0, (select coalesce(max(load_order), 0) from {s}.stages), session_user
                returning id""",
            (now, pipeline.name),
        )
        return int(cursor.fetchone()[0])


def _record(connection: Any, pipeline: Pipeline, number: int, repaired: Repaired) -> None:
    found = [{"table": str(item.damage.table), "what": item.damage.what, "rows": item.rows} for item in repaired.mended]
    with connection.cursor() as cursor:
        cursor.execute(
            f"update {quote(pipeline.sys_schema)}.repairs set found = %s, rows = %s where id = %s",
            (json.dumps(found), repaired.rows, number),
        )


def _walk(
    connection: Any, pipeline: Pipeline, program: Program, environment: Environment, now: datetime, log: Log
) -> tuple[tuple[TableName, int], ...]:
    """Do the program; return how many rows of which table it changed."""
    stage = _a_stage(pipeline)
    run = Run(
        number=Decimal(0),
        dag_id=pipeline.name,
        dag_run_id="repair",
        interval_start=now,
        interval_end=now,
        load_time=now,
    )
    with closing(LogFiles(stage, run, environment)) as files:
        interpreter = Interpreter(connection, stage, run, environment, lambda what: None, files, log)
        try:
            interpreter.walk(program)
        except StepFailed as error:
            if error.pgcode == _LOCK_NOT_AVAILABLE:
                raise PyeltError(
                    f"nothing was repaired: {error.what} had to wait too long, because somebody holds the table; let "
                    "that session end and start again"
                ) from None
            raise PyeltError(f"nothing was repaired: {error.what}: {error.reason}") from None
        return _rows_per_table(interpreter)


def _rows_per_table(interpreter: Interpreter) -> tuple[tuple[TableName, int], ...]:
    rows: Counter[TableName] = Counter()
    for step in interpreter.records:
        if step.table is not None and step.count is not None and step.rows:
            rows[step.table] += step.rows
    return tuple(sorted(rows.items()))


def _a_stage(pipeline: Pipeline) -> Stage:
    """What the statements of a command are logged under: the last stage, which belongs to no pipe."""
    stages: Sequence[Stage] = build_plans(pipeline)[0].stages
    return next(stage for stage in stages if stage.kind is StageKind.CLOSE)

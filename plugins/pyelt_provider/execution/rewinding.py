"""Takes back whole runs of a pipeline, the newest first, so that an older run can be loaded (again)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment
from pyelt_provider.execution.interpreter import Interpreter
from pyelt_provider.execution.log_files import LogFiles
from pyelt_provider.execution.outcome import StepRecord
from pyelt_provider.execution.run_log import RunLog
from pyelt_provider.execution.runner import Log
from pyelt_provider.execution.warehouse import session
from pyelt_provider.identifiers import quote
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import pipe_stages
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.runs.locking import LOADING, lock_stage
from pyelt_provider.statements.runs.taking_back import take_back


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What was taken back of one pipe in one run."""

    run: Decimal
    pipe: str
    steps: tuple[StepRecord, ...]

    @property
    def rows(self) -> int:
        return sum(step.rows or 0 for step in self.steps if step.count is not None)


def rewind(
    pipeline: Pipeline, to: Decimal, environment: Environment, *, now: datetime, log: Log
) -> Iterator[TakenBack]:
    """Take back every load of the pipeline's pipes by runs with a greater id than `to`; one transaction per pipe and run.

    Killed in between, it has taken back the newest runs whole and left the older ones whole. Raises PyeltError when a
    pipe was loaded that the project no longer has, because then nobody knows its tables.
    """
    s = quote(pipeline.sys_schema)
    known = {pipe.name: pipe for pipe in pipeline.pipes}
    name = f"pyelt:rewind:{pipeline.name}"
    with session(pipeline, environment, f"{name}:log", autocommit=True) as bookkeeping:
        RunLog(bookkeeping, pipeline.sys_schema).ensure_tables()  # an older version may have made the runs
    with session(pipeline, environment, name) as connection:
        loads = _rows(
            connection,
            f"""select stages.runid, stages.pipe, runs.dag_id, runs.dag_run_id, runs.interval_start, runs.interval_end
                from {s}.stages join {s}.runs using (runid)
                where runs.pipeline = %s and stages.runid > %s and stages.kind = any(%s) and stages.state <> 'to do'
                group by 1, 2, 3, 4, 5, 6 order by max(stages.load_order) desc""",
            (pipeline.name, to, [kind.value for kind in LOADING]),
        )
        connection.rollback()
        if missing := sorted({str(row[1]) for row in loads} - set(known)):
            raise PyeltError(
                f"runs after {to} loaded pipe {', '.join(missing)}, which the project {pipeline.name} no longer has; "
                "put its config back, rewind, and remove it then"
            )
        for number, pipe_name, dag_id, dag_run_id, start, end in loads:
            stages = [stage for stage in pipe_stages(pipeline, known[pipe_name]) if stage.kind in LOADING]
            run = Run(
                number=Decimal(str(number)),
                dag_id=dag_id,
                dag_run_id=dag_run_id,
                interval_start=start,
                interval_end=end,
                load_time=now,
            )
            yield _take_back_pipe(connection, stages, run, environment, log)


def _take_back_pipe(connection: Any, stages: list[Stage], run: Run, environment: Environment, log: Log) -> TakenBack:
    first = next(stage for stage in stages if stage.kind is StageKind.ETL_SOR)
    interpreter = Interpreter(
        connection, first, run, environment, lambda what: None, LogFiles(first, run, environment), log
    )
    for stage in stages:
        interpreter.walk(lock_stage(stage, run, exclusive=True))
    interpreter.walk(take_back(first, run))
    connection.commit()
    return TakenBack(run=run.number, pipe=first.pipe_name, steps=tuple(interpreter.records))


def _rows(connection: Any, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

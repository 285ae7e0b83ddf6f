"""Takes back whole runs of a pipeline, so that an older run can be loaded (again)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment
from pyelt_provider.execution.interpreter import Interpreter
from pyelt_provider.execution.keeping_out import keep_loads_out
from pyelt_provider.execution.log_files import LogFiles
from pyelt_provider.execution.run_log import RunLog
from pyelt_provider.execution.runner import Log
from pyelt_provider.execution.warehouse import session
from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import build_plans, in_dependency_order, pipe_stages
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.datamarts.taking_back import take_back_models
from pyelt_provider.statements.runs.locking import LOADING
from pyelt_provider.statements.runs.taking_back import take_back
from pyelt_provider.statements.step import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What was taken back of one pipe in one run: rows per table, those that went and those that are as before.

    Without a pipe it tells of the datamarts, after all loads were taken back: the rows that went, and those that their
    tables were filled with.
    """

    run: Decimal
    pipe: str | None
    tables: tuple[tuple[TableName, int], ...]

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """A run that loaded a pipe, and the pipe's loading stages."""

    run: Run
    stages: tuple[Stage, ...]


def rewind(
    pipeline: Pipeline,
    to: Decimal,
    environment: Environment,
    *,
    now: datetime,
    log: Log,
    pipe: str | None = None,
    dry_run: bool = False,
) -> tuple[TakenBack, ...]:
    """Take back every load of the pipeline's pipes (or of one) by runs with a greater id than `to`, the newest first.

    The datamarts go with them: tables are filled again from what is left. One transaction, in which no pipe of them is
    loaded: killed at any point it has done nothing. Recorded in `sys.rewinds`. With `dry_run` the same is done and rolled
    back, so that its numbers are what would happen. Raises PyeltError when there is no run `to`, no such pipe, or when a
    pipe was loaded that the project no longer has, because then nobody knows its tables.
    """
    name = f"pyelt:rewind:{pipeline.name}"
    with session(pipeline, environment, f"{name}:log", autocommit=True) as bookkeeping:
        RunLog(bookkeeping, pipeline.sys_schema).ensure_tables()  # an older version may have made the runs
    with session(pipeline, environment, name) as connection:
        _refuse_unknown(connection, pipeline, to, pipe)
        pipes = [known for known in pipeline.pipes if pipe in (None, known.name)]
        stages = {known.name: _loading_stages(pipeline, known) for known in pipes}
        marts = _datamarts(pipeline)
        keep_loads_out(connection, [stage for own in stages.values() for stage in own], marts, "taken back")
        loads = _loads(connection, pipeline, to, pipe, stages, now)
        taken = tuple(_take_back(connection, load, environment, log) for load in loads)
        if loads and marts is not None:
            taken += (_take_back_datamarts(connection, marts, loads, environment, log),)
        if dry_run:
            connection.rollback()
        else:
            if taken:
                _record(connection, pipeline, to, pipe, taken, now)
            connection.commit()
        return taken


def _refuse_unknown(connection: Any, pipeline: Pipeline, to: Decimal, pipe: str | None) -> None:
    names = [known.name for known in pipeline.pipes]
    if pipe is not None and pipe not in names:
        raise PyeltError(f"{pipeline.name} has no pipe {pipe}; it has {', '.join(names)}")
    s = quote(pipeline.sys_schema)
    runs = _rows(
        connection,
        f"""select runid from {s}.runs where pipeline = %s or dag_id is null
            order by abs(runid - %s), runid limit 3""",
        (pipeline.name, to),
    )
    if to and runs and Decimal(str(runs[0][0])) != to:
        near = ", ".join(str(row[0]) for row in sorted(runs))
        raise PyeltError(
            f"{pipeline.name} has no run {to}; near it are {near}. 0 takes back everything that was loaded"
        )
    by_pyelt = _rows(connection, f"select max(runid) from {s}.runs where dag_id is null and runid > %s", (to,))[0][0]
    if to and by_pyelt is not None:
        raise PyeltError(
            f"run {by_pyelt} is one of PyELT's own, which cannot be taken back; --to {by_pyelt} takes back all that came after"
        )


def _loading_stages(pipeline: Pipeline, pipe: Pipe) -> tuple[Stage, ...]:
    return tuple(stage for stage in pipe_stages(pipeline, pipe) if stage.kind in LOADING)


def _datamarts(pipeline: Pipeline) -> Stage | None:
    """Return a stage with every model of the pipeline, in the order of what they read; None when there are no models."""
    found = [stage for plan in build_plans(pipeline) for stage in plan.stages if stage.kind is StageKind.ETL_DM]
    if not found:
        return None
    built = {model.table for stage in found for model in stage.datamarts}
    models = tuple(model for model in in_dependency_order(pipeline.datamarts) if model.table in built)
    writes = tuple(sorted({target for stage in found for target in stage.writes}))
    return dataclasses.replace(found[0], datamarts=models, writes=writes)


def _loads(
    connection: Any,
    pipeline: Pipeline,
    to: Decimal,
    pipe: str | None,
    stages: Mapping[str, tuple[Stage, ...]],
    now: datetime,
) -> list[_Load]:
    s = quote(pipeline.sys_schema)
    found = _rows(
        connection,
        f"""select stages.runid, stages.pipe, runs.dag_id, runs.dag_run_id, runs.interval_start, runs.interval_end
            from {s}.stages join {s}.runs using (runid)
            where runs.pipeline = %(pipeline)s and stages.runid > %(to)s and stages.kind = any(%(kinds)s)
                and stages.state <> 'to do' and stages.pipe = coalesce(%(pipe)s, stages.pipe)
            group by 1, 2, 3, 4, 5, 6 order by max(stages.load_order) desc""",
        {"pipeline": pipeline.name, "to": to, "kinds": [kind.value for kind in LOADING], "pipe": pipe},
    )
    if missing := sorted({str(row[1]) for row in found} - set(stages)):
        raise PyeltError(
            f"runs after {to} loaded pipe {', '.join(missing)}, which the project {pipeline.name} no longer has; "
            "put its config back, rewind, and remove it then"
        )
    return [
        _Load(
            run=Run(
                number=Decimal(str(number)),
                dag_id=dag_id,
                dag_run_id=dag_run_id,
                interval_start=start,
                interval_end=end,
                load_time=now,
            ),
            stages=stages[pipe_name],
        )
        for number, pipe_name, dag_id, dag_run_id, start, end in found
    ]


def _take_back(connection: Any, load: _Load, environment: Environment, log: Log) -> TakenBack:
    first = next(stage for stage in load.stages if stage.kind is StageKind.ETL_SOR)
    rows = _walk(connection, first, load.run, take_back(first, load.run), environment, log)
    return TakenBack(run=load.run.number, pipe=first.pipe_name, tables=rows)


def _take_back_datamarts(
    connection: Any, stage: Stage, loads: Sequence[_Load], environment: Environment, log: Log
) -> TakenBack:
    runs = sorted({load.run.number for load in loads})
    rows = _walk(connection, stage, loads[0].run, take_back_models(stage, runs), environment, log)
    return TakenBack(run=loads[0].run.number, pipe=None, tables=rows)


def _walk(
    connection: Any, stage: Stage, run: Run, program: Program, environment: Environment, log: Log
) -> tuple[tuple[TableName, int], ...]:
    """Do the program; return how many rows of which table it changed."""
    with closing(LogFiles(stage, run, environment)) as files:
        interpreter = Interpreter(connection, stage, run, environment, lambda what: None, files, log)
        interpreter.walk(program)
    rows: Counter[TableName] = Counter()
    for step in interpreter.records:
        if step.table is not None and step.count is not None and step.rows:
            rows[step.table] += step.rows
    return tuple(sorted(rows.items()))


def _record(
    connection: Any, pipeline: Pipeline, to: Decimal, pipe: str | None, taken: Sequence[TakenBack], now: datetime
) -> None:
    s, runs = quote(pipeline.sys_schema), sorted({back.run for back in taken})
    with connection.cursor() as cursor:
        # They have not ended any more: once one of them is started again, the runs after it wait for it.
        cursor.execute(f"update {s}.runs set finish_date = null where runid = any(%s)", (runs,))
        cursor.execute(
            f"""insert into {s}.rewinds (date, pipeline, pipe, to_runid, runs, rows, by)
                values (%s, %s, %s, %s, %s, %s, session_user)""",
            (now, pipeline.name, pipe, to, runs, sum(back.rows for back in taken)),
        )


def _rows(connection: Any, sql: str, parameters: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

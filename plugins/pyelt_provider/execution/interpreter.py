"""Walks through a program and does its steps on PostgreSQL: the only place where statements meet the driver."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, assert_never

import psycopg2

from pyelt_provider.errors import DeliveryMissing, PyeltError, StageFailed
from pyelt_provider.execution.database_errors import safe_message
from pyelt_provider.execution.delivery_steps import copy_delivery, is_file, read_columns
from pyelt_provider.execution.environment import Environment, HookContext
from pyelt_provider.execution.log_files import LogFiles
from pyelt_provider.execution.outcome import StepRecord
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.mapping import Mapping
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.shown_text import visible
from pyelt_provider.statements.step import (
    CallHook,
    CopyDelivery,
    Count,
    Failure,
    IdentifyFile,
    Isolated,
    Number,
    Program,
    ReadColumns,
    Result,
    Statement,
    Step,
)


class HookConnection:
    """The task's own connection as a hook sees it: cursors yes, ending the transaction no, because it is not the hook's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def cursor(self, *arguments: Any, **keywords: Any) -> Any:
        return self._connection.cursor(*arguments, **keywords)

    def commit(self) -> None:
        raise PyeltError("a hook may not commit: the stage commits all or nothing at its end; leave the commit out")

    def rollback(self) -> None:
        raise PyeltError("a hook may not roll back: raise an exception instead, then the stage takes everything back")


class Interpreter:
    """Does the steps of one stage inside the transaction of `connection`, and keeps a record of each.

    `announce` is told what is about to be done, `files` get every statement and line. Errors come out as StageFailed
    with the step's label, table and mapping, and never with values of the data.
    """

    def __init__(
        self,
        connection: Any,
        stage: Stage,
        run: Run,
        environment: Environment,
        announce: Callable[[str], None],
        files: LogFiles,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self._connection = connection
        self._stage = stage
        self._run = run
        self._environment = environment
        self._announce = announce
        self._files = files
        self._log = log
        self._savepoints = 0
        self.records: list[StepRecord] = []
        self.failures: list[tuple[str, str]] = []

    def walk(self, program: Program) -> None:
        """Do every step of the program and of the programs within it."""
        try:
            step = next(program)
            while True:
                step = program.send(self._do(step))
        except StopIteration:
            return

    def _do(self, step: Step) -> Result:
        match step:
            case Statement():
                return self._timed(step.label, step.table, step.count, step.mapping, lambda: self._execute(step))
            case CopyDelivery():
                return self._timed(
                    step.label,
                    step.table or step.into,
                    Count.READ,
                    "",
                    lambda: self._copy_delivery(step),
                )
            case IdentifyFile():
                return self._timed(step.label, step.staging.table, None, "", lambda: self._identify_file(step))
            case ReadColumns():
                return self._timed(step.label, None, None, "", lambda: self._read_columns(step))
            case CallHook():
                return self._timed(step.label, None, None, "", lambda: self._call_hook(step))
            case Number():
                record = StepRecord(
                    label=step.label,
                    table=step.table,
                    count=step.count,
                    rows=step.rows,
                    seconds=0.0,
                    mapping=step.mapping,
                )
                self.records.append(record)
                return Result(row_count=step.rows)
            case Failure():
                self.failures.append((step.mapping, step.error))
                self._log.error("%s failed: %s", step.mapping, step.error)
                self._files.line(f"{step.mapping} failed: {step.error}")
                return Result()
            case Isolated():
                return self._isolated(step)
            case _:
                assert_never(step)

    def _timed(
        self, label: str, table: TableName | None, count: Count | None, mapping: str, work: Callable[[], Result]
    ) -> Result:
        what = visible(label + (f" of {table}" if table else "") + (f" [{mapping}]" if mapping else ""))
        self._announce(what)
        started = time.perf_counter()
        try:
            result = work()
        except psycopg2.Error as error:
            places = _places(self._stage, mapping)
            raise StepFailed(f"{what} ({places})" if places else what, self._stage.id, error) from error
        seconds = time.perf_counter() - started
        rows = result.row_count if count is not None else None
        self.records.append(
            StepRecord(label=label, table=table, count=count, rows=rows, seconds=seconds, mapping=mapping)
        )
        counted = "" if rows is None else f"{rows} rows {count}, "
        section = visible(mapping or str(table or ""))  # for logs that are folded per mapping or table
        line = f"{what}: {counted}{seconds:.3f} s"
        self._log.info("%s", line, extra={"section": section})
        self._files.line(line)
        return result

    def _execute(self, statement: Statement) -> Result:
        self._files.statement(statement)
        with self._connection.cursor() as cursor:
            cursor.execute(statement.sql, dict(statement.parameters))
            rows = tuple(cursor.fetchall()) if statement.fetch else ()
            return Result(row_count=max(cursor.rowcount, 0), rows=rows)

    def _copy_delivery(self, step: CopyDelivery) -> Result:
        with _patience_of(step.staging):
            return copy_delivery(step, self._connection, self._environment, self._stage, self._run)

    def _identify_file(self, step: IdentifyFile) -> Result:
        with _patience_of(step.staging):
            return Result(rows=((is_file(step, self._environment, self._stage, self._run),),))

    def _read_columns(self, step: ReadColumns) -> Result:
        with _patience_of(step.staging):
            names = read_columns(step, self._environment, self._stage, self._run)
        return Result(row_count=len(names), rows=tuple((name,) for name in names))

    def _call_hook(self, step: CallHook) -> Result:
        function = self._environment.hook(step.hook, self._stage.pipeline.project_folder)
        function(HookContext(pipe=self._stage.the_pipe, connection=HookConnection(self._connection), run=self._run))
        return Result()

    def _isolated(self, step: Isolated) -> Result:
        self._savepoints += 1
        name = f"pyelt_{self._savepoints}"
        kept_records, kept_failures = len(self.records), len(self.failures)
        self._plain(f"savepoint {name}")
        try:
            self.walk(step.program)
        except DeliveryMissing:
            raise  # not a failure of one table: the task waits for the file, or fails as a whole and can be tried again
        except (StepFailed, PyeltError) as error:
            code = error.pgcode if isinstance(error, StepFailed) else None
            if self._connection.closed or (step.only and not (code and code.startswith(step.only))):
                raise
            self._plain(f"rollback to savepoint {name}; release savepoint {name}")
            # What was rolled back is not counted; only that it was tried is said.
            del self.records[kept_records:], self.failures[kept_failures:]
            self._log.warning("%s: taken back: %s", step.label, error)
            return Result(error=str(error))
        self._plain(f"release savepoint {name}")
        return Result()

    def _plain(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)


def _places(stage: Stage, mapping: str) -> str:
    """Return where the mappings of a step (their names with commas between) are written: files with lines."""
    if not mapping or stage.pipe is None:
        return ""
    names = {mapping, *mapping.split(", ")}
    mappings: tuple[Mapping, ...] = (*stage.pipe.valuesets, *stage.pipe.entities, *stage.pipe.links)
    rules = (rule for domain in stage.pipeline.domains for rule in domain.validations)
    written = [
        *((mapping.name, mapping.place) for mapping in mappings),
        *((f"validations of {rule.table}", rule.place) for rule in rules),
    ]
    return ", ".join(str(place) for name, place in written if name in names and place.file)


@contextmanager
def _patience_of(staging: StagingTable) -> Iterator[None]:
    """Say on a delivery that is missing how long its table waits for it."""
    try:
        yield
    except DeliveryMissing as error:
        error.wait_for = staging.wait_for
        raise


class StepFailed(StageFailed):
    """A statement failed in the database; says which one, on which table, for which mapping, and why."""

    def __init__(self, what: str, stage: str, error: psycopg2.Error) -> None:
        self.pgcode = error.pgcode
        self.what, self.stage, self.reason = what, stage, safe_message(error)
        super().__init__(f"{stage}: {what}: {self.reason}")

    def __reduce__(self) -> tuple[type[StageFailed], tuple[str]]:
        return StageFailed, (str(self),)

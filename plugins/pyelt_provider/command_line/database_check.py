"""What only databases know of a project: makes its tables in a transaction, has its SQL explained, and rolls back.

So it also sees what the next run would add to the warehouse, and counts what an old PyELT left broken there.
"""

from __future__ import annotations

import logging
import re
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyelt_provider.command_line.additions import Additions
from pyelt_provider.errors import ConfigError, DeliveryMissing, Problem, PyeltError
from pyelt_provider.execution.delivery_steps import read_columns
from pyelt_provider.execution.environment import Environment
from pyelt_provider.execution.interpreter import Interpreter, StepFailed
from pyelt_provider.execution.log_files import LogFiles
from pyelt_provider.execution.warehouse import session
from pyelt_provider.identifiers import TableName, opaque, quote
from pyelt_provider.model.datamart import DatamartModel
from pyelt_provider.model.mapping import Mapping
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.place import Place
from pyelt_provider.planning.plan import build_plans
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.mappings.checks import mapping_problems
from pyelt_provider.statements.programs import statements_for
from pyelt_provider.statements.repair.damage import Found
from pyelt_provider.statements.repair.program import find_damage
from pyelt_provider.statements.runs.bookkeeping import create_bookkeeping
from pyelt_provider.statements.step import Isolated, Program, ReadColumns, Result, Statement

_DDL = (StageKind.PREPARE, StageKind.DDL_VALSET, StageKind.DDL_DV)


@dataclass(slots=True)
class DatabaseCheck:
    """What came of the check: problems, notes on what could not be looked at, additions, and what is broken."""

    additions: Additions
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damage: list[Found] = field(default_factory=list)

    def add(self, place: Place, path: str, what: str, mend: str = "") -> None:
        self.problems.append(Problem(place.file, place.line, path, " ".join(what.split()), mend))


def check_database(pipeline: Pipeline, environment: Environment, day: datetime | None = None) -> DatabaseCheck:
    """Check mappings and SQL against the real warehouse and sources; return every problem and all that was seen.

    Deliveries of `day` (today) are asked for their columns; a file that is not there leaves its table unchecked. The
    warehouse stays as it is: all is rolled back, but while it lasts (a second or two) new columns lock their tables.
    Raises PyeltError when the warehouse cannot be reached.
    """
    start = day or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    run = Run(
        number=Decimal(0),
        dag_id=pipeline.name,
        dag_run_id="check",
        interval_start=start.replace(tzinfo=None),
        interval_end=(start + timedelta(days=1)).replace(tzinfo=None),
        load_time=datetime.now(UTC).replace(tzinfo=None),
        allow_ddl=True,
    )
    # A stage stands in the plan of each schedule; what it does to the tables is the same.
    stages = {stage.id: stage for plan in build_plans(pipeline) for stage in plan.stages}
    with session(pipeline, environment, f"pyelt:check:{pipeline.name}") as connection, closing(_Connection(connection)):
        found = DatabaseCheck(additions=Additions(before=_tables(connection)))
        found.additions.has_bookkeeping = _bookkeeping(pipeline, connection)
        _try(stages["close"], _damage(pipeline, found), run, environment, connection, {}, found)
        columns = {
            pipe.name: _columns(stages[f"{pipe.name}.sor.ddl_sor"], run, environment, found) for pipe in pipeline.pipes
        }
        for stage in stages.values():
            if stage.kind in _DDL:
                _try(stage, statements_for(stage, run), run, environment, connection, {}, found)
        pipes = [_known_part(pipe, columns[pipe.name]) for pipe in pipeline.pipes]
        for pipe in pipes:
            stage = replace(stages[f"{pipe.name}.sor.ddl_sor"], pipe=pipe)
            _try(stage, statements_for(stage, run), run, environment, connection, columns[pipe.name], found)
        for pipe in pipes:
            stage = replace(stages[f"{pipe.name}.sor.ddl_sor"], pipe=pipe)
            _try(stage, _mappings(pipeline, pipe, found), run, environment, connection, {}, found)
        last = stages["close"]
        _try(last, _validations(pipeline, found), run, environment, connection, {}, found)
        broken: set[TableName] = set()
        for model in pipeline.datamarts:
            # What reads a broken model cannot work either; the broken one is what has to be mended.
            before = len(found.problems)
            if broken.isdisjoint(model.reads):
                stage = replace(last, id=model.file)
                _try(stage, _model(model), run, environment, connection, {}, found, model.place)
            if len(found.problems) > before or not broken.isdisjoint(model.reads):
                broken.add(model.table)
    found.problems = sorted(
        dict.fromkeys(found.problems), key=lambda item: (item.file.count("/"), item.file, item.line)
    )
    return found


class _Connection:
    """Rolls the transaction back at the end, whatever happened."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def close(self) -> None:
        if not self._connection.closed:
            self._connection.rollback()


class _Walker(Interpreter):
    """An interpreter which knows the deliveries' columns already: nothing is read while tables are locked."""

    def __init__(self, stage: Stage, run: Run, environment: Environment, connection: Any, columns: _Columns) -> None:
        log = logging.getLogger("pyelt.check")
        log.setLevel(logging.CRITICAL)
        super().__init__(connection, stage, run, environment, lambda what: None, _NoFiles(), log)
        self._known = columns

    def _read_columns(self, step: ReadColumns) -> Result:
        names = self._known.get(step.staging.name, ())
        return Result(row_count=len(names), rows=tuple((name,) for name in names))


class _NoFiles(LogFiles):
    """Writes no log files."""

    def __init__(self) -> None:
        pass

    def line(self, text: str) -> None:
        pass

    def statement(self, statement: Statement) -> None:
        pass


_Columns = dict[str, tuple[str, ...]]


def _try(
    stage: Stage,
    program: Program,
    run: Run,
    environment: Environment,
    connection: Any,
    columns: _Columns,
    found: DatabaseCheck,
    place: Place | None = None,
) -> None:
    """Walk through a program inside a savepoint; an error of it is a problem, and the next program goes on."""
    with connection.cursor() as cursor:
        cursor.execute("savepoint pyelt_check")
        try:
            walker = _Walker(stage, run, environment, connection, columns)
            walker.walk(program)
        except ConfigError as error:
            found.problems += error.problems
        except PyeltError as error:
            if connection.closed:
                raise
            where = place or (stage.pipe.place if stage.pipe is not None else stage.pipeline.place)
            if place is not None and isinstance(error, StepFailed):
                found.add(where, "", f"the query does not work: {error.reason}")
            else:
                found.add(where, stage.id, str(error))
        else:
            cursor.execute("release savepoint pyelt_check")
            found.additions.add(walker.records)
            return
        cursor.execute("rollback to savepoint pyelt_check")


def _bookkeeping(pipeline: Pipeline, connection: Any) -> bool:
    """Make the bookkeeping tables where the warehouse has none yet; existing ones are not touched, so not locked.

    Returns whether they were there.
    """
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s)", (f"{quote(pipeline.sys_schema)}.extra_sql".replace("%%", "%"),))
        there = cursor.fetchone()[0] is not None
        if not there:
            cursor.execute(create_bookkeeping(pipeline.sys_schema))
        return there


def _tables(connection: Any) -> frozenset[TableName]:
    with connection.cursor() as cursor:
        cursor.execute("""
            select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')""")
        return frozenset(TableName(schema, name) for schema, name in cursor.fetchall())


def _damage(pipeline: Pipeline, found: DatabaseCheck) -> Program:
    found.damage += yield from find_damage(pipeline)


def _columns(stage: Stage, run: Run, environment: Environment, found: DatabaseCheck) -> _Columns:
    """Ask every source of a pipe for its columns. A file that is not there is a note, a source that refuses a problem."""
    known: _Columns = {}
    for staging in stage.the_pipe.tables:
        try:
            known[staging.name] = read_columns(ReadColumns(label="", staging=staging), environment, stage, run)
        except DeliveryMissing as error:
            if staging.columns:
                known[staging.name] = staging.columns
            else:
                found.notes.append(f"{staging.table} is not checked: {error}")
        except PyeltError as error:
            found.add(staging.place, f"sor.{staging.name}", str(error))
    return known


def _known_part(pipe: Pipe, known: _Columns) -> Pipe:
    """Return the pipe without the tables whose columns nobody knows, and without what is mapped from them."""

    def is_known(mapping: Mapping) -> bool:
        return mapping.source.staging is None or mapping.source.staging in known

    return replace(
        pipe,
        tables=tuple(table for table in pipe.tables if table.name in known),
        validations=tuple(rule for rule in pipe.validations if rule.table in known),
        entities=tuple(mapping for mapping in pipe.entities if is_known(mapping)),
        links=tuple(mapping for mapping in pipe.links if is_known(mapping)),
        valuesets=tuple(mapping for mapping in pipe.valuesets if is_known(mapping)),
    )


def _mappings(pipeline: Pipeline, pipe: Pipe, found: DatabaseCheck) -> Program:
    found.problems += yield from mapping_problems(pipeline, pipe)


def _validations(pipeline: Pipeline, found: DatabaseCheck) -> Program:
    for domain in pipeline.domains:
        for number, rule in enumerate(domain.validations, start=1):
            path = f"validations[{number}].when"
            result = yield Isolated(label=f"check {path}", program=_explain(rule.table.sql, rule.when))
            if result.error is not None:
                reason = re.sub(r"^.*?(?=\b[0-9A-Z]{5} )", "", result.error, count=1)
                found.add(rule.place, path, f"{rule.when!r} does not work: {reason}")


def _explain(table: str, when: str) -> Program:
    yield Statement(label="check a validation", sql=f"explain select 1 from {table} s where ({opaque(when)})")


def _model(model: DatamartModel) -> Program:
    """Have the query planned; where the model does not exist yet, stand a view in for it that others may read."""
    yield Statement(label="plan the query", sql=f"explain {opaque(model.sql)}")
    there = yield Statement(
        label="look for the model",
        fetch=True,
        parameters={"name": model.table.sql.replace("%%", "%")},
        sql="select to_regclass(%(name)s) is not null",
    )
    if not there.value:
        yield Statement(label="stand a view in for it", sql=f"create view {model.table.sql} as {opaque(model.sql)}")

"""The first stage of a run: schemas, database functions, and checks of the domain before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.errors import ConfigError, Problem
from pyelt_provider.identifiers import quote
from pyelt_provider.model.domain import Column
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.place import Place
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.catalog import read_schemas
from pyelt_provider.statements.ddl.column_types import canonical_type
from pyelt_provider.statements.ddl.database_functions import ensure_functions
from pyelt_provider.statements.ddl.table_creation import create_schema
from pyelt_provider.statements.ddl.table_ddl import confirm, in_short_tries, lock_ddl
from pyelt_provider.statements.ddl.tables import specs_of
from pyelt_provider.statements.step import Isolated, Program, Routine, Statement
from pyelt_provider.statements.vault.views import vault_views


def prepare(stage: Stage, run: Run) -> Program:
    """Create missing schemas and the pipeline's functions, and check the domain; takes nothing back when run twice.

    Raises ConfigError with every column type that the warehouse does not know, before any table is touched.
    """
    pipeline = stage.pipeline
    yield _reopen(stage, run)
    vault_views(pipeline)  # names that are too long or clash come out here
    yield from _make_schemas(stage, run)
    yield from ensure_functions(pipeline.functions, stage, run, owner="", may_wait=True)
    problems = yield from _unknown_types(pipeline)
    if problems:
        raise ConfigError(problems)


def _reopen(stage: Stage, run: Run) -> Statement:
    return Statement(
        label="open the run again",
        # A run that was closed and is done once more has not ended: runs after it wait for it again.
        sql=f"update {quote(stage.pipeline.sys_schema)}.runs set finish_date = null "
        "where runid = %(runid)s and finish_date is not null",
        parameters={"runid": run.number},
    )


def schemas_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return every schema of the warehouse that the pipeline writes to, except the bookkeeping schema."""
    names = {spec.table.schema for spec in specs_of(pipeline)}
    names |= {pipe.sor_schema for pipe in pipeline.pipes} | {model.schema for model in pipeline.datamarts}
    return tuple(sorted(names))


def _make_schemas(stage: Stage, run: Run) -> Program:
    missing = yield from read_schemas(schemas_of(stage.pipeline))
    if not missing:
        return
    statements = [create_schema(name) for name in missing]
    confirm(stage, run, "\n".join(f"{statement.sql.replace('%%', '%')};" for statement in statements))
    yield from lock_ddl()
    yield from in_short_tries(stage, lambda: _each(statements))


def _each(statements: list[Statement]) -> Program:
    for statement in statements:  # noqa: UP028 - results are sent into a program; a list cannot take them
        yield statement


def _columns(pipeline: Pipeline) -> Iterator[tuple[str, Column]]:
    for hub in pipeline.hubs.values():
        for satellite in hub.satellites:
            if satellite.owner == hub.name:
                yield from ((f"hubs.{hub.name}.satellites.{satellite.name}", column) for column in satellite.columns)
    for link in pipeline.links.values():
        for satellite in link.satellites:
            yield from ((f"links.{link.name}.satellites.{satellite.name}", column) for column in satellite.columns)
    for valueset in pipeline.valuesets.values():
        yield from ((f"valuesets.{valueset.name}.columns", column) for column in valueset.columns)


def _unknown_types(pipeline: Pipeline) -> Routine[tuple[Problem, ...]]:
    columns = list(_columns(pipeline))
    types = sorted({column.type for _, column in columns} - _SURE)
    if not types:
        return ()
    checks = [Statement(label=f"check the column type {name}", sql=_cast(name)) for name in types]
    unknown: dict[str, str] = {}
    # All in one savepoint; only when that fails is each looked at alone.
    together = yield Isolated(label="check column types", program=_each(checks), only=("42", "22", "0A", "3F"))
    for name, check in zip(types, checks, strict=True) if together.error is not None else ():
        result = yield Isolated(label=check.label, program=_each([check]), only=("42", "22", "0A", "3F"))
        if result.error is not None:
            unknown[name] = result.error
    return tuple(
        _problem(column.place, f"{path}.{column.name}", column.type)
        for path, column in columns
        if column.type in unknown
    )


_SURE = frozenset({"text", "date", "timestamp", "integer", "int", "bigint", "numeric", "boolean"})


def _cast(name: str) -> str:
    # The planner never evaluates it, the parser has to know the type. A type is a piece of SQL, so it stands alone here.
    return f"select null::{canonical_type(name).replace('%', '%%')} where false"


def _problem(place: Place, path: str, type_name: str) -> Problem:
    return Problem(
        place.file,
        place.line,
        path,
        f"the warehouse has no type {type_name!r}",
        "use a type of PostgreSQL (text, date, numeric(10,2), timestamp) or create it first",
    )

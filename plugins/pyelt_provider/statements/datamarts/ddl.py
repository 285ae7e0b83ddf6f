"""The stage that makes the datamarts' schema, functions, tables and views; nothing is loaded yet."""

from __future__ import annotations

from pyelt_provider.errors import ConfigError, DdlRefused, Problem
from pyelt_provider.identifiers import TableName, constraint_name, quote, quote_all, text_literal
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.datamarts.inputs import model_fingerprint, query_of
from pyelt_provider.statements.datamarts.shape import shape_of
from pyelt_provider.statements.ddl.catalog import Catalog, FoundTable, read_catalog
from pyelt_provider.statements.ddl.database_functions import ensure_functions
from pyelt_provider.statements.ddl.dependents import look_up_dependents
from pyelt_provider.statements.ddl.table_creation import create_schema
from pyelt_provider.statements.ddl.table_ddl import confirm, in_short_tries, lock_ddl
from pyelt_provider.statements.ddl.view_ddl import ViewSpec, make_view
from pyelt_provider.statements.step import Isolated, Program, Statement


def ddl_dm(stage: Stage, run: Run) -> Program:
    """Make what is missing for the stage's models, and change what their queries changed; grants and dependents stay.

    With nothing to do this is one or two looks at the catalogue. A table of a model gets new columns at its end and keeps
    those that the query has no more (empty); a column with another type is made anew, since etl_dm fills it again. Raises
    ConfigError with every model whose query does not work.
    """
    pipeline = stage.pipeline
    yield from ensure_functions(pipeline.functions, stage, run, owner="")
    catalog = yield from read_catalog(model.table for model in stage.datamarts)
    changed = _changed(stage, catalog)
    if not changed and not catalog.missing_schemas:
        return
    confirm(stage, run, "\n".join(_shown(model, catalog.tables.get(model.table)) for model in changed))
    yield from lock_ddl()
    catalog = yield from read_catalog(model.table for model in stage.datamarts)
    yield from in_short_tries(stage, lambda: _make(_changed(stage, catalog), catalog, pipeline))


def _changed(stage: Stage, catalog: Catalog) -> list[DatamartModel]:
    changed = []
    for model in stage.datamarts:
        found = catalog.tables.get(model.table)
        is_view = model.materialization is Materialization.VIEW
        if found is not None and (found.kind == "v") != is_view:
            kind = "view" if found.kind == "v" else "table"
            raise DdlRefused(
                f"{model.file}: {model.table} is to be a {model.materialization}, but there is a {kind} of that name; "
                f"a DBA may run: drop {kind} {model.table};"
            )
        if found is None or found.comment != _comment(model, stage.pipeline):
            changed.append(model)
    return changed


def _comment(model: DatamartModel, pipeline: Pipeline) -> str:
    if model.materialization is Materialization.VIEW:
        return _view(model).comment
    mark = f"pyelt:{model_fingerprint(model, pipeline)}"
    return f"{model.description} [{mark}]" if model.description else mark


def _view(model: DatamartModel) -> ViewSpec:
    return ViewSpec(table=model.table, source=query_of(model), description=model.description, reads=model.reads)


def _shown(model: DatamartModel, found: FoundTable | None) -> str:
    query = query_of(model).replace("%%", "%")
    if model.materialization is Materialization.VIEW:
        return f"create or replace view {model.table} as\n{query};"
    if found is None:
        return f"create table {model.table} as\n{query};"
    return f"-- add or change columns of {model.table}, so that it has those of\n{query};"


def _make(models: list[DatamartModel], catalog: Catalog, pipeline: Pipeline) -> Program:
    for schema in catalog.missing_schemas:
        yield create_schema(schema)
    problems: list[Problem] = []
    broken: set[TableName] = set()
    for model in models:
        if broken & set(model.reads):
            broken.add(model.table)
            continue
        program = _make_one(model, catalog.tables.get(model.table), _comment(model, pipeline))
        # Names and syntax are the user's; everything else (locks) is not a problem of the model.
        result = yield Isolated(label=f"make {model.table}", program=program, only=("42", "22", "0A"))
        if result.error is not None:
            broken.add(model.table)
            what = f"the query of {model.table} does not work: {result.error}"
            problems.append(Problem(model.file, model.place.line or 1, model.name, what, "try it in psql"))
    if problems:
        raise ConfigError(tuple(problems))


def _make_one(model: DatamartModel, found: FoundTable | None, comment: str) -> Program:
    table = model.table
    if model.materialization is Materialization.VIEW:
        yield from make_view(_view(model), found)
        return
    if found is None:
        yield Statement(
            label="create table",
            table=table,
            sql=f"create table {table.sql} as\n{query_of(model)}\nwith no data",
        )
        if model.materialization is Materialization.INCREMENTAL:
            yield Statement(
                label="add the run's column",
                table=table,
                sql=f"alter table {table.sql} add column if not exists _runid numeric",
            )
    else:
        yield from _change_columns(model, found)
    if model.materialization is Materialization.INCREMENTAL:
        yield from _indexes(model, found)
    yield Statement(
        label="describe table",
        table=table,
        sql=f"comment on table {table.sql} is {text_literal(comment)}",
    )


def _indexes(model: DatamartModel, found: FoundTable | None) -> Program:
    """The unique key, by which rows are compared, and the run, by which they are taken back."""
    unique, by_run = constraint_name(model.name, *model.unique_key, "key"), constraint_name(model.name, "_runid")
    columns = quote_all(model.unique_key)
    for name, kind, indexed in ((unique, "unique index", columns), (by_run, "index", quote("_runid"))):
        if found is None or not any(index.name == name for index in found.indexes):
            yield Statement(
                label=f"create index {name}",
                table=model.table,
                sql=f"create {kind} {quote(name)} on {model.table.sql} ({indexed})",
            )


def _change_columns(model: DatamartModel, found: FoundTable) -> Program:
    table = model.table
    shape = yield from shape_of(model)
    if model.materialization is Materialization.INCREMENTAL and "_runid" not in dict(shape):
        shape = (*shape, ("_runid", "numeric"))
    new = [(name, kind) for name, kind in shape if name not in found.columns]
    other = [(name, kind) for name, kind in shape if name in found.columns and found.columns[name].type != kind]
    if new:
        adds = ", ".join(f"add column {quote(name)} {kind}" for name, kind in new)
        yield Statement(label="add columns", table=table, sql=f"alter table {table.sql} {adds}")
    if not other:
        return
    # The rows are derived and come back; the views on the table stand in the way and come back as well.
    dependents = yield from look_up_dependents(table)
    for dependent in reversed(dependents.below):
        kind = "materialized view" if dependent.materialized else "view"
        yield Statement(label="drop view", table=dependent.table, sql=f"drop {kind} {dependent.table.sql}")
    changes = ", ".join(f"drop column {quote(name)} cascade, add column {quote(name)} {kind}" for name, kind in other)
    yield Statement(label="change columns", table=table, sql=f"alter table {table.sql} {changes}")
    for dependent in dependents.below:
        yield from dependent.rebuild()

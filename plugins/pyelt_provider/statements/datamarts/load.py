"""The stage that fills the datamarts."""

from __future__ import annotations

from typing import assert_never

from pyelt_provider.identifiers import TableName, quote_all
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.datamarts.incremental import increment
from pyelt_provider.statements.datamarts.inputs import (
    always_builds,
    freshness,
    query_of,
    remember_build,
    tables_behind,
    views_of,
)
from pyelt_provider.statements.datamarts.shape import shape_of
from pyelt_provider.statements.ddl.bulk import drop_for_bulk, restore_after_bulk
from pyelt_provider.statements.ddl.tables import TableSpec
from pyelt_provider.statements.mappings.order import each_mapping
from pyelt_provider.statements.sql.loads import see_horizon
from pyelt_provider.statements.step import Count, Isolated, Program, Statement


def etl_dm(stage: Stage, run: Run) -> Program:
    """Build the stage's models in the order of what they read; those whose inputs did not change are passed over.

    A table is emptied and filled again in one transaction, so readers see the old rows or the new ones. An incremental
    model gets the rows that its query gives now: new keys are added, changed rows replaced, the others stay. Where
    something that it has seen was taken back or loaded again, the builds since then are taken back first; so is its own
    build when the stage is done again in its run.
    """
    written: set[TableName] = set()
    views = views_of(stage.pipeline)
    together = {model.table: model.reads for model in stage.datamarts}
    horizon = yield from see_horizon(stage)
    units = (
        (str(model.table), _build(model, tables_behind(model, views, together), stage, run, written, horizon))
        for model in stage.datamarts
    )
    yield from each_mapping(units, stage.pipeline.on_errors)


def _build(
    model: DatamartModel,
    behind: tuple[TableName, ...],
    stage: Stage,
    run: Run,
    written: set[TableName],
    horizon: int,
) -> Program:
    if model.materialization is Materialization.VIEW:
        return
    fresh = yield from freshness(model, behind, stage, run)
    rebuilt = bool(written & set(behind))
    if not (fresh.new or fresh.changed or fresh.gone or fresh.again or rebuilt or always_builds(model, stage.pipeline)):
        return
    columns = yield from shape_of(model)
    match model.materialization:
        case Materialization.TABLE:
            yield from fill_anew(model, tuple(name for name, _ in columns))
        case Materialization.INCREMENTAL:
            yield from increment(model, columns, stage, run, fresh.undo)
        case _:
            assert_never(model.materialization)
    written.add(model.table)
    yield from remember_build(model, stage, run, fresh, horizon)


def fill_anew(model: DatamartModel, columns: tuple[str, ...]) -> Program:
    """Empty the model's table and fill it from its query; indexes are made after the rows."""
    table = model.table
    emptied = yield Isolated(label=f"empty {table}", program=_truncate(table), only=("0A000",))
    if emptied.error is not None:  # a foreign key of somebody points at it
        yield Statement(label="remove the old rows", table=table, sql=f"delete from {table.sql}")
    dropped = yield from drop_for_bulk(TableSpec(table=table, columns=()))
    names = quote_all(columns)
    yield Statement(
        label="build anew",
        table=table,
        mapping=str(table),
        count=Count.INSERTED,
        sql=f"insert into {table.sql} ({names})\nselect {names}\nfrom (\n{query_of(model)}\n) as model",
    )
    yield from restore_after_bulk(dropped)


def _truncate(table: TableName) -> Program:
    yield Statement(label="empty the table", table=table, sql=f"truncate {table.sql}")

"""The stage that fills the datamarts."""

from __future__ import annotations

from typing import assert_never

from pyelt_provider.errors import MappingRefused
from pyelt_provider.identifiers import TableName, constraint_name, quote, quote_all
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.datamarts.inputs import (
    Freshness,
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
from pyelt_provider.statements.sql.casts import comparable
from pyelt_provider.statements.step import Count, Isolated, Program, Statement


def etl_dm(stage: Stage, run: Run) -> Program:
    """Build the stage's models in the order of what they read; those whose inputs did not change are passed over.

    A table is emptied and filled again in one transaction, so readers see the old rows or the new ones. An incremental
    model gets the rows that its query gives now: new keys are added, changed rows replaced, the others stay. It is built
    from nothing when something that it has seen was taken back or loaded again, or when it is itself done again in a run.
    """
    written: set[TableName] = set()
    views = views_of(stage.pipeline)
    units = (
        (str(model.table), _build(model, tables_behind(model, views), stage, run, written)) for model in stage.datamarts
    )
    yield from each_mapping(units, stage.pipeline.on_errors)


def _build(
    model: DatamartModel, behind: tuple[TableName, ...], stage: Stage, run: Run, written: set[TableName]
) -> Program:
    if model.materialization is Materialization.VIEW:
        return
    fresh = yield from freshness(model, behind, stage, run)
    rebuilt = bool(written & set(behind))
    if not (fresh.new or fresh.changed or fresh.anew or rebuilt or always_builds(model, stage.pipeline)):
        return
    columns = yield from shape_of(model)
    match model.materialization:
        case Materialization.TABLE:
            yield from _fill_anew(model, tuple(name for name, _ in columns))
        case Materialization.INCREMENTAL:
            yield from _increment(model, columns, run, fresh)
        case _:
            assert_never(model.materialization)
    written.add(model.table)
    yield from remember_build(model, stage, run, fresh)


def _fill_anew(model: DatamartModel, columns: tuple[str, ...]) -> Program:
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


def _increment(model: DatamartModel, columns: tuple[tuple[str, str], ...], run: Run, fresh: Freshness) -> Program:
    names = tuple(name for name, _ in columns)
    table = model.table
    rows = f"pg_temp.{quote(constraint_name('model', table.schema, table.name))}"
    yield Statement(
        label="run the model's query",
        table=table,
        mapping=str(table),
        sql=f"create temporary table {rows.removeprefix('pg_temp.')} on commit drop as\n{query_of(model)}",
    )
    yield from _refuse_bad_keys(model, rows)
    if fresh.anew:
        yield from _fill_from(model, names, rows, run)
    else:
        yield Statement(label="gather statistics", sql=f"analyze {rows}")
        yield from _upsert(model, columns, rows, run)
    yield Statement(label="drop the query's rows", sql=f"drop table {rows}")


def _refuse_bad_keys(model: DatamartModel, rows: str) -> Program:
    key = quote_all(model.unique_key)
    nulls = " or ".join(f"{quote(name)} is null" for name in model.unique_key)
    found = yield Statement(
        label="check the unique key",
        table=model.table,
        fetch=True,
        assumed=((0, 0),),
        sql=f"""
select (select count(*) from {rows} where {nulls}),
    (select count(*) from (select from {rows} group by {key} having count(*) > 1) as several)""",
    )
    without, several = found.rows[0]
    if without or several:
        raise MappingRefused(
            f"{model.file}: unique_key ({', '.join(model.unique_key)}) of {model.table} does not identify a row: "
            f"{without} rows have a null in it, {several} keys occur more than once; mend the query or the key"
        )


def _with_run(names: tuple[str, ...], alias: str = "") -> tuple[str, str]:
    """The columns to write and what they get: the query's, and the run's number where the query has no `_runid`."""
    columns, values = quote_all(names), quote_all(names, alias)
    return (columns, values) if "_runid" in names else (f"{columns}, _runid", f"{values}, %(runid)s")


def _fill_from(model: DatamartModel, names: tuple[str, ...], rows: str, run: Run) -> Program:
    table = model.table
    columns, selected = _with_run(names)
    yield Statement(label="remove the old rows", table=table, sql=f"delete from {table.sql}")
    yield Statement(
        label="build anew",
        table=table,
        mapping=str(table),
        count=Count.INSERTED,
        parameters={"runid": run.number},
        sql=f"insert into {table.sql} ({columns})\nselect {selected}\nfrom {rows}",
    )
    yield Statement(label="gather statistics", table=table, sql=f"analyze {table.sql}")


def _upsert(model: DatamartModel, columns: tuple[tuple[str, str], ...], rows: str, run: Run) -> Program:
    table = model.table
    same = " and ".join(f"t.{quote(name)} = n.{quote(name)}" for name in model.unique_key)
    values = [(name, kind) for name, kind in columns if name not in model.unique_key]
    names = tuple(name for name, _ in columns)
    written, selected = _with_run(names, "n")
    if values:
        assigned = ", ".join(f"{quote(name)} = n.{quote(name)}" for name, _ in values)
        assigned += "" if "_runid" in names else ", _runid = %(runid)s"
        differs = " or ".join(
            f"{comparable(f't.{quote(name)}', kind)} is distinct from {comparable(f'n.{quote(name)}', kind)}"
            for name, kind in values
        )
        yield Statement(
            label="replace changed rows",
            table=table,
            mapping=str(table),
            count=Count.CHANGED,
            parameters={"runid": run.number},
            sql=f"update {table.sql} t\nset {assigned}\nfrom {rows} n\nwhere {same} and ({differs})",
        )
    yield Statement(
        label="add new rows",
        table=table,
        mapping=str(table),
        count=Count.INSERTED,
        parameters={"runid": run.number},
        sql=f"""
insert into {table.sql} ({written})
select {selected}
from {rows} n
where not exists (select from {table.sql} t where {same})""",
    )

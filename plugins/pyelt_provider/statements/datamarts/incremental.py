"""Incremental models: a build adds and replaces rows by their key, and writes down what it replaced, so that it can be undone."""

from __future__ import annotations

from decimal import Decimal

from pyelt_provider.errors import MappingRefused
from pyelt_provider.identifiers import constraint_name, quote, quote_all, text_literal
from pyelt_provider.model.datamart import DatamartModel
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.datamarts.inputs import query_of
from pyelt_provider.statements.mappings.row_isolation import DATA_ERRORS
from pyelt_provider.statements.sql.casts import comparable
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows
from pyelt_provider.statements.step import Count, Isolated, Program, Statement, one

_LISTED, _BY_RUN = '"listed"', '"by run"'
"""How a build notes the rows that it adds: each of them, or nothing but the run's number that they carry."""

Columns = tuple[tuple[str, str], ...]
"""The columns (name, type) that a model's query gives."""


def increment(model: DatamartModel, columns: Columns, stage: Stage, run: Run, undo: tuple[Decimal, ...]) -> Program:
    """Bring the rows that the query gives now into the table; those that it gives no more stay as they are.

    First the builds of the runs `undo` (the newest first) are taken back: what they added goes, what they replaced is
    as before.
    """
    for build in undo:
        yield from take_back_build(model, stage, build)
    table = model.table
    rows = f"pg_temp.{quote(constraint_name('model', table.schema, table.name))}"
    yield Statement(
        label="run the model's query",
        table=table,
        mapping=str(table),
        sql=f"create temporary table {rows.removeprefix('pg_temp.')} on commit drop as\n{query_of(model)}",
    )
    yield from _refuse_bad_keys(model, rows)
    yield Statement(label="gather statistics", sql=f"analyze {rows}")
    yield from _upsert(model, columns, rows, stage, run)
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


def _upsert(model: DatamartModel, columns: Columns, rows: str, stage: Stage, run: Run) -> Program:
    table = model.table
    same = " and ".join(f"t.{quote(name)} = n.{quote(name)}" for name in model.unique_key)
    values = [(name, kind) for name, kind in columns if name not in model.unique_key]
    names = tuple(name for name, _ in columns)
    written, selected = _with_run(names, "n")
    listed = "_runid" in names  # the query's, which does not say that this run added the row
    yield _note(
        model,
        stage,
        run,
        "note that the model was built",
        f"select '{{\"@built\": {_LISTED if listed else _BY_RUN}}}'::jsonb",
    )
    if values:
        assigned = ", ".join(f"{quote(name)} = n.{quote(name)}" for name, _ in values)
        assigned += "" if "_runid" in names else ", _runid = %(runid)s"
        differs = " or ".join(
            f"{comparable(f't.{quote(name)}', kind)} is distinct from {comparable(f'n.{quote(name)}', kind)}"
            for name, kind in values
        )
        changed = f"select to_jsonb(t)\nfrom {table.sql} t\njoin {rows} n on {same}\nwhere {differs}"
        noted = yield _note(model, stage, run, "note what rows are before they change", changed)
        if noted.row_count:
            yield Statement(
                label="replace changed rows",
                table=table,
                mapping=str(table),
                count=Count.CHANGED,
                parameters={"runid": run.number},
                sql=f"update {table.sql} t\nset {assigned}\nfrom {rows} n\nwhere {same} and ({differs})",
            )
    new = f"from {rows} n\nwhere not exists (select from {table.sql} t where {same})"
    if listed:
        yield _note(model, stage, run, "note which rows are new", f"select jsonb_build_object('@added', n)\n{new}")
    yield Statement(
        label="add new rows",
        table=table,
        mapping=str(table),
        count=Count.INSERTED,
        parameters={"runid": run.number},
        sql=f"\ninsert into {table.sql} ({written})\nselect {selected}\n{new}",
    )


def _note(model: DatamartModel, stage: Stage, run: Run, label: str, rows: str) -> Statement:
    """Write the one column that `rows` gives into the journal, as what was before this build."""
    return Statement(
        label=label,
        mapping=str(model.table),
        parameters=journal_parameters(stage, run, model.table),
        sql=journal_rows(stage, f"0, noted.before\nfrom (\n{rows}\n) as noted (before)"),
    )


def _build(model: DatamartModel, stage: Stage, number: Decimal) -> dict[str, object]:
    return {"runid": number, "stage": stage.id, "schema": model.table.schema, "table": model.table.name}


def take_back_build(model: DatamartModel, stage: Stage, number: Decimal) -> Program:
    """Undo what the newest build of the model did, that of run `number`: its rows go, rows that it replaced are as before.

    A row that cannot be put back, because a column has another type since, stays; the next build replaces it.
    """
    table, sys = model.table, quote(stage.pipeline.sys_schema)
    known = _build(model, stage, number)
    found = yield Statement(
        label="look which columns the table has, and how the build noted its rows",
        fetch=True,
        parameters={**known, "name": table.sql.replace("%%", "%")},
        assumed=tuple((name, False) for name in (*model.unique_key, "_runid")),
        sql=f"""
select attname::text, exists (
    select from {sys}.journal
    where (runid, stage) = (%(runid)s, %(stage)s) and (schemaname, tablename) = (%(schema)s, %(table)s)
        and before ->> '@built' = 'listed')
from pg_attribute
where attrelid = to_regclass(%(name)s) and attnum > 0 and not attisdropped and attgenerated = ''
order by attnum""",
    )
    names = tuple(str(name) for name, _ in found.rows)
    listed = any(is_listed for _, is_listed in found.rows)
    same = " and ".join(f"t.{quote(name)} = b.{quote(name)}" for name in model.unique_key)
    before = f"""
    select (jsonb_populate_record(null::{table.sql}, before)).*
    from {sys}.journal
    where (runid, stage) = (%(runid)s, %(stage)s) and (schemaname, tablename) = (%(schema)s, %(table)s)
        and not before ?| array['@built', '@added']"""
    keys = ", ".join(f"{text_literal(name)}, kept.row -> {text_literal(name)}" for name in model.unique_key)
    kept = f"""exists (
    select from (
        select (jsonb_populate_record(null::{table.sql}, jsonb_build_object({keys}))).*
        from (
            select {"before -> '@added'" if listed else "before"} as row
            from {sys}.journal
            where (runid, stage) = (%(runid)s, %(stage)s) and (schemaname, tablename) = (%(schema)s, %(table)s)
                and {"before ? '@added'" if listed else "not before ? '@built'"}) as kept) as b
    where {same})"""
    ours = kept if listed else f"t._runid = %(runid)s and not {kept}"
    yield Statement(
        label="take back added rows",
        table=table,
        mapping=str(table),
        count=Count.TAKEN_BACK,
        parameters=known,
        sql=f"delete from {table.sql} as t\nwhere {ours}",
    )
    restored = Statement(
        label="put replaced rows back",
        table=table,
        mapping=str(table),
        count=Count.TAKEN_BACK,
        parameters=known,
        sql=f"""
update {table.sql} as t
set {", ".join(f"{quote(name)} = b.{quote(name)}" for name in names)}
from ({before}) as b
where {same}""",
    )
    yield Isolated(label="put replaced rows back", program=one(restored), only=DATA_ERRORS, mapping=str(table))
    yield Statement(
        label="forget the build",
        parameters=known,
        sql=f"""
delete from {sys}.journal
where (runid, stage) = (%(runid)s, %(stage)s) and (schemaname, tablename) = (%(schema)s, %(table)s)""",
    )

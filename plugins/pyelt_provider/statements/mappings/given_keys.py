"""Who gives a key of a hub, or a link, where no row of the vault says it; taking back has to know who still needs it.

A row of a hub says which pipe brought it first, a row of a satellite which pipe filled it. A pipe that gives a key which
another one brought, and fills no satellite of it, leaves no row; a key that was made only for a link stands in its hub as
if it were given. Both are noted in `sys.given_keys`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.step import Statement


def note_given(stage: Stage, run: Run, table: TableName, mapping: str, ids: str) -> Statement:
    """Note that the pipe gives the rows whose `_id` the query `ids` returns, where another pipe brought them."""
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="note that the pipe gives them, too",
        mapping=mapping,
        parameters=key_parameters(stage, run, table),
        sql=f"""
insert into {sys}.given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from {table.sql} as k
where k._id in (
    {ids})
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from {sys}.given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing
""",
    )


def claim_keys(stage: Stage, run: Run, table: TableName, mapping: str, keys: str) -> Statement:
    """Let the pipe be the one who brought those of the keys (a query of `_key`, `type`) that stood there only for links.

    Those are the keys that were made for links in this run, and all that were left behind.
    """
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="give keys that links needed their source",
        mapping=mapping,
        parameters={**key_parameters(stage, run, table), "load_time": run.load_time},
        sql=f"""
with made as (
    delete from {sys}.given_keys as made using {table.sql} as h, (
        select * from (
        {keys}) as every
        where exists (
            select from {sys}.given_keys
            where only_for_links and (schemaname, tablename) = (%(schema)s, %(table)s))) as given
    where made.only_for_links and (made.runid = %(runid)s or made.left_behind)
        and (made.schemaname, made.tablename) = (%(schema)s, %(table)s) and h._id = made.row_id and h.bk = given._key
    returning made.row_id, given.type)
update {table.sql} as h set _source_system = %(pipe)s, _runid = %(runid)s, _insert_date = %(load_time)s, type = made.type
from made where h._id = made.row_id
""",
    )


def see_left_keys(stage: Stage, tables: Iterable[TableName]) -> Statement:
    """A row (schema, name) per table of these hubs in which keys were left behind."""
    wanted = sorted(set(tables))
    return Statement(
        label="look for keys whose giver was taken back",
        fetch=True,
        parameters={"schemas": [table.schema for table in wanted], "tables": [table.name for table in wanted]},
        sql=f"""
select distinct schemaname, tablename from {quote(stage.pipeline.sys_schema)}.given_keys
where left_behind and (schemaname, tablename) in (
    select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
order by 1, 2
""",
    )


def not_left(stage: Stage, table: TableName, row: str) -> str:
    """Return the condition that a row of a hub is no key that was left behind."""
    return f"{row}._id not in ({left_keys(stage, table)})"


def left_keys(stage: Stage, table: TableName) -> str:
    """Return a query of the ids of the keys of a hub that were left behind."""
    return f"""select row_id from {quote(stage.pipeline.sys_schema)}.given_keys
        where left_behind and (schemaname, tablename) = ({text_literal(table.schema)}, {text_literal(table.name)})"""


def adopt_keys(stage: Stage, run: Run, table: TableName, ids: str) -> Statement:
    """Let the pipe be the one who made those keys for its links (a query of `_id`, `runid`) that were left behind."""
    return Statement(
        label="take over keys whose giver was taken back",
        table=table,
        parameters=key_parameters(stage, run, table),
        sql=f"""
with adopted as (
    update {quote(stage.pipeline.sys_schema)}.given_keys as made
    set left_behind = false, pipe = %(pipe)s, runid = needed.runid
    from (
        {ids}) as needed
    where made.left_behind and made.row_id = needed._id and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
    returning made.row_id, made.runid)
update {table.sql} as h set _source_system = %(pipe)s, _runid = adopted.runid
from adopted where h._id = adopted.row_id
""",
    )


def key_parameters(stage: Stage, run: Run, table: TableName) -> dict[str, object]:
    """Return the parameters that say of which hub or link, pipe and run a statement on `sys.given_keys` speaks."""
    return {"schema": table.schema, "table": table.name, "pipe": stage.pipe_name, "runid": run.number}

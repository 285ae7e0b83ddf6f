"""Who gives a key of a hub, or a link, where no row of the vault says it; taking back has to know who still needs it.

A row of a hub says which pipe brought it first, a row of a satellite which pipe filled it. A pipe that gives a key which
another one brought, and fills no satellite of it, leaves no row; a key that was made only for a link stands in its hub as
if it were given. Both are noted in `sys.given_keys`.
"""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote
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
    """Let the pipe be the one who brought those of the keys (a query of `bk`) that were left in this run only for links."""
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="give keys that links needed their source",
        mapping=mapping,
        parameters={**key_parameters(stage, run, table), "load_time": run.load_time},
        sql=f"""
with made as (
    delete from {sys}.given_keys as made using {table.sql} as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in ({keys})
    returning made.row_id)
update {table.sql} as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id
""",
    )


def key_parameters(stage: Stage, run: Run, table: TableName) -> dict[str, object]:
    """Return the parameters that say of which hub or link, pipe and run a statement on `sys.given_keys` speaks."""
    return {"schema": table.schema, "table": table.name, "pipe": stage.pipe_name, "runid": run.number}

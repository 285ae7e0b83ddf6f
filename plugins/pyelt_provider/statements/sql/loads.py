"""Which loads wrote to a table since a mapping or model last looked; what that costs follows what is new, not the history.

Stages of different pipes commit side by side, so one with a smaller load order may commit after one with a greater one.
What was seen is therefore noted load by load (`positions`), and below a horizon, which every load has passed, as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.step import Routine, Statement

LOAD_LOCK = "pyelt: load order"
"""The name of the advisory lock that every stage shares from before it gets its load order until it is committed."""


def see_horizon(stage: Stage) -> Routine[int]:
    """Return the load order up to which every load has been committed, or never will be; 0 while one is being committed.

    Two statements, because the second has to look later: a stage that had a smaller order then, and holds the lock no more,
    has ended. Nobody waits for anybody.
    """
    newest = yield Statement(
        label="see the newest load",
        fetch=True,
        assumed=((0,),),
        sql=f"select coalesce(max(load_order), 0) from {quote(stage.pipeline.sys_schema)}.stages",
    )
    committing = yield Statement(
        label="see whether a load is being committed",
        fetch=True,
        assumed=((False,),),
        parameters={"lock": LOAD_LOCK},
        sql="""
select exists (
    select from pg_locks
    where locktype = 'advisory' and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = hashtextextended(%(lock)s, 0))""",
    )
    return 0 if committing.value else int(str(newest.value))


def unseen_writes(sys_schema: str, seen_number: str) -> str:
    """Return a query of the loads (`schemaname`, `tablename`, `load_order`) of given tables that were not seen yet.

    Its parameters are `pipe` and `mapping`, and `schemas` and `tables`, the names side by side. `seen_number` says as what
    the load order of ``wrote`` stands in `positions`.
    """
    s = quote(sys_schema)
    return f"""
    select wrote.schemaname, wrote.tablename, wrote.load_order
    from unnest(%(schemas)s::text[], %(tables)s::text[]) as reads (schemaname, tablename)
    cross join lateral (
        select coalesce(max(load_order), 0) as load_order from {s}.horizons
        where pipe = %(pipe)s and mapping = %(mapping)s
            and (schemaname, tablename) = (reads.schemaname, reads.tablename)) as passed
    cross join lateral (
        select schemaname, tablename, load_order from {s}.writes
        where (schemaname, tablename) = (reads.schemaname, reads.tablename) and load_order > passed.load_order and not gone
        offset 0) as wrote
    where not {seen_as(sys_schema, seen_number)}"""


def seen_as(sys_schema: str, number: str) -> str:
    """Return the condition that a load that ``wrote`` stands in `positions` as `number`; looked up by index, one by one."""
    return f"""exists (
        select from {quote(sys_schema)}.positions as seen
        where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
            and seen.schemaname = wrote.schemaname and seen.tablename = wrote.tablename
            and seen.sor_runid = {number}
        offset 0)"""


def pass_over(stage: Stage, run: Run, mapping: str, tables: Iterable[TableName], horizon: int) -> Statement:
    """Move the mapping's or model's horizon of the tables to a load order that is known (not 0).

    It remembers the run and the stage, with which it is taken back.
    """
    passed = sorted(set(tables))
    return Statement(
        label="pass over them from now on",
        mapping=mapping,
        parameters={
            "pipe": stage.pipe_name,
            "mapping": mapping,
            "runid": run.number,
            "stage": stage.id,
            "schemas": [table.schema for table in passed],
            "tables": [table.name for table in passed],
            "horizon": horizon,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.horizons (pipe, mapping, schemaname, tablename, load_order, runid, stage)
select %(pipe)s, %(mapping)s, passed.schemaname, passed.tablename, %(horizon)s, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[]) as passed (schemaname, tablename)
on conflict do nothing""",
    )


def let_loads_go(sys_schema: str, stages: str) -> str:
    """Return the update that says that what the stages (a condition on `stages`) wrote is gone."""
    s = quote(sys_schema)
    return f"""
update {s}.writes set gone = true from {s}.stages
where writes.load_order = stages.load_order and not writes.gone and {stages}"""

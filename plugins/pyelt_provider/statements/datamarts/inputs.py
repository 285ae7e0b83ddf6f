"""What a datamart model is made of: its query, the tables behind what it reads, and whether those changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pyelt_provider.identifiers import TableName, opaque, quote
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.fingerprint import fingerprint
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.expressions import names_in
from pyelt_provider.statements.sql.loads import pass_over, unseen_writes
from pyelt_provider.statements.step import Program, Routine, Statement
from pyelt_provider.statements.vault.views import vault_views

_OF_THE_MOMENT = frozenset(
    {"now", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "clock_timestamp"}
    | {"statement_timestamp", "transaction_timestamp", "timeofday", "random", "gen_random_uuid", "nextval", "age"}
)
"""Names that give something else each time: a model that uses one is built at every run."""


def query_of(model: DatamartModel) -> str:
    """Return the model's SELECT, ready for a statement with parameters, without a semicolon at its end."""
    return opaque(re.sub(r"[\s;]+$", "", model.sql))


def model_fingerprint(model: DatamartModel, pipeline: Pipeline) -> str:
    """Return a digest that changes when the model, or a function of the project that it calls, does."""
    functions = {function.name.rpartition(".")[2].lower(): function.sql for function in pipeline.functions}
    called = sorted(names_in(model.sql) & functions.keys())
    return fingerprint(model, *(functions[name] for name in called))


def always_builds(model: DatamartModel, pipeline: Pipeline) -> bool:
    """Return True when the model may give something else although no table that it reads changed."""
    functions = {function.name.rpartition(".")[2].lower(): function.sql for function in pipeline.functions}
    names = names_in(model.sql)
    bodies = frozenset[str]().union(*(names_in(functions[name]) for name in names & functions.keys()))
    reads_in_function = "from" in bodies
    return not model.reads or bool((names | bodies) & _OF_THE_MOMENT) or reads_in_function


Views = Mapping[TableName, tuple[TableName, ...]]
"""What each view of the vault and of the datamarts reads."""


def views_of(pipeline: Pipeline) -> Views:
    """Return what every view that the pipeline makes reads."""
    views = {view.table: view.reads for view in vault_views(pipeline)}
    views |= {model.table: model.reads for model in pipeline.datamarts if model.materialization is Materialization.VIEW}
    return views


def tables_behind(model: DatamartModel, views: Views, together: Views) -> tuple[TableName, ...]:
    """Return the tables that decide what the model gives: views are resolved to what they read.

    So are the models that are built `together` with it (each with what it reads), which stand in the result as well:
    what they have seen is seen through them.
    """
    found: set[TableName] = set()
    unread = list(model.reads)
    while unread:
        table = unread.pop()
        if table not in found:
            unread += (*views.get(table, ()), *together.get(table, ()))
        found.add(table)
    return tuple(sorted(found - views.keys()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Whether a model has to be built: `new` since it never was, or was otherwise; `changed` since what it reads was.

    `gone` says that something that it has seen was taken back or loaded again, `again` that the stage itself is done
    again in its run. `undo` are the runs whose builds of an incremental model are to be taken back for these reasons,
    the newest first: all since the first that saw what is gone, or the one of this run when it is the newest. `pending`
    are the loads to remember.
    """

    new: bool
    changed: bool
    gone: bool
    again: bool
    undo: tuple[Decimal, ...]
    pending: tuple[tuple[TableName, object], ...]


def freshness(model: DatamartModel, tables: tuple[TableName, ...], stage: Stage, run: Run) -> Routine[Freshness]:
    """Ask the bookkeeping what wrote to the `tables` behind a model since it was last built; one statement."""
    s = quote(stage.pipeline.sys_schema)
    result = yield Statement(
        label="see what changed since the model was built",
        table=model.table,
        fetch=True,
        parameters={
            "pipe": "",
            "mapping": str(model.table),
            "schemas": [table.schema for table in tables],
            "tables": [table.name for table in tables],
            "schema": model.table.schema,
            "table": model.table.name,
            "runid": run.number,
            "stage": stage.id,
        },
        assumed=((None, False, False, [], None, None, None),),
        sql=f"""
with built as (
    select runid, stage, fingerprint from {s}.mapping_states
    where pipe = '' and mapping = %(mapping)s order by id desc limit 1),
lost as (
    select seen.runid, seen.stage
    from {s}.writes as wrote
    cross join lateral (
        select runid, stage from {s}.positions
        where pipe = '' and mapping = %(mapping)s and (schemaname, tablename) = (wrote.schemaname, wrote.tablename)
            and sor_runid = wrote.load_order
        offset 0) as seen
    where wrote.gone),
own as (
    select runid, stage from {s}.stages
    where (runid, stage) = (%(runid)s, %(stage)s) and state = 'done'),
builds as (
    select id, runid, stage, id = max(id) over () as newest from {s}.journal
    where (schemaname, tablename) = (%(schema)s, %(table)s) and before ? '@built'),
undone as (
    select id, runid from builds
    where id >= (select min(id) from builds join lost using (runid, stage))
        or newest and exists (select from own where (own.runid, own.stage) = (builds.runid, builds.stage))),
changes as (
    select unseen.*
    from ({unseen_writes(stage.pipeline.sys_schema, "wrote.load_order")}) as unseen
    join {s}.stages as loaded using (load_order)
    -- What the model's own stage wrote before it built the model has been seen.
    where not exists (
        select from {s}.positions as seen
        where (seen.runid, seen.stage) = (loaded.runid, loaded.stage) and seen.pipe = '' and seen.mapping = %(mapping)s
        offset 0))
select (select fingerprint from built), exists (select from lost), exists (select from own),
    (select coalesce(array_agg(runid order by id desc), '{{}}') from undone),
    c.schemaname, c.tablename, c.load_order
from (values (1)) as one_row left join changes c on true
order by c.load_order""",
    )
    known, gone, again, undo = result.rows[0][:4]
    changes = [row[4:] for row in result.rows if row[4] is not None]
    assert isinstance(undo, list)
    return Freshness(
        new=known != model_fingerprint(model, stage.pipeline),
        changed=bool(changes),
        gone=bool(gone),
        again=bool(again),
        undo=tuple(Decimal(str(number)) for number in undo),
        pending=tuple((TableName(str(schema), str(table)), load) for schema, table, load in changes),
    )


def remember_build(model: DatamartModel, stage: Stage, run: Run, fresh: Freshness, horizon: int) -> Program:
    """Remember which loads the model has seen, all of them up to the load order `horizon` (0: unknown), and what it looked like."""
    s = quote(stage.pipeline.sys_schema)
    if fresh.gone:
        yield Statement(
            label="forget loads that are gone",
            parameters={"mapping": str(model.table)},
            sql=f"""
delete from {s}.positions as seen using {s}.writes as wrote
where wrote.gone and seen.pipe = '' and seen.mapping = %(mapping)s
    and (seen.schemaname, seen.tablename, seen.sor_runid) = (wrote.schemaname, wrote.tablename, wrote.load_order)""",
        )
    yield Statement(
        label="remember what the model has seen",
        parameters={
            "mapping": str(model.table),
            "runid": run.number,
            "stage": stage.id,
            # The model's own entry says that this stage built it, so that it does not react to itself.
            "schemas": [*(table.schema for table, _ in fresh.pending), model.table.schema],
            "tables": [*(table.name for table, _ in fresh.pending), model.table.name],
            "loads": [*(load for _, load in fresh.pending), -run.number],
        },
        sql=f"""
insert into {s}.positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select '', %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing""",
    )
    if fresh.pending and horizon:
        yield pass_over(stage, run, str(model.table), (table for table, _ in fresh.pending), horizon)
    if fresh.new:
        digest = model_fingerprint(model, stage.pipeline)
        yield Statement(
            label="remember what the model looks like",
            parameters={
                "mapping": str(model.table),
                "runid": run.number,
                "stage": stage.id,
                "fingerprint": digest,
            },
            sql=f"""
insert into {s}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values ('', %(mapping)s, %(runid)s, %(stage)s, %(fingerprint)s, '')""",
        )

"""What of its source a mapping has not looked at yet, and the positions that remember what it has.

A position is one row per mapping, table read and load of that table; rows are only ever added, so a load that commits
late or out of order is never passed over, and a run can be taken back by its own rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from pyelt_provider.errors import MappingRefused
from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.mapping import EntityMapping, LinkMapping, MappingSource, ValuesetMapping
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.expressions import names_in
from pyelt_provider.statements.sql.loads import pass_over, see_horizon, seen_as, unseen_writes
from pyelt_provider.statements.step import Program, Routine, Statement

REMOVED = "removed"
"""The fingerprint of a mapping that is not in the config any more."""
_NOTICED = "(-wrote.load_order - 0.5)"
"""As what it stands in positions that a load that was seen is gone."""
VALIDATIONS_OF = "validations of "
"""What the names of vault validations begin with, where they stand beside mappings."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a table: the run id for the mapping's own staging table, the stage's load order for further reads."""

    table: TableName
    number: Decimal


@dataclass(frozen=True, slots=True)
class PastFilter:
    """A filter that a mapping had: rows that stood no more when the run `until` loaded were judged by it; '' is none."""

    until: Decimal
    filter: str


@dataclass(frozen=True, slots=True)
class Delta:
    """What a mapping has not looked at: everything (`full`), or the staging rows that the runs `runids` touched.

    `pending` are the loads to be remembered once the mapping has looked, `horizon` what it has seen all loads of then.
    `has_rejected` says that rows of the mapping wait to be judged again. `new_state` says that the mapping is new or
    was changed since it was loaded. `others_went` says that mappings of the stage were removed from the config since:
    what only they gave has to go. `past_filters` are the filters that the mapping had before its present one, `filter`,
    the oldest first.
    """

    full: bool
    runids: tuple[Decimal, ...] = ()
    pending: tuple[Load, ...] = ()
    horizon: int = 0
    has_rejected: bool = False
    new_state: bool = False
    others_went: bool = False
    filter: str = ""
    past_filters: tuple[PastFilter, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to look at, so that the mapping can be passed over."""
        return not (self.full or self.runids or self.has_rejected)


def mapping_fingerprint(stage: Stage, source: MappingSource, texts: tuple[str, ...]) -> str:
    """Return a digest of all that decides what the mapping gives: its source, its `texts` and the functions it calls.

    `texts` are the expressions, orders and target types in a fixed order. A function of the project counts with its
    whole text when its name occurs in any of them, and so do the functions that it calls.
    """
    own = (source.staging or "", str(source.view or ""), source.query or "", source.join or "", source.filter or "")
    functions = {function.name.rpartition(".")[2].lower(): function.sql for function in stage.pipeline.functions}
    functions |= {function.name.rpartition(".")[2].lower(): function.sql for function in stage.the_pipe.functions}
    called: dict[str, str] = {}
    unread = [*own, *texts]
    while unread:
        found = (names_in(unread.pop()) & functions.keys()) - called.keys()
        called |= {name: functions[name] for name in found}
        unread += [functions[name] for name in found]
    return digest(*own, "\x01", *texts, "\x01", *(called[name] for name in sorted(called)))


def digest(*texts: str) -> str:
    """Return a stable digest of the texts; ("ab", "c") and ("a", "bc") differ."""
    return hashlib.sha256("\x00".join(f"{len(text)}:{text}" for text in texts).encode()).hexdigest()


def mapping_delta(
    stage: Stage, run: Run, mapping: str, source: MappingSource, fingerprint: str, key_fingerprint: str
) -> Routine[Delta]:
    """Return what the mapping (its name) has to look at in this run; one tiny statement, three more with `reads`.

    Everything, when the mapping is new or its fingerprint changed, when it reads a join, a view or a query without
    saying what that `reads`, or when one of those tables was written since. Else the loads of its staging table that
    have no position yet. Raises MappingRefused when the business key expression changed and the run does not allow it.
    """
    usual: tuple[object, ...] = (fingerprint, key_fingerprint, [run.number], False, False, [], [])
    result = yield read_position(stage, mapping, source, usual)
    known, known_key, runids, has_rejected, others_went, changes_of_filter, filters = result.rows[0]
    loads = tuple(cast(list[Decimal], runids))
    if known_key is not None and known_key != key_fingerprint and not run.allow_key_change:
        raise MappingRefused(
            f"mapping {mapping} of pipe {stage.pipe_name}: its business key expression was changed. Keys that the "
            "old one made stay in the vault, so the same thing may get a second key. Start the run with "
            "allow_key_change to load by the new expression from now on, or put the old one back."
        )
    pending = tuple(Load(_staging(stage, source).table, load) for load in loads) if source.staging else ()
    full = known != fingerprint or bool(others_went) or not (source.is_incremental or source.reads)
    horizon = 0
    if source.reads:
        horizon = yield from see_horizon(stage)
        result = yield read_changes(stage, mapping, source)
        for schema, table, is_known, orders in result.rows:
            changes = cast(list[Decimal], orders)
            full = full or bool(changes) or not is_known
            pending += tuple(Load(TableName(str(schema), str(table)), order) for order in changes)
    return Delta(
        full=full,
        runids=loads,
        pending=pending,
        horizon=horizon,
        has_rejected=bool(has_rejected),
        new_state=known != fingerprint or known_key != key_fingerprint,
        others_went=bool(others_went),
        filter=source.filter or "",
        past_filters=_past_filters(
            [*cast(list[Decimal], changes_of_filter), run.number], [*cast(list[str], filters), source.filter or ""]
        ),
    )


def _past_filters(runids: list[Decimal], filters: list[str]) -> tuple[PastFilter, ...]:
    """Return the filters but the last, each until the run in which the next one took its place."""
    return tuple(
        PastFilter(until=runid, filter=before)
        for runid, before, after in zip(runids[1:], filters, filters[1:], strict=False)
        if before != after
    )


def record_position(
    stage: Stage, run: Run, mapping: str, delta: Delta, fingerprint: str, key_fingerprint: str
) -> Program:
    """Remember that the mapping has looked at `delta`, and what the mapping looked like when that is new."""
    if delta.pending:
        yield add_positions(stage, run, mapping, delta)
    others = [load.table for load in delta.pending if load.number < 0]
    if others and delta.horizon:
        yield pass_over(stage, run, mapping, others, delta.horizon)
    if delta.new_state:
        yield add_mapping_state(stage, run, mapping, delta, fingerprint, key_fingerprint)


def touched_rows(
    table: StagingTable,
    sys_schema: str,
    delta: Delta,
    pipe: str,
    mapping: str,
    prefix: str = "",
    *,
    with_closed: bool = True,
) -> str:
    """Return a query that gives the `_id` of the staging rows, active or closed, that the mapping has to look at.

    Those are the rows that the delta's runs inserted, closed or judged otherwise, and those that this mapping rejected;
    all rows when the delta is full. Its parameters come from `touched_parameters` with the same arguments. Without
    `with_closed`, rows that those runs closed are left out, for mappings to which it does not matter what went.
    """
    source, sys = table.table.sql, quote(sys_schema)
    if delta.full:
        return f"select _id from {source}"
    closed = f"""
    union
    select _id from {source} where _finish_runid = any(%({prefix}runids)s::numeric[])"""
    return f"""select _id from {source} where _runid = any(%({prefix}runids)s::numeric[]){closed if with_closed else ""}
    union
    select row_id from {sys}.journal
    where schemaname = %({prefix}schema)s and tablename = %({prefix}table)s
        and runid = any(%({prefix}runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from {sys}.rejected_rows
    where pipe = %({prefix}pipe)s and mapping = %({prefix}mapping)s and freed_runid is null"""


def touched_parameters(
    table: StagingTable, delta: Delta, pipe: str, mapping: str, prefix: str = ""
) -> dict[str, object]:
    """Return the parameters of `touched_rows`; `prefix` keeps several mappings in one statement apart."""
    if delta.full:
        return {}
    return {
        f"{prefix}runids": list(delta.runids),
        f"{prefix}schema": table.schema,
        f"{prefix}table": table.name,
        f"{prefix}pipe": pipe,
        f"{prefix}mapping": mapping,
    }


def _staging(stage: Stage, source: MappingSource) -> StagingTable:
    assert source.staging is not None
    return stage.the_pipe.table(source.staging)


def read_position(stage: Stage, mapping: str, source: MappingSource, usual: tuple[object, ...]) -> Statement:
    """One row, which is like `usual` in most nights: what the mapping looked like when it was loaded last (two
    fingerprints, null when it never was), the run ids of the loads of its staging table that it has not looked at,
    whether it has rejected rows, whether mappings of the stage are not in the config any more, and the filters that it had
    with the runs that were the first to load by them.
    """
    sys = quote(stage.pipeline.sys_schema)
    table = _staging(stage, source).table if source.staging else TableName("", "")
    return Statement(
        label="see what is new",
        mapping=mapping,
        fetch=True,
        assumed=(usual,),
        parameters={
            "pipe": stage.pipe_name,
            "mapping": mapping,
            "schema": table.schema,
            "table": table.name,
            **_still_there(stage),
        },
        sql=f"""
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from {sys}.stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from {sys}.positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from {sys}.rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        {_removed_mappings(stage)}),
    array(
        select runid from {sys}.mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from {sys}.mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from {sys}.mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true
""",
    )


def _still_there(stage: Stage) -> dict[str, object]:
    pipe = stage.the_pipe
    mappings: tuple[EntityMapping | LinkMapping | ValuesetMapping, ...] = (*pipe.valuesets, *pipe.entities, *pipe.links)
    names = [mapping.name for mapping in mappings]
    return {"stage": stage.id, "still_there": names, "removed": REMOVED, "validations": f"{VALIDATIONS_OF}%"}


def _removed_mappings(stage: Stage) -> str:
    """A query of the stage's mappings that were loaded once and are not in the config any more."""
    sys = quote(stage.pipeline.sys_schema)
    return f"""select went.mapping, went.key_fingerprint from {sys}.mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from {sys}.mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)"""


def forget_removed(stage: Stage, run: Run) -> Statement:
    """Remember that the stage's removed mappings are gone, once what only they gave has gone too.

    A mapping that comes back later is then compared as a whole.
    """
    return Statement(
        label="remember which mappings were removed",
        parameters={"pipe": stage.pipe_name, "runid": run.number, **_still_there(stage)},
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
select %(pipe)s, removed.mapping, %(runid)s, %(stage)s, %(removed)s, removed.key_fingerprint
from (
    {_removed_mappings(stage)}) as removed
""",
    )


def read_changes(stage: Stage, mapping: str, source: MappingSource) -> Statement:
    """A row per table of `reads`: whether we ever wrote it, and the loads that did so unseen, or that were seen and are gone.

    A load is its negative load order, so that none is taken for the run id of a staging load; that it is gone is a number
    of its own, which is remembered as well.
    """
    sys_schema = stage.pipeline.sys_schema
    sys = quote(sys_schema)
    own = _staging(stage, source).table if source.staging else None
    reads = [table for table in source.reads if table != own]
    parameters: Mapping[str, object] = {
        "pipe": stage.pipe_name,
        "mapping": mapping,
        "schemas": [table.schema for table in reads],
        "tables": [table.name for table in reads],
    }
    return Statement(
        label="see which tables it reads have changed",
        mapping=mapping,
        fetch=True,
        assumed=tuple((table.schema, table.name, True, []) for table in reads),
        parameters=parameters,
        sql=f"""
with unseen as materialized ({unseen_writes(sys_schema, "-wrote.load_order")})
select reads.schemaname, reads.tablename,
    exists (
        select from {sys}.steps wrote
        where wrote.schemaname = reads.schemaname and wrote.tablename = reads.tablename),
    array(
        select -unseen.load_order::numeric from unseen
        where (unseen.schemaname, unseen.tablename) = (reads.schemaname, reads.tablename)
        union all
        select {_NOTICED} from {sys}.writes as wrote
        where (wrote.schemaname, wrote.tablename) = (reads.schemaname, reads.tablename) and wrote.gone
            and {seen_as(sys_schema, "-wrote.load_order")} and not {seen_as(sys_schema, _NOTICED)}
        order by 1)
from unnest(%(schemas)s::text[], %(tables)s::text[]) as reads (schemaname, tablename)
""",
    )


def add_positions(stage: Stage, run: Run, mapping: str, delta: Delta) -> Statement:
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="remember what was looked at",
        mapping=mapping,
        parameters={
            "pipe": stage.pipe_name,
            "mapping": mapping,
            "runid": run.number,
            "stage": stage.id,
            "schemas": [load.table.schema for load in delta.pending],
            "tables": [load.table.name for load in delta.pending],
            "loads": [load.number for load in delta.pending],
        },
        sql=f"""
insert into {sys}.positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing
""",
    )


def add_mapping_state(
    stage: Stage, run: Run, mapping: str, delta: Delta, fingerprint: str, key_fingerprint: str
) -> Statement:
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="remember what the mapping looks like",
        mapping=mapping,
        parameters={
            "pipe": stage.pipe_name,
            "mapping": mapping,
            "runid": run.number,
            "stage": stage.id,
            "fingerprint": fingerprint,
            "key_fingerprint": key_fingerprint,
            "filter": delta.filter,
        },
        sql=f"""
insert into {sys}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint, filter)
values (%(pipe)s, %(mapping)s, %(runid)s, %(stage)s, %(fingerprint)s, %(key_fingerprint)s, %(filter)s)
""",
    )

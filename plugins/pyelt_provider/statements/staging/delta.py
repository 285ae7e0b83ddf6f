"""The comparison of a delivery with the active rows: one join finds what differs, and only that is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pyelt_provider.identifiers import opaque, quote, quote_all
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.staging.delivery import Delivered, Loaded, delta_table, rejected_table
from pyelt_provider.statements.staging.delivery_limits import refuse_deletions, refuse_short
from pyelt_provider.statements.staging.hashes import differences_of_hashes
from pyelt_provider.statements.staging.rejects import (
    find_rejected,
    has_null,
    keep_rejected,
    same_key,
    take_out_rejected,
)
from pyelt_provider.statements.staging.repeated_keys import settle_repeated_keys
from pyelt_provider.statements.step import Count, Routine, Statement

ANALYZE_SHARE = 0.1
"""The share of changed rows past which the planner's statistics are renewed at once, not when the server gets to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A delivery that stands in its temp table: its columns, what was read, whether a missing row was deleted.

    With `found_by_hashes` only the rows that differ stand there.
    """

    columns: StagingColumns
    delivered: Delivered
    detects_deletions: bool
    found_by_hashes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How many rows differ and in what way; `active` are the rows of staging before."""

    new: int
    without_key: int
    changed: int
    deleted: int
    active: int
    repeated_keys: bool


def load_changes(stage: Stage, run: Run, comparison: Comparison) -> Routine[Loaded]:
    """Write what differs.

    Raises DeliveryRefused when the delivery is too short, or would delete more than the table's limit allows.
    """
    columns = comparison.columns
    if not columns.unique:
        yield from settle_repeated_keys(stage, run, columns.staging, columns.taken)
    if comparison.found_by_hashes:
        yield differences_of_hashes(columns, delta_table(columns))
    else:
        yield _compare(comparison)
    found = yield from _count(comparison)
    rejected = None
    if found.without_key or found.repeated_keys:
        rejected = rejected_table(columns)
        yield from find_rejected(columns, columns.staging.temp)
        # A rejected key stays as it was. Rows of kind 'deleted' have no delivered row, so their key columns are null.
        yield from take_out_rejected(columns, delta_table(columns), "t._kind = 'new'")
    rows = comparison.delivered.rows
    refuse_short(run, columns.staging, rows, found.active)
    refuse_deletions(run, columns.staging, rows, found.deleted, found.active)
    if found.deleted:
        yield _close_deleted(stage, run, columns)
    if found.changed:
        yield _close_changed(stage, run, columns)
        yield _add(stage, run, columns, "changed")
    if found.new:
        yield _add(stage, run, columns, "new")
    if rejected is not None:
        yield from keep_rejected(stage, run, columns)
    touched = found.new + found.changed + found.deleted
    if touched > ANALYZE_SHARE * max(found.active, 1):
        yield Statement(label="gather statistics", table=columns.staging.table, sql=f"analyze {_hstage(columns)}")
    active = found.active + found.new - found.deleted
    return Loaded(delivered=comparison.delivered, rejected=rejected, active=active)


def _hstage(columns: StagingColumns) -> str:
    return columns.staging.table.sql


def _compare(comparison: Comparison) -> Statement:
    """One hash join of the whole delivery with the active rows; only the rows that differ are kept, with their kind."""
    columns = comparison.columns
    first_key = f"t.{quote(columns.key[0])}"
    differs = "".join(f"\n    or t.{quote(c)} is distinct from h.{quote(c)}" for c in columns.rest)
    condition = columns.staging.deleted_when
    gone = f",\n        coalesce(({opaque(condition)}), false) as _gone" if condition else ""
    is_gone = " or t._gone" if condition else ""
    kept = f"h._id is null or {first_key} is null{differs}"
    if condition:
        kept = f"case when t._gone then h._id is not null else {kept} end"
    return Statement(
        label="compare the delivery with the active rows",
        table=columns.staging.table,
        sql=f"""
create temporary table {delta_table(columns).sql} on commit drop as
select case when h._id is null then 'new' when {first_key} is null{is_gone} then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    {quote_all(columns.taken, "t")}
from (
    select s.ctid as _place, {quote_all(columns.taken, "s")}{gone}
    from {columns.staging.temp.sql} as s) as t
{"full" if comparison.detects_deletions else "left"} join (
    select _id, _revision, {quote_all(columns.taken)}
    from {_hstage(columns)} where _active) as h
    on {same_key(columns, "t", "h")}
where {kept}""",
    )


def _count(comparison: Comparison) -> Routine[Differences]:
    columns, delta = comparison.columns, delta_table(comparison.columns).sql
    keys = quote_all(columns.key)
    # A key that occurs twice among the matched rows shows in the numbers: more delivered rows found an active row than
    # active rows were found. Where that cannot be told, the delivery is small (delta) or a rare kind, and is grouped.
    by_numbers = comparison.detects_deletions and columns.staging.deleted_when is None
    repeated = (
        f"select from {delta} where _kind = 'new'"
        if by_numbers
        else f"select from {columns.staging.temp.sql} where true"
    )
    result = yield Statement(
        label="count the differences",
        table=columns.staging.table,
        fetch=True,
        assumed=((1, 0, 1, 1, 1000, False),),
        sql=f"""
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ({has_null(columns)})),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from {_hstage(columns)} where _active),
    exists (
        {repeated} and not ({has_null(columns)})
        group by {keys} having count(*) > 1)
from {delta}""",
    )
    new, without_key, changed, deleted, active, repeated_keys = cast(
        tuple[int, int, int, int, int, bool], result.rows[0]
    )
    if by_numbers:
        repeated_keys = repeated_keys or comparison.delivered.rows - new > active - deleted
    return Differences(
        new=new,
        without_key=without_key,
        changed=changed,
        deleted=deleted,
        active=active,
        repeated_keys=repeated_keys,
    )


def _closing(run: Run) -> dict[str, object]:
    return {"runid": run.number, "now": run.load_time}


def _close_changed(stage: Stage, run: Run, columns: StagingColumns) -> Statement:
    return Statement(
        label="close changed rows",
        table=columns.staging.table,
        count=Count.CLOSED,
        parameters={**_closing(run), "pipe": stage.pipe_name},
        sql=f"""
update {_hstage(columns)} as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from {delta_table(columns).sql} as d
where h._id = d._old_id and d._kind = 'changed'""",
    )


def _close_deleted(stage: Stage, run: Run, columns: StagingColumns) -> Statement:
    return Statement(
        label="close deleted rows",
        table=columns.staging.table,
        count=Count.DELETED,
        parameters={**_closing(run), "pipe": stage.pipe_name},
        sql=f"""
update {_hstage(columns)} as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from {delta_table(columns).sql} as d
where h._id = d._old_id and d._kind = 'deleted'""",
    )


def _add(stage: Stage, run: Run, columns: StagingColumns, kind: str) -> Statement:
    changed = kind == "changed"
    return Statement(
        label="add changed rows" if changed else "add new rows",
        table=columns.staging.table,
        count=Count.CHANGED if changed else Count.INSERTED,
        parameters={**_closing(run), "pipe": stage.pipe_name, "kind": kind},
        sql=f"""
insert into {_hstage(columns)} (_runid, _active, _source_system, _insert_date, _revision, _valid, {quote_all(columns.taken)})
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, {quote_all(columns.taken, "d")}
from {delta_table(columns).sql} as d
where d._kind = %(kind)s
order by d._place""",
    )

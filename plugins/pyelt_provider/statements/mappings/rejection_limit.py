"""Stops a load that rejects more rows than the limit of their table, before anything of it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyelt_provider.errors import RejectionsRefused
from pyelt_provider.identifiers import quote
from pyelt_provider.model.limits import Amount
from pyelt_provider.model.staging import Delivery
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.mapped_rows import MappedEntity
from pyelt_provider.statements.step import Program, Statement

_REASONS_SHOWN = 5


def refuse_rejections(where: str, limit: Amount, found: Sequence[tuple[object, ...]], looked_at: int) -> None:
    """Raise RejectionsRefused when the rows in `found` (message, number of rows; most first) are more than the limit."""
    reasons = cast(Sequence[tuple[str, int]], found)
    rejected = sum(rows for _, rows in reasons)
    if not limit.is_exceeded(rejected, looked_at):
        return
    shown = ", ".join(f"{rows} x {message!r}" for message, rows in reasons[:_REASONS_SHOWN])
    more = f" and {len(reasons) - _REASONS_SHOWN} other reasons" if len(reasons) > _REASONS_SHOWN else ""
    raise RejectionsRefused(
        f"{where}: {rejected} of the {looked_at} rows that were looked at are rejected and were not before, more than the "
        f"{limit} of max_rejected: {shown}{more}. Nothing of it was loaded. Mend the source or the rule and start the task "
        "again; when this is right, let it through for one run with allow_rejections, or change max_rejected"
    )


def check_rejections(stage: Stage, run: Run, entity: MappedEntity, *, touched: bool) -> Program:
    """Raise RejectionsRefused when the mapping rejects more rows than the limit of its staging table (or pipe) allows.

    Counted are rows whose key this mapping had not rejected already when the last load ended. A share is one of the
    table's active rows; where its deliveries are deltas, of the changed rows that the mapping looks at, which stand in
    its temporary table when they are `touched`. Done before the rejections of this run are written down.
    """
    limits = entity.staging.limits if entity.staging else stage.the_pipe.limits
    if limits.max_rejected is None or run.allow_rejections:
        return
    found = yield _count_new(stage, entity)
    if not found.rows:
        return
    looked_at = yield _count_looked_at(entity, touched=touched)
    source = f" ({entity.staging.table})" if entity.staging else ""
    refuse_rejections(f"mapping {entity.name}{source}", limits.max_rejected, found.rows, cast(int, looked_at.value))


def _count_new(stage: Stage, entity: MappedEntity) -> Statement:
    """A row per message: how many rows are rejected with it that were not rejected before, nor the row they replace."""
    replaced = ""
    if entity.staging is not None:
        table = entity.staging.table.sql
        same = " and ".join(f"s.{quote(name)} = o.{quote(name)}" for name in entity.staging.key)
        replaced = f"""
    union
    select s._id from before join {table} as o on o._id = before.row_id join {table} as s on s._active and {same}"""
    return Statement(
        label="count rows that are newly rejected",
        mapping=entity.name,
        fetch=True,
        parameters={"pipe": stage.pipe_name, "mapping": entity.name},
        sql=f"""
with before as materialized (
    select row_id from {quote(stage.pipeline.sys_schema)}.rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
known as (
    select row_id from before{replaced})
select x._message, count(*)
from {entity.rejected} as x
where x._row not in (select row_id from known)
group by x._message
order by count(*) desc, x._message""",
    )


def _count_looked_at(entity: MappedEntity, *, touched: bool) -> Statement:
    if entity.staging is None:
        sql = f"select count(*) from {entity.copied}"
    elif entity.staging.delivery is Delivery.DELTA and touched:
        sql = f"""
select count(*) from {entity.touched} as t
join {entity.staging.table.sql} as s on s._id = t._touched where s._active and s._valid"""
    else:
        sql = f"select count(*) from {entity.staging.table.sql} where _active and _valid"
    return Statement(
        label="count rows that were looked at", mapping=entity.name, fetch=True, assumed=((1000,),), sql=sql
    )

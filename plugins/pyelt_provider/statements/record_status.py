"""Keeps when a key of a pipe went and when it came back, in the record-status satellite of its hub."""

from __future__ import annotations

from collections.abc import Sequence

from pyelt_provider.identifiers import constraint_name, opaque, quote
from pyelt_provider.model.domain import Satellite
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.expressions import cannot_fail
from pyelt_provider.statements.mapped_rows import Group, MappedEntity, Work
from pyelt_provider.statements.row_isolation import dollar_quoted
from pyelt_provider.statements.step import Count, Program, Statement

GONE, HERE = "deleted", "active"


def load_record_status(
    stage: Stage, run: Run, satellite: Satellite, group: Group, works: Sequence[Work], isolated: frozenset[int]
) -> Program:
    """Write a row for each key of the pipe that no active row gives any more, and for each that is given again.

    A row that is active but invalid, or rejected by its mapping, leaves its key as it was. A key that was there all
    along has no row at all. `works` are the mappings whose hub has this satellite.
    """
    for work in works:
        if work.entity.staging is not None and not cannot_fail(work.entity.mapping.bk):
            yield prepare_keys(work.entity)
    found = yield find_status_changes(stage, satellite, group, works, isolated)
    if not found.row_count:
        return
    mapping = ", ".join(work.entity.name for work in works)
    yield close_old_status(stage, run, satellite, mapping)
    yield add_status(stage, run, satellite, mapping, GONE)
    yield add_status(stage, run, satellite, mapping, HERE)


def _changes(satellite: Satellite) -> str:
    return quote(constraint_name("pyelt_status", satellite.table.schema, satellite.table.name))


def find_status_changes(
    stage: Stage, satellite: Satellite, group: Group, works: Sequence[Work], isolated: frozenset[int]
) -> Statement:
    """Collect the keys whose status differs from what the satellite says last."""
    hub = works[0].entity.hub.table.sql
    given = " union all ".join(f"select _key from {work.entity.rows}" for work in works)
    standing = "".join(
        f"\n    and not exists (select from {work.entity.rows} as g where g._key = k._key)" for work in works
    )
    standing += "".join(f"\n    and not exists ({_standing(work.entity)})" for work in works if work.entity.staging)
    standing += "".join(
        f"\n    and not exists ({_rejected(work.entity)})"
        for work in works
        if work.entity.number in isolated and work.entity.staging
    )
    return Statement(
        label="find keys that went or came back",
        mapping=", ".join(work.entity.name for work in works),
        table=satellite.table,
        parameters={"pipe": stage.pipe_name, "gone": GONE, "here": HERE},
        sql=f"""
create temporary table {_changes(satellite)} on commit drop as
select o._id, a._id is not null as _changed, a._revision, %(gone)s::text as status
from (
    {_looked_at(group, works, isolated)}) as k
join {hub} as o on o.bk = k._key
left join {satellite.table.sql} as a on a._id = o._id and a._source_system = %(pipe)s and a._active
where a.record_status is distinct from %(gone)s{standing}
union all
select o._id, true, a._revision, %(here)s::text
from {satellite.table.sql} as a
join {hub} as o on o._id = a._id
where a._active and a._source_system = %(pipe)s and a.record_status = %(gone)s
    and o.bk in ({given})
""",
    )


def _looked_at(group: Group, works: Sequence[Work], isolated: frozenset[int]) -> str:
    if not group.full:
        return f"select _key from {group.keys}"
    staging = [work.entity for work in works if work.entity.staging]
    if not staging:
        return "select null::text as _key where false"
    return "\n    union\n    ".join(_all_keys(entity, fenced=entity.number in isolated) for entity in staging)


def _all_keys(entity: MappedEntity, *, fenced: bool) -> str:
    """All keys that the table's rows have or had, but for those that are surely given."""
    assert entity.staging is not None
    join = f"\n    {opaque(entity.mapping.source.join)}" if entity.mapping.source.join else ""
    closed = "not s._active and s._finish_runid is distinct from s._runid"
    condition = entity.mapping.source.filter
    refused = f" or (s._active and s._valid and ({opaque(condition)}) is not true)" if condition else ""
    wanted = f"({closed}){refused}"
    without = f"\n        where not exists (select from {entity.rejected} as x where x._row = s._id)" if fenced else ""
    return f"""select {entity.key} as _key
    from (
        select s.* from {entity.staging.table.sql} as s{without}
        offset 0) as s{join}
    where {wanted}"""


def _standing(entity: MappedEntity) -> str:
    return f"select from {entity.relation} where s._active and not s._valid and {surely(entity)} = k._key"


def _rejected(entity: MappedEntity) -> str:
    return f"""select from {entity.relation}
        where s._id in (select _row from {entity.rejected}) and s._active and {surely(entity)} = k._key"""


def surely(entity: MappedEntity) -> str:
    """Return the key of a row that may not be evaluable; null then."""
    return entity.key if cannot_fail(entity.mapping.bk) else f"pg_temp.pyelt_key_{entity.number}(s._id)"


def prepare_keys(entity: MappedEntity) -> Statement:
    """Make the function that gives the key of a staging row, or null where it cannot be evaluated."""
    body = f"""
#variable_conflict use_column
declare
    pyelt_key text;
begin
    select {entity.key} into pyelt_key from {entity.relation} where s._id = pyelt_candidate;
    return pyelt_key;
exception when data_exception or integrity_constraint_violation then
    return null;
end
"""
    return Statement(
        label="prepare to read keys row by row",
        mapping=entity.name,
        sql=f"""
create or replace function pg_temp.pyelt_key_{entity.number}(pyelt_candidate bigint) returns text
language plpgsql stable as {dollar_quoted(body)}
""",
    )


def close_old_status(stage: Stage, run: Run, satellite: Satellite, mapping: str) -> Statement:
    return Statement(
        label="close the old status",
        mapping=mapping,
        table=satellite.table,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time},
        sql=f"""
update {satellite.table.sql} as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from {_changes(satellite)} as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed
""",
    )


def add_status(stage: Stage, run: Run, satellite: Satellite, mapping: str, status: str) -> Statement:
    """Add the new status of the keys that went, or of those that came back."""
    gone = status == GONE
    return Statement(
        label="say which keys are gone" if gone else "say which keys are back",
        mapping=mapping,
        table=satellite.table,
        count=Count.DELETED if gone else Count.RETURNED,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time, "status": status},
        sql=f"""
insert into {satellite.table.sql}
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from {_changes(satellite)} as c
where c.status = %(status)s
""",
    )

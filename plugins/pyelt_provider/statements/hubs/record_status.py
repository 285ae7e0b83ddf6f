"""Keeps when a key of a pipe went and when it came back, in the record-status satellite of its hub."""

from __future__ import annotations

from collections.abc import Sequence

from pyelt_provider.identifiers import constraint_name, opaque, quote, quote_all, text_literal
from pyelt_provider.model.domain import Satellite, SatelliteKind
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.mapped_rows import Group, MappedEntity, Work, satellites_of
from pyelt_provider.statements.mappings.past_filters import passed
from pyelt_provider.statements.mappings.row_history import history_parameters, replaced_rows, stood
from pyelt_provider.statements.mappings.row_isolation import dollar_quoted, fenced_relation
from pyelt_provider.statements.sql.expressions import cannot_fail
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
        if work.entity.staging is not None and work.entity.mapping.source.filter:
            yield prepare_keys(work.entity, filtered=True)
    found = yield find_status_changes(stage, run, satellite, group, works, isolated)
    if not found.row_count:
        return
    mapping = ", ".join(work.entity.name for work in works)
    yield close_old_status(stage, run, satellite, mapping)
    yield add_status(stage, run, satellite, mapping, GONE)
    yield add_status(stage, run, satellite, mapping, HERE)


def _changes(satellite: Satellite) -> str:
    return quote(constraint_name("pyelt_status", satellite.table.schema, satellite.table.name))


def find_status_changes(
    stage: Stage, run: Run, satellite: Satellite, group: Group, works: Sequence[Work], isolated: frozenset[int]
) -> Statement:
    """Collect the keys whose status differs from what the satellite says last."""
    hub = works[0].entity.hub.table.sql
    staged = [work for work in works if work.entity.staging is not None]
    given = " union all ".join(f"select _key from {work.entity.rows}" for work in works)
    not_given = "".join(
        f"\n    and not exists (select from {work.entity.rows} as g where g._key = k._key)" for work in works
    )
    kept = "".join(f"{_kept_by_rejected(stage, run, work)},\n" for work in staged)
    not_kept = "".join(
        f"\n    and not exists (select from kept_{work.entity.number} as g where g._key = k._key)" for work in staged
    )
    not_kept += "".join(_not_rejected(work.entity) for work in works if work.entity.number in isolated)
    parameters: dict[str, object] = {"pipe": stage.pipe_name, "runid": run.number, "gone": GONE, "here": HERE}
    for work in staged:
        parameters |= _history(stage, work)
    return Statement(
        label="find keys that went or came back",
        mapping=", ".join(work.entity.name for work in works),
        table=satellite.table,
        parameters=parameters,
        sql=f"""
create temporary table {_changes(satellite)} on commit drop as
with recursive {kept}looked_at as (
    {_looked_at(stage, group, works, isolated)})
select o._id, a._id is not null as _changed, a._revision, %(gone)s::text as status
from (select distinct _key from looked_at) as k
join {hub} as o on o.bk = k._key
left join {satellite.table.sql} as a on a._id = o._id and a._source_system = %(pipe)s and a._active
where a.record_status is distinct from %(gone)s{not_given}{not_kept}
union all
select o._id, true, a._revision, %(here)s::text
from {satellite.table.sql} as a
join {hub} as o on o._id = a._id
where a._active and a._source_system = %(pipe)s and a.record_status = %(gone)s
    and o.bk in ({given})
""",
    )


def _history(stage: Stage, work: Work) -> dict[str, object]:
    assert work.entity.staging is not None
    return history_parameters(stage, work.entity.name, work.entity.staging, work.delta.runids, _suffix(work))


def _suffix(work: Work) -> str:
    return f"_{work.entity.number}"


def _looked_at(stage: Stage, group: Group, works: Sequence[Work], isolated: frozenset[int]) -> str:
    """Return a query of the keys that may have gone: those of closed rows; all that the mappings gave when full."""
    if not group.full:
        return f"select _key from {group.keys} where _closed"
    queries = []
    for work in works:
        if work.entity.staging is not None:
            queries.append(_all_keys(stage, work, fenced=work.entity.number in isolated))
        if work.delta.others_went:
            queries.append(_every_key(stage, work.entity))
        elif not work.entity.mapping.source.is_incremental:
            queries.append(_loaded_keys(stage, work.entity))
    return "\n    union\n    ".join(queries)


def _loaded_keys(stage: Stage, entity: MappedEntity) -> str:
    """The keys that the vault has from the mapping: a view, query or join does not say what it gave before."""
    hub = entity.hub.table.sql
    satellites = [item for item in satellites_of(entity) if item.kind is not SatelliteKind.RECORD_STATUS]
    if not satellites:
        return f"""select h.bk as _key
    from {hub} as h
    where {_brought_or_given(stage, entity)} and h.type = {text_literal(entity.hub.type)}"""
    return "\n    union\n    ".join(
        f"""select h.bk as _key
    from {satellite.table.sql} as v
    join {hub} as h on h._id = v._id
    where v._source_system = %(pipe)s and v._active"""
        for satellite in satellites
    )


def _brought_or_given(stage: Stage, entity: MappedEntity) -> str:
    """The condition that the pipe brought a key of the hub (not only for its links), or gives it as well."""
    table = entity.hub.table
    noted = f"""select row_id from {quote(stage.pipeline.sys_schema)}.given_keys
        where (schemaname, tablename) = ({text_literal(table.schema)}, {text_literal(table.name)}) and"""
    return f"""(coalesce(h._source_system, %(pipe)s) = %(pipe)s and h._id not in (
        {noted} only_for_links) or h._id in (
        {noted} pipe = %(pipe)s and not only_for_links))"""


def _every_key(stage: Stage, entity: MappedEntity) -> str:
    """Every key of the hub that the pipe brought or filled: nobody knows which of them a removed mapping gave."""
    hub = entity.hub.table.sql
    hubs = [other for other in stage.pipeline.hubs.values() if other.table == entity.hub.table]
    tables = sorted({s.table for other in hubs for s in other.satellites if s.kind is not SatelliteKind.RECORD_STATUS})
    return "\n    union\n    ".join(
        (
            f"select h.bk as _key from {hub} as h where {_brought_or_given(stage, entity)}",
            *(
                f"""select h.bk from {table.sql} as v
    join {hub} as h on h._id = v._id
    where v._source_system = %(pipe)s and v._active"""
                for table in tables
            ),
        )
    )


def _all_keys(stage: Stage, work: Work, *, fenced: bool) -> str:
    """All keys that the table's rows gave while they stood, but for those that active rows surely give."""
    entity = work.entity
    assert entity.staging is not None
    table = entity.staging.table.sql
    closed = f"""select {surely(entity)} as _key
    from {entity.relation}
    where s._id in (
        select c._id from {table} as c
        where not c._active and c._finish_runid is distinct from c._runid
            and {stood(stage, "c", _suffix(work))})"""
    condition = entity.mapping.source.filter
    if not condition:
        return closed
    relation = fenced_relation(entity) if fenced else entity.relation
    return f"""{closed}
    union
    select {entity.key}
    from {relation}
    where s._active and s._valid and ({opaque(condition)}) is not true
        and s._runid <> all(%(runids{_suffix(work)})s::numeric[]) and {stood(stage, "s", _suffix(work))}
        and not exists (
            select from {quote(stage.pipeline.sys_schema)}.rejected_rows as freed
            where freed.pipe = %(pipe)s and freed.mapping = %(mapping{_suffix(work)})s and freed.row_id = s._id
                and freed.freed_runid = %(runid)s)"""


def _not_rejected(entity: MappedEntity) -> str:
    """The condition that no rejected row of a view or query has the key; what such a row gave before is not known."""
    if entity.staging is not None or not cannot_fail(entity.mapping.bk):
        return ""
    return f"""
    and not exists (
        select from {entity.copied} as s
        where s._pyelt_row in (select _row from {entity.rejected}) and {entity.key} = k._key)"""


def _kept_by_rejected(stage: Stage, run: Run, work: Work) -> str:
    """Two parts of a `with`: what rejected active rows, or the rows that they replaced, gave while they stood."""
    entity, number = work.entity, work.entity.number
    assert entity.staging is not None
    table, sys = entity.staging.table.sql, quote(stage.pipeline.sys_schema)
    key, of_its_time = _unless_filtered(entity), ""
    if work.delta.past_filters:
        key, of_its_time = surely(entity), f" and {passed(stage, run, entity, _suffix(work))}"
    return f"""later_{number} as (
    select r._id, r._runid,
        r._runid <> all(%(runids_{number})s::numeric[]) and {stood(stage, "r", _suffix(work), but_now=True)} as stood,
        {quote_all(entity.staging.key, "r")}
    from {table} as r
    where r._active and r._id in (
        select _id from {table} where _active and not _valid
        union
        select row_id from {sys}.rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping_{number})s and freed_runid is null)
    union
    {replaced_rows(stage, entity.staging, _suffix(work), f"later_{number}")}),
kept_{number} as (
    select {key} as _key
    from {entity.relation}
    where s._id in (select _id from later_{number} where stood){of_its_time})"""


def _unless_filtered(entity: MappedEntity) -> str:
    """The key of a row that may not be evaluable, null also where the mapping's filter leaves the row away."""
    return f"pg_temp.pyelt_filtered_key_{entity.number}(s._id)" if entity.mapping.source.filter else surely(entity)


def surely(entity: MappedEntity) -> str:
    """Return the key of a row that may not be evaluable; null then."""
    return entity.key if cannot_fail(entity.mapping.bk) else f"pg_temp.pyelt_key_{entity.number}(s._id)"


def prepare_keys(entity: MappedEntity, *, filtered: bool = False) -> Statement:
    """Make the function that gives the key of a staging row, or null where it cannot be evaluated.

    With `filtered` it is another one, that gives null also for rows that the mapping's filter leaves away.
    """
    condition = f" and ({opaque(entity.mapping.source.filter or 'true')})" if filtered else ""
    body = f"""
#variable_conflict use_column
declare
    pyelt_key text;
begin
    select {entity.key} into pyelt_key from {entity.relation} where s._id = pyelt_candidate{condition};
    return pyelt_key;
exception when data_exception or integrity_constraint_violation then
    return null;
end
"""
    return Statement(
        label="prepare to read keys row by row",
        mapping=entity.name,
        sql=f"""
create or replace function pg_temp.pyelt_{"filtered_" if filtered else ""}key_{entity.number}(pyelt_candidate bigint) returns text
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

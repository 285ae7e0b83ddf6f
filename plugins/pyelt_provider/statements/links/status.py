"""When a link goes and when it comes back: its status satellite, and the one current link of a driving key."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.domain import Link, SatelliteKind
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.links.history import LinkGroup, link_type
from pyelt_provider.statements.step import Count, Program, Statement

ACTIVE = "active"
ENDED = "ended"


def load_status(stage: Stage, run: Run, group: LinkGroup, status: TableName) -> Program:
    """End the links that no active row of the pipe gives any more, and let those be active again that came back.

    With a driving reference one link of each driving key is current, the others end: the one that `prefer` puts first;
    without it a partner that is new, then the one that is current, then the row that was delivered last, then the first
    in the order of the mappings and the source key. A link that never went has no status row, and a link that another
    pipe brings tonight did not go for this one.
    """
    yield judge_links(stage, run, group, status)
    yield close_status(stage, run, group, status)
    yield add_status(stage, run, group, status, ENDED, "end links that went", Count.DELETED)
    yield add_status(stage, run, group, status, ACTIVE, "let links be active that came back", Count.RETURNED)


def judge_links(stage: Stage, run: Run, group: LinkGroup, status: TableName) -> Statement:
    """Work out for every touched link whether it is current for this pipe: `_id`, `current`."""
    link = group.link
    fks = tuple(quote(reference.column) for reference in link.references)
    fk_list = ", ".join(f"r.{fk}" for fk in fks)
    whole = " and ".join(f"r.{fk} is not null" for fk in fks)
    same_type = " and l.type = given.type" if link.types else ""
    same = " and ".join(f"l.{fk} = given.{fk}" for fk in fks) + same_type
    rows = "\n    union all ".join(
        f"select {fk_list}, {link_type(work)} as type, r.usable, r.run_number, r.preference, "
        f"r.run_number = any(%(unseen_{work.number})s::numeric[]) as unseen, "
        f"array[{work.number}, r.place] as place from {work.rows} r where {whole}"
        for work in group.works
    )
    driving = tuple(quote(r.column) for r in link.references if r.role == link.driving)
    partition = ", ".join((*driving, "type"))
    # Where everything is compared, nobody knows what is new.
    new = (
        "false"
        if group.full
        else f"""coalesce(bool_and(seen.unseen) filter (
                where seen.usable or coalesce(st.record_status, '{ACTIVE}') = '{ACTIVE}'), false)
            and not bool_or(seen.closed_now)"""
    )
    current = "holds"
    if driving:
        current = f"""holds and 1 = row_number() over (
        partition by {partition}
        order by holds desc, preference, is_new desc, was_current desc, run_number desc nulls last, place, _id)"""
    return Statement(
        label="see which links are current",
        table=status,
        mapping=group.works[0].mapping.name,
        parameters={
            "runid": run.number,
            # The runs whose rows a mapping had not looked at before: such a row alone gave no link until now.
            **{f"unseen_{work.number}": list(work.delta.runids) for work in group.works},
            "pipe": stage.pipe_name,
            "schema": link.table.schema,
            "table": link.table.name,
        },
        sql=f"""
create temporary table {group.states} on commit drop as
with given as (
    {rows}
), seen as (
    select l._id, true as given, given.usable, false as gone, false as closed_now,
        given.run_number, given.unseen, given.preference, given.place
    from given join {link.table.sql} l on {same}
    union all
    select touched._id, false, false, touched.gone, touched.closed_now, null, null, null, null
    from (
{_touched_links(stage, group, status)}
    ) touched
), judged as (
    select l._id, {"".join(f"l.{column}, " for column in driving)}l.type,
        bool_or(seen.usable) or bool_or(seen.given) and coalesce(max(st.record_status), '{ACTIVE}') = '{ACTIVE}' as holds,
        l._runid = %(runid)s
            or {new} as is_new,
        l._runid <> %(runid)s and coalesce(max(st.record_status), '{ACTIVE}') = '{ACTIVE}' and (
            coalesce(l._source_system, %(pipe)s) = %(pipe)s or bool_or(st._id is not null or seen.gone)
            or coalesce(bool_or(not seen.unseen), false)) as was_current,
        min(seen.preference) as preference, max(seen.run_number) as run_number, min(seen.place) as place
    from seen join {link.table.sql} l on l._id = seen._id
    left join {status.sql} st on st._id = l._id and st._source_system = %(pipe)s and st._active
    where seen.given or l._runid <> %(runid)s
    group by l._id, l._runid, l._source_system, {"".join(f"l.{column}, " for column in driving)}l.type
)
select _id, {current} as current
from judged
""",
    )


def _touched_links(stage: Stage, group: LinkGroup, status: TableName) -> str:
    """A query of the links that closed rows gave (and all others of the changed rows' driving keys):
    `_id`, `gone`, `closed_now`.

    A link that nobody brought (an old PyELT may leave the source empty) is that of each pipe.
    """
    link = group.link
    if group.full:
        return _given_links(stage, link, status)
    # What an active row gives stands among the rows that were collected, unless it is rejected and gives nothing.
    own = _links_of(stage, link, f"(select * from {group.keys} where gone)")
    if link.driving is None:
        return own
    number, driving = next((n, r) for n, r in enumerate(link.references, 1) if r.role == link.driving)
    hub = stage.pipeline.hubs[driving.hub].table.sql
    of_type = " and l.type = k.type" if link.types else ""
    return f"""{own}
    union all
    select l._id, false, false from {group.keys} k
    join {hub} h on h.bk = k.key_{number}
    join {link.table.sql} l on l.{quote(driving.column)} = h._id{of_type}
    where coalesce(l._source_system, %(pipe)s) = %(pipe)s
       or exists (select from {status.sql} st where st._id = l._id and st._source_system = %(pipe)s and st._active)"""


def _given_links(stage: Stage, link: Link, status: TableName) -> str:
    """A query of all links that the pipe ever gave: it brought them, filled a satellite of them, or it is noted.

    Staging is not asked: its closed rows do not tell which mappings and filters there were when they stood.
    """
    filled = [s.table for s in link.satellites if s.kind is not SatelliteKind.RECORD_STATUS]
    satellites = "".join(
        f"\n    union all\n    select _id, false, false from {table.sql} where _source_system = %(pipe)s and _active"
        for table in (status, *filled)
    )
    return f"""    select _id, false as gone, false as closed_now from {link.table.sql}
    where coalesce(_source_system, %(pipe)s) = %(pipe)s
    union all
    select row_id, false, false from {quote(stage.pipeline.sys_schema)}.given_keys
    where pipe = %(pipe)s and not only_for_links and (schemaname, tablename) = (%(schema)s, %(table)s){satellites}"""


def _links_of(stage: Stage, link: Link, keys: str) -> str:
    joins = "\n    ".join(
        f"join {stage.pipeline.hubs[r.hub].table.sql} h{n} on h{n}.bk = k.key_{n}"
        for n, r in enumerate(link.references, 1)
    )
    same = " and ".join(f"l.{quote(r.column)} = h{n}._id" for n, r in enumerate(link.references, 1))
    of_type = " and l.type = k.type" if link.types else ""
    return f"""    select l._id, true as gone, k.closed_now from {keys} k
    {joins}
    join {link.table.sql} l on {same}{of_type}"""


def close_status(stage: Stage, run: Run, group: LinkGroup, status: TableName) -> Statement:
    """Close the status of links that is not true any more."""
    return Statement(
        label="close the status of links that went or came back",
        table=status,
        count=Count.CLOSED,
        mapping=group.works[0].mapping.name,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time},
        sql=f"""
update {status.sql} st
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from {group.states} c
where st._id = c._id and st._source_system = %(pipe)s and st._active
  and st.record_status is distinct from case when c.current then '{ACTIVE}' else '{ENDED}' end
""",
    )


def add_status(
    stage: Stage, run: Run, group: LinkGroup, status: TableName, word: str, label: str, count: Count
) -> Statement:
    """Add a status row for links whose last status is another one; without any, a link counts as active."""
    return Statement(
        label=label,
        table=status,
        count=count,
        mapping=group.works[0].mapping.name,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time, "word": word},
        sql=f"""
insert into {status.sql} (_id, _runid, _source_system, _insert_date, _active, _revision, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true, coalesce(last._revision + 1, 0), %(word)s
from {group.states} c
left join lateral (
    select st._revision, st.record_status from {status.sql} st
    where st._id = c._id and st._source_system = %(pipe)s
    order by st._revision desc limit 1
) last on true
where c.current = (%(word)s = '{ACTIVE}') and coalesce(last.record_status, '{ACTIVE}') <> %(word)s
""",
    )

"""Takes back keys of hubs and links that a run brought in: those that nobody needs go, the others get an heir.

The heir is who would have brought the key, had the run not: the pipe that filled a satellite of it first, or that notes in
`sys.given_keys` that it gives it. A key of a hub that only links need is left behind for them: nobody looks it up, and at
its next turn each pipe lets its links on it wait (see `links.left_keys`), until somebody gives the key again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.given_keys import key_parameters, left_keys
from pyelt_provider.statements.step import Count, Program, Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class _User:
    """A column that points at the keys; `loaded` says that its rows name the run and pipe that they come from.

    A link needs both of its keys but gives none; a satellite and a row of staging are from who gives the key.
    """

    table: TableName
    column: str
    loaded: bool

    @property
    def is_link(self) -> bool:
        return self.column != "_id" and not self.table.name.endswith("_hstage")


def take_back_keys(stage: Stage, table: TableName, run: Run, *, only_for_links: bool = False) -> Program:
    """Take back what the pipe brought into a hub or link in this run; with `only_for_links` the keys left for links alone."""
    known = key_parameters(stage, run, table)
    sys = quote(stage.pipeline.sys_schema)
    if not only_for_links:
        yield Statement(
            label="forget that the pipe gives keys of others",
            parameters=known,
            sql=f"""
delete from {sys}.given_keys
where (runid, pipe) = (%(runid)s, %(pipe)s) and (schemaname, tablename) = (%(schema)s, %(table)s) and not only_for_links""",
        )
    users = yield from _users(table)
    brought = f"""k._runid = %(runid)s and k._source_system = %(pipe)s
    and {"" if only_for_links else "not "}exists (
        select from {sys}.given_keys as made
        where made.only_for_links and made.row_id = k._id and (made.schemaname, made.tablename) = (%(schema)s, %(table)s))"""
    yield _drop(stage, table, users, known, brought)
    yield from _bequeath(stage, table, users, known, brought)


def give_up_links(stage: Stage, link: TableName, ids: str) -> Program:
    """Let the pipe give the links no more whose `_id` the query `ids` returns; those that it brought go, or get an heir."""
    known = {"schema": link.schema, "table": link.name, "pipe": stage.pipe_name, "runid": None}
    users = yield from _users(link)
    brought = f"k._source_system = %(pipe)s and k._id in ({ids})"
    yield _drop(stage, link, users, known, brought)
    yield from _bequeath(stage, link, users, known, brought)


def drop_left_keys(stage: Stage, hub: TableName) -> Program:
    """Take the keys out of a hub that were left behind for links, and that no link needs any more."""
    users = yield from _users(hub)
    yield _drop(stage, hub, users, {"schema": hub.schema, "table": hub.name}, f"k._id in ({left_keys(stage, hub)})")


def _drop(
    stage: Stage, table: TableName, users: tuple[_User, ...], known: Mapping[str, object], brought: str
) -> Statement:
    # With `offset 0` each key is looked up by index, as the foreign keys do; else the planner goes through whole links.
    sys = quote(stage.pipeline.sys_schema)
    unused = "".join(
        f"\n    and not exists (select from {user.table.sql} as u where u.{quote(user.column)} = k._id offset 0)"
        for user in users
    )
    return Statement(
        label="take back keys that nobody needs",
        parameters=known,
        table=table,
        count=Count.TAKEN_BACK,
        sql=f"""
with gone as (
    delete from {table.sql} as k
    where {brought}
    and not exists (
        select from {sys}.given_keys as other
        where not other.only_for_links and other.row_id = k._id
            and (other.schemaname, other.tablename) = (%(schema)s, %(table)s)){unused}
    returning k._id),
forgotten as (
    delete from {sys}.given_keys as made using gone
    where made.row_id = gone._id and (made.schemaname, made.tablename) = (%(schema)s, %(table)s))
select _id from gone""",
    )


def _bequeath(
    stage: Stage, table: TableName, users: tuple[_User, ...], known: Mapping[str, object], brought: str
) -> Program:
    heirs = f"pg_temp.{quote('pyelt_heirs')}"
    found = yield Statement(
        label="see who needs the other keys",
        parameters=known,
        sql=f"""
create temporary table {heirs.removeprefix("pg_temp.")} on commit drop as
select k._id, heir.*
from {table.sql} as k
cross join lateral (
    select user_of.pipe, greatest(user_of.runid, %(runid)s) as runid, user_of.date, user_of.is_link
    from (
        {_candidates(stage, table, users)}) as user_of (pipe, runid, date, is_link)
    order by user_of.is_link, user_of.runid, user_of.pipe
    limit 1) as heir
where {brought}""",
    )
    if found.row_count:
        yield Statement(label="gather statistics of who needs them", sql=f"analyze {heirs}")
        yield from _give(stage, table, heirs, known)
    yield Statement(label="forget who needs them", sql=f"drop table {heirs}")


def _users(table: TableName) -> Routine[tuple[_User, ...]]:
    """Return every table with a foreign key on the keys, and the fk columns of staging."""
    found = yield Statement(
        label="look for tables that use the keys",
        sql="""
with users as (
    select k.conrelid as relation, a.attname
    from pg_constraint as k
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
    where k.contype = 'f' and k.confrelid = to_regclass(%(table)s)
    union
    select c.oid, a.attname
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid and c.relkind = 'r'
    where c.relname like '%%\\_hstage' and a.attname like 'fk\\_%%' and a.attname like %(fk)s and not a.attisdropped)
select n.nspname, c.relname, users.attname, (
    select count(*) = 3 from pg_attribute as own
    where own.attrelid = c.oid and own.attname in ('_runid', '_source_system', '_insert_date') and not own.attisdropped)
from users
join pg_class as c on c.oid = users.relation
join pg_namespace as n on n.oid = c.relnamespace
order by 1, 2, 3""",
        parameters={"table": table.sql.replace("%%", "%"), "fk": f"%{table.name}"},
        fetch=True,
    )
    return tuple(
        _User(table=TableName(str(schema), str(name)), column=str(column), loaded=bool(loaded))
        for schema, name, column, loaded in found.rows
    )


def _candidates(stage: Stage, table: TableName, users: tuple[_User, ...]) -> str:
    """Return a query of who may inherit the key `k`: (pipe, run, time, whether it is a link that needs it)."""
    noted = f"""select pipe, runid, null::timestamp, false from {quote(stage.pipeline.sys_schema)}.given_keys
        where not only_for_links and row_id = k._id
            and (schemaname, tablename) = ({text_literal(table.schema)}, {text_literal(table.name)})"""
    rows = (
        f"""select u._source_system, u._runid, u._insert_date::timestamp, {str(user.is_link).lower()}
        from {user.table.sql} as u where u.{quote(user.column)} = k._id and u._source_system is not null"""
        for user in users
        if user.loaded
    )
    return "\n        union all\n        ".join((noted, *rows))


def _types(stage: Stage, table: TableName) -> list[tuple[str, str]]:
    """Return (pipe, type) for the types of the hub's keys that each pipe's mappings give, the least specific first."""
    hubs = stage.pipeline.hubs
    found = {
        (pipe.name, hubs[mapping.hub].type): len(stage.pipeline.parents_of(hubs[mapping.hub]))
        for pipe in stage.pipeline.pipes
        for mapping in pipe.entities
        if hubs[mapping.hub].table == table
    }
    return sorted(found, key=lambda given: (given[0], found[given], given[1]))


def _give(stage: Stage, table: TableName, heirs: str, known: Mapping[str, object]) -> Program:
    sys = quote(stage.pipeline.sys_schema)
    yield Statement(
        label="leave the other keys to who needs them",
        parameters=known,
        table=table,
        sql=f"""
update {table.sql} as k
set _source_system = heir.pipe, _runid = heir.runid, _insert_date = coalesce(heir.date, k._insert_date)
from {heirs} as heir
where heir._id = k._id and (k._source_system, k._runid) is distinct from (heir.pipe, heir.runid)""",
    )
    types = _types(stage, table)
    if len({given for _, given in types}) > 1:
        yield Statement(
            label="give them the type that their pipe gives",
            parameters={**known, "pipes": [pipe for pipe, _ in types], "types": [given for _, given in types]},
            table=table,
            sql=f"""
update {table.sql} as k set type = given.types[1]
from {heirs} as heir
join (
    select pipe, array_agg(type order by place) as types
    from unnest(%(pipes)s::text[], %(types)s::text[]) with ordinality as one (pipe, type, place)
    group by pipe) as given on given.pipe = heir.pipe
where heir._id = k._id and not heir.is_link and k.type <> all(given.types)""",
        )
    yield Statement(
        label="forget what the keys themselves say now",
        parameters=known,
        sql=f"""
delete from {sys}.given_keys as noted using {heirs} as heir
where noted.row_id = heir._id and (noted.schemaname, noted.tablename) = (%(schema)s, %(table)s)
    and (noted.only_for_links or not heir.is_link and noted.pipe = heir.pipe)""",
    )
    yield Statement(
        label="note which keys are left behind for links",
        parameters=known,
        sql=f"""
insert into {sys}.given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links, left_behind)
select %(schema)s, %(table)s, heir._id, heir.pipe, heir.runid, true, true
from {heirs} as heir where heir.is_link
on conflict do nothing""",
    )

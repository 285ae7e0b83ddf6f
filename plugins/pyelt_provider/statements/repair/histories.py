"""Rows with history: those that are active beside a later one of their key, and those whose key is gone."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import TableName, constraint_name, quote_all
from pyelt_provider.statements.ddl.catalog import Catalog, FoundTable
from pyelt_provider.statements.ddl.tables import TableSpec
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.step import Count, Program, Statement

ACTIVE_TWICE = "rows that are active beside a later one of their key"
_ORPHANS = "rows whose key is not there"


ForeignKey = tuple[TableName, str, TableName]
"""A table, its column, and the table that the column points at."""


def key_of(spec: TableSpec) -> tuple[str, ...]:
    """Return the columns of which one row is active at a time: those of the table's partial unique index."""
    return next(index.columns for index in spec.indexes if index.unique and index.where == "_active")


def active_twice(spec: TableSpec, found: FoundTable) -> Iterator[Damage]:
    """Yield what counts and closes active rows that have a later one; an index that forbids them spares the look."""
    if any(index.unique and index.valid and "_active" in index.where for index in found.indexes):
        return
    yield Damage(
        table=spec.table,
        what=ACTIVE_TWICE,
        mend="the latest stays, the others end when the next one came",
        count=counting(spec.table, ACTIVE_TWICE, f"select count(*) from (\n{_older(spec)}) as o"),
        repair=lambda repair: close_older(repair, spec, found),
    )


def _older(spec: TableSpec, first: str = "") -> str:
    """A query of the active rows that have a later one: `place`, when the next one came, key. See close_older."""
    key, join = _grouped(spec, first)
    return f"""select * from (
    select s.ctid as place, {", ".join(f"{part} as {name}" for part, name in zip(key, _names(spec), strict=True))},
        lag(s._insert_date) over latest as next_date, row_number() over latest as number
    from {spec.table.sql} as s{join}
    where s._active and num_nulls({quote_all(key_of(spec), "s")}) = 0
    window latest as (
        partition by {", ".join(key)} order by s._runid desc, s._insert_date desc nulls last, s._revision desc, s.ctid)) as ordered
where number > 1"""


def _names(spec: TableSpec) -> list[str]:
    return [f"key_{number}" for number, _ in enumerate(key_of(spec))]


def _grouped(spec: TableSpec, first: str) -> tuple[list[str], str]:
    """The key, and a join: with `first`, a table of (_id, first), an owner's rows count as those of the first one."""
    key = [quote_all([name], "s") for name in key_of(spec)]
    if not first:
        return key, ""
    return ["coalesce(m.first, s._id)", *key[1:]], f"\n    left join {first} as m on m._id = s._id"


def close_older(repair: Repair, spec: TableSpec, found: FoundTable, first: str = "") -> Program:
    """Close the active rows that have a later one, and number the revisions of such a key anew where two are the same."""
    table = spec.table
    older = TableName("pg_temp", constraint_name(table.schema, table.name, "older"))
    names = ", ".join(_names(spec))
    key, join = _grouped(spec, first)
    yield Statement(
        label=f"look for {ACTIVE_TWICE}",
        table=table,
        sql=f"create temporary table {older.sql} on commit drop as\n{_older(spec, first)}",
    )
    touched = f"""from {table.sql} as s{join}
    where ({", ".join(key)}) in (select {names} from {older.sql})"""
    yield repair.note(table, f"{ACTIVE_TWICE}, and the others of these keys", f"select s.* {touched}")
    date = "next_date::text" if found.columns["_finish_date"].type in ("text", "character varying") else "next_date"
    # Numbered in the statement that closes them: a row moves when it is changed, and `place` would point at nothing.
    yield Statement(
        label="close them, and number revisions that are the same anew",
        table=table,
        count=Count.REPAIRED,
        sql=f"""
with touched as (
    select s.ctid as place, s._revision, {", ".join(f"{part} as {name}" for part, name in zip(key, _names(spec), strict=True))},
        row_number() over (partition by {", ".join(key)} order by s._runid, s._insert_date, s._revision) - 1 as number
    {touched}),
clashing as (
    select {names} from touched group by {names} having count(distinct _revision) < count(*)),
wanted as (
    select t.place, o.place is not null as closes, o.next_date,
        case when ({", ".join(f"t.{name}" for name in _names(spec))}) in (select {names} from clashing)
            then t.number else t._revision end as revision
    from touched as t left join {older.sql} as o on o.place = t.place)
update {table.sql} as s
set _active = s._active and not w.closes, _revision = w.revision,
    _finish_date = case when w.closes then w.{date} else s._finish_date end
from wanted as w
where w.place = s.ctid and (w.closes or w.revision is distinct from s._revision)""",
    )
    yield Statement(label="drop the list of them", sql=f"drop table {older.sql}")


def orphans(spec: TableSpec, catalog: Catalog, checked: frozenset[ForeignKey]) -> Iterator[Damage]:
    """Yield what counts and removes the rows of a satellite whose hub or link row is gone; a checked key has none."""
    owner = spec.foreign_keys[0].references
    if owner not in catalog.tables or (spec.table, "_id", owner) in checked:
        return
    lost = f"not exists (select from {owner.sql} as o where o._id = t._id)"
    yield Damage(
        table=spec.table,
        what=_ORPHANS,
        mend="removed, and kept in sys.repaired_rows",
        count=counting(spec.table, _ORPHANS, f"select count(*) from {spec.table.sql} as t where {lost}"),
        repair=lambda repair: _remove_orphans(repair, spec, lost),
    )


def _remove_orphans(repair: Repair, spec: TableSpec, lost: str) -> Program:
    yield repair.remove(spec.table, _ORPHANS, lost)

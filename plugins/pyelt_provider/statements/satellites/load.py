"""Loads one satellite from collected rows: compares with the active rows, closes those that changed, adds the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyelt_provider.identifiers import constraint_name, quote, text_literal
from pyelt_provider.model.domain import Satellite, SatelliteKind
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.bulk_mode import load_in_bulk
from pyelt_provider.statements.ddl.tables import satellite_spec
from pyelt_provider.statements.satellites.active_twice import keep_latest
from pyelt_provider.statements.satellites.owner import SatelliteOwner
from pyelt_provider.statements.sql.casts import comparable
from pyelt_provider.statements.step import Count, Number, Program, Statement, one


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledColumn:
    """A satellite column, the hybrid type that it is filled for, and the column of the collected rows that has it."""

    column: str
    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SatelliteSource:
    """The collected rows of one mapping: a temporary table with its key columns, in the order of the owner's keys.

    `where` is a condition on the rows, under the alias ``r``, that leaves at most one row per key (and type). With
    `owner_id` the rows have the owner's `_id` in that column already, and nothing is looked up. `of_type` limits the
    source to one hybrid type where the columns do not say it.
    """

    mapping: str
    rows: str
    keys: tuple[str, ...]
    columns: tuple[FilledColumn, ...]
    where: str = "true"
    owner_id: str | None = None

    def columns_of(self, hybrid_type: str | None) -> dict[str, str]:
        """Return the satellite columns that this source fills for a type, each with its value column."""
        return {item.column: item.value for item in self.columns if item.type == hybrid_type}


def load_satellite(
    stage: Stage,
    run: Run,
    satellite: Satellite,
    owner: SatelliteOwner,
    sources: Sequence[SatelliteSource],
    *,
    empty: bool = False,
    bulk: bool = False,
) -> Program:
    """Load a plain or hybrid satellite from all mappings of the pipe on it, `sources` in the order of the mappings.

    A value that did not change writes nothing. Where several mappings fill the same column, the first one that has the
    key gives it; a column for which no mapping has the key any more keeps its value. `empty` says that the satellite
    has no rows, `bulk` that its indexes may be dropped meanwhile (see bulk_mode).
    """
    mapping = ", ".join(source.mapping for source in sources)
    for hybrid_type in _types(satellite, sources):
        filling = [source for source in sources if source.columns_of(hybrid_type)]
        for statement in _count_differing(satellite, filling, hybrid_type):
            differing = yield statement
            if number := int(str(differing.value)):
                yield Number(
                    label="keys whose mappings differ",
                    table=satellite.table,
                    count=Count.DIFFERING,
                    rows=number,
                    mapping=mapping,
                )
    if empty:
        insert = insert_first_rows(stage, run, satellite, owner, sources)
        if bulk:
            yield from load_in_bulk(satellite_spec(satellite, owner.table), one(insert))
        else:
            yield insert
        return
    changes = yield find_changes(stage, satellite, owner, sources)
    if changes.row_count:
        yield from keep_latest(satellite, changes_table(satellite), stage.pipe_name)
        yield close_changed_rows(stage, run, satellite, mapping)
        yield add_new_rows(stage, run, satellite, sources)


def _types(satellite: Satellite, sources: Sequence[SatelliteSource]) -> tuple[str | None, ...]:
    if satellite.kind is not SatelliteKind.HYBRID:
        return (None,)
    filled = {item.type for source in sources for item in source.columns}
    return tuple(sorted(name for name in filled if name is not None))


def _filled_columns(sources: Sequence[SatelliteSource]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.column for source in sources for item in source.columns))


def _column_types(satellite: Satellite) -> dict[str, str]:
    return {column.name: column.type for column in satellite.columns}


def changes_table(satellite: Satellite) -> str:
    return quote(constraint_name("pyelt_changes", satellite.table.schema, satellite.table.name))


def _key_names(owner: SatelliteOwner) -> tuple[str, ...]:
    return tuple(f"_key_{number}" for number, _ in enumerate(owner.keys, 1))


def _rows_of(satellite: Satellite, owner: SatelliteOwner, sources: Sequence[SatelliteSource]) -> str:
    """Return a query of the rows as they are to be: keys (or _id), type, each column, and for whom a column is known."""
    types = _types(satellite, sources)
    if len(sources) == 1 and len(types) > 1:
        return _rows_of_types(satellite, owner, sources[0], types)
    return "\n    union all\n".join(_rows_of_type(satellite, owner, sources, hybrid_type) for hybrid_type in types)


def _rows_of_types(
    satellite: Satellite, owner: SatelliteOwner, source: SatelliteSource, types: tuple[str | None, ...]
) -> str:
    """One source gives every type: it is read once, and its types come out side by side, in the order of the owner."""
    column_types = _column_types(satellite)
    columns = _filled_columns((source,))
    rows = []
    for hybrid_type in types:
        filled = source.columns_of(hybrid_type)
        values = (f"m1.{filled[c]}" if c in filled else f"null::{column_types[c]}" for c in columns)
        rows.append(f"({', '.join((f'{text_literal(str(hybrid_type))}::text', *values))})")
    keys = ", ".join(f"m1.{key}" for key in _source_keys(source, owner))
    names = ", ".join(("type", *(quote(column) for column in columns)))
    return f"""    select {keys}, typed.*
    from ({_read(source, owner)}) as m1
    cross join lateral (values {", ".join(rows)}) as typed ({names})"""


def _rows_of_type(
    satellite: Satellite, owner: SatelliteOwner, sources: Sequence[SatelliteSource], hybrid_type: str | None
) -> str:
    filling = [source for source in sources if source.columns_of(hybrid_type)]
    types = _column_types(satellite)
    keys = _source_keys(filling[0], owner)
    selected = [f"m1.{key}" if len(filling) == 1 else key for key in keys]
    if hybrid_type is not None:
        selected.append(f"{text_literal(hybrid_type)}::text as type")
    for column in _filled_columns(sources):
        having = [
            (n, s.columns_of(hybrid_type)[column])
            for n, s in enumerate(filling, 1)
            if column in s.columns_of(hybrid_type)
        ]
        if not having:
            selected.append(f"null::{types[column]} as {quote(column)}")
        elif len(filling) == 1:
            selected.append(f"m1.{having[0][1]} as {quote(column)}")
        else:
            known = [f"when m{n}._here then m{n}.{value}" for n, value in having]
            selected.append(f"case {' '.join(known)} end as {quote(column)}")
        if _may_be_unknown(sources, column):
            here = " or ".join(f"coalesce(m{n}._here, false)" for n, _ in having) if len(filling) > 1 else "true"
            selected.append(f"({here if having else 'true'}) as {quote(_known(column))}")
    joined = f"({_read(filling[0], owner)}) as m1"
    for number, source in enumerate(filling[1:], 2):
        joined += f"\n    full join ({_read(source, owner)}) as m{number} using ({', '.join(keys)})"
    return f"    select {', '.join(selected)}\n    from {joined}"


def _known(column: str) -> str:
    return constraint_name("_known", column)


def _may_be_unknown(sources: Sequence[SatelliteSource], column: str) -> bool:
    """True when a key can be there without any mapping that fills the column having it."""
    return len(sources) > 1 and any(all(item.column != column for item in source.columns) for source in sources)


def _source_keys(source: SatelliteSource, owner: SatelliteOwner) -> tuple[str, ...]:
    return ("_id",) if source.owner_id else _key_names(owner)


def _read(source: SatelliteSource, owner: SatelliteOwner) -> str:
    if source.owner_id:
        keys = f"r.{source.owner_id} as _id"
    else:
        keys = ", ".join(f"r.{key} as {name}" for key, name in zip(source.keys, _key_names(owner), strict=True))
    values = "".join(f", r.{value}" for value in dict.fromkeys(item.value for item in source.columns))
    return f"select {keys}{values}, true as _here from {source.rows} as r where {source.where}"


def _joined_owner(owner: SatelliteOwner, sources: Sequence[SatelliteSource]) -> tuple[str, str]:
    """Return the owner's `_id` and the join that finds it."""
    if all(source.owner_id for source in sources):
        return "c._id", ""
    conditions = " and ".join(f"o.{key} = c.{name}" for key, name in zip(owner.keys, _key_names(owner), strict=True))
    return "o._id", f"\njoin {owner.relation} as o on {conditions}"


def _has_value(satellite: Satellite, columns: tuple[str, ...]) -> str:
    """Return the condition under which a new key gets a row: in a hybrid satellite only a type that has a value."""
    if satellite.kind is not SatelliteKind.HYBRID:
        return "true"
    return f"num_nonnulls({', '.join(f'c.{quote(column)}' for column in columns)}) > 0"


def find_changes(
    stage: Stage, satellite: Satellite, owner: SatelliteOwner, sources: Sequence[SatelliteSource]
) -> Statement:
    """Collect the rows that are new or differ from the pipe's active row, with the revision of that row."""
    columns, types = _filled_columns(sources), _column_types(satellite)
    owner_id, join = _joined_owner(owner, sources)
    of_type = "c.type, " if satellite.kind is SatelliteKind.HYBRID else ""
    same_type = " and a.type = c.type" if satellite.kind is SatelliteKind.HYBRID else ""
    wanted = {
        column: f"case when c.{quote(_known(column))} then c.{quote(column)} else a.{quote(column)} end"
        if _may_be_unknown(sources, column)
        else f"c.{quote(column)}"
        for column in columns
    }
    values = ", ".join(f"{value} as {quote(column)}" for column, value in wanted.items())
    differs = "\n        or ".join(
        f"{comparable(f'a.{quote(column)}', types[column])} is distinct from {comparable(value, types[column])}"
        for column, value in wanted.items()
    )
    return Statement(
        label="compare with the active rows",
        mapping=", ".join(source.mapping for source in sources),
        table=satellite.table,
        parameters={"pipe": stage.pipe_name},
        sql=f"""
create temporary table {changes_table(satellite)} on commit drop as
select {owner_id} as _id, {of_type}a._id is not null as _changed, a._runid as _of_run, a._revision, {values}
from (
{_rows_of(satellite, owner, sources)}) as c{join}
left join {satellite.table.sql} as a
    on a._id = {owner_id}{same_type} and a._source_system = %(pipe)s and a._active
where case when a._id is null then {_has_value(satellite, columns)}
    else {differs} end
order by 1
""",
    )


def close_changed_rows(stage: Stage, run: Run, satellite: Satellite, mapping: str) -> Statement:
    """Close the active rows that have a successor."""
    same_type = " and a.type = c.type" if satellite.kind is SatelliteKind.HYBRID else ""
    return Statement(
        label="close changed rows",
        mapping=mapping,
        table=satellite.table,
        count=Count.CHANGED,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time},
        sql=f"""
update {satellite.table.sql} as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from {changes_table(satellite)} as c
where a._id = c._id{same_type} and a._source_system = %(pipe)s and a._active and c._changed
""",
    )


def _insert_columns(satellite: Satellite, columns: tuple[str, ...]) -> str:
    of_type = "type, " if satellite.kind is SatelliteKind.HYBRID else ""
    names = ", ".join(quote(column) for column in columns)
    return f"_id, {of_type}_runid, _source_system, _insert_date, _active, _revision, _valid, {names}"


def add_new_rows(stage: Stage, run: Run, satellite: Satellite, sources: Sequence[SatelliteSource]) -> Statement:
    """Insert the rows that are new or changed, as the active ones, with the next revision."""
    columns = _filled_columns(sources)
    of_type = "c.type, " if satellite.kind is SatelliteKind.HYBRID else ""
    values = ", ".join(f"c.{quote(column)}" for column in columns)
    return Statement(
        label="add new rows",
        mapping=", ".join(source.mapping for source in sources),
        table=satellite.table,
        count=Count.INSERTED,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time},
        sql=f"""
insert into {satellite.table.sql}
    ({_insert_columns(satellite, columns)})
select c._id, {of_type}%(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, {values}
from {changes_table(satellite)} as c
""",
    )


def insert_first_rows(
    stage: Stage, run: Run, satellite: Satellite, owner: SatelliteOwner, sources: Sequence[SatelliteSource]
) -> Statement:
    """Insert the first rows of a satellite that has none: there is nothing to compare with."""
    columns = _filled_columns(sources)
    owner_id, join = _joined_owner(owner, sources)
    of_type = "c.type, " if satellite.kind is SatelliteKind.HYBRID else ""
    values = ", ".join(f"c.{quote(column)}" for column in columns)
    return Statement(
        label="add first rows",
        mapping=", ".join(source.mapping for source in sources),
        table=satellite.table,
        count=Count.INSERTED,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "load_time": run.load_time},
        sql=f"""
insert into {satellite.table.sql}
    ({_insert_columns(satellite, columns)})
select {owner_id}, {of_type}%(runid)s, %(pipe)s, %(load_time)s, true, 0, true,
    {values}
from (
{_rows_of(satellite, owner, sources)}) as c{join}
where {_has_value(satellite, columns)}
""",
    )


def _count_differing(
    satellite: Satellite, filling: Sequence[SatelliteSource], hybrid_type: str | None
) -> list[Statement]:
    """Return, for each two mappings that fill the same columns, a count of the keys for which they do not agree."""
    statements = []
    for number, first in enumerate(filling):
        for second in filling[number + 1 :]:
            common = [
                (first.columns_of(hybrid_type)[column], second.columns_of(hybrid_type)[column])
                for column in first.columns_of(hybrid_type)
                if column in second.columns_of(hybrid_type)
            ]
            if common:
                statements.append(_count_differing_between(satellite, first, second, common))
    return statements


def _count_differing_between(
    satellite: Satellite, first: SatelliteSource, second: SatelliteSource, common: list[tuple[str, str]]
) -> Statement:
    differs = " or ".join(f"m1.{one}::text is distinct from m2.{other}::text" for one, other in common)
    same = " and ".join(f"m1.{one} = m2.{other}" for one, other in zip(first.keys, second.keys, strict=True))
    return Statement(
        label="count keys whose mappings differ",
        mapping=f"{first.mapping}, {second.mapping}",
        table=satellite.table,
        fetch=True,
        assumed=((0,),),
        sql=f"""
select count(*)
from (select r.* from {first.rows} as r where {first.where}) as m1
join (select r.* from {second.rows} as r where {second.where}) as m2 on {same}
where {differs}
""",
    )

"""The codes that a pipe's staging gives for one valueset, collected in a temporary table."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, constraint_name, opaque, quote, quote_all
from pyelt_provider.model.domain import Valueset
from pyelt_provider.model.mapping import ValuesetMapping
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.statements.ddl.tables import ColumnSpec, valueset_columns, valueset_key
from pyelt_provider.statements.mappings.sources import conditions_of
from pyelt_provider.statements.sql.casts import cast_expression, comparable
from pyelt_provider.statements.step import Count, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSource:
    """One mapping with the relation that it reads: its own, or the part of it whose rows can be evaluated."""

    mapping: ValuesetMapping
    relation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """A valueset, the columns that the pipe's mappings fill, and the temporary table with what they give now."""

    valueset: Valueset
    pipe: Pipe
    columns: tuple[ColumnSpec, ...]

    @property
    def table(self) -> TableName:
        return self.valueset.table

    @property
    def key(self) -> tuple[str, ...]:
        return valueset_key(self.valueset)

    @property
    def values(self) -> tuple[ColumnSpec, ...]:
        """The columns beside the key."""
        return tuple(column for column in self.columns if column.name not in self.key)

    @property
    def rows(self) -> str:
        return f"pg_temp.{quote(constraint_name('codes', self.table.schema, self.table.name))}"


def codes_of(valueset: Valueset, pipe: Pipe, mappings: tuple[ValuesetMapping, ...]) -> Codes:
    """Return what the mappings, all on this valueset, are about. A column that none of them fills is left alone."""
    filled = {field.column for mapping in mappings for field in mapping.fields}
    key = valueset_key(valueset)
    columns = tuple(c for c in valueset_columns(valueset) if c.name in filled or c.name in key)
    return Codes(valueset=valueset, pipe=pipe, columns=columns)


def collect_codes(codes: Codes, sources: tuple[CodeSource, ...]) -> Statement:
    """Collect what the sources give, each distinct row once, with what decides between several rows of a code.

    `_place` is the row's place by the mapping's `prefer`, else by the staging key; the smallest wins.
    """
    parts = "\n    union all\n    ".join(_one_source(codes, number, source) for number, source in enumerate(sources))
    names = quote_all([column.name for column in codes.columns])
    # Types without equality are grouped by their text and come back from it.
    grouped = ", ".join(comparable(quote(column.name), column.type) for column in codes.columns)
    selected = ", ".join(
        quote(c.name)
        if comparable(c.name, c.type) == c.name
        else f"({comparable(quote(c.name), c.type)})::{opaque(c.type)} as {quote(c.name)}"
        for c in codes.columns
    )
    return Statement(
        label="collect codes",
        table=codes.table,
        mapping=_names(sources),
        sql=f"""
create temporary table {codes.rows} on commit drop as
with source as (
    {parts})
select {selected}, _mapping, min(_place) as _place, count(*) as _rows
from (select {names}, _mapping, _place from source) as s
group by {grouped}, _mapping""",
    )


def _one_source(codes: Codes, number: int, source: CodeSource) -> str:
    given = {field.column: field.expression for field in source.mapping.fields}
    columns = []
    for column in codes.columns:
        value = cast_expression(given[column.name], column.type) if column.name in given else f"null::{column.type}"
        columns.append(f"{value} as {quote(column.name)}")
    selected = ",\n        ".join([*columns, f"{number} as _mapping", f"{_place(codes, source)} as _place"])
    return f"select {selected}\n    from {source.relation}\n    {conditions_of(source.mapping.source)}"


def _place(codes: Codes, source: CodeSource) -> str:
    if source.mapping.prefer:
        keys = _key_columns(codes, source.mapping)
        behind = f", {', '.join(keys)}" if keys else ""
        order = f"row_number() over (order by {opaque(source.mapping.prefer)}{behind})"
        return f"array[lpad(({order})::text, 12, '0')]"
    keys = _key_columns(codes, source.mapping)
    return f"array[{', '.join(keys)}]::text[]" if keys else "array[]::text[]"


def _key_columns(codes: Codes, mapping: ValuesetMapping) -> list[str]:
    if mapping.source.staging is None:
        return []
    # By bytes, so that the winner does not depend on the language of the server.
    return [f's.{quote(column)} collate "C"' for column in codes.pipe.table(mapping.source.staging).key]


def _names(sources: tuple[CodeSource, ...]) -> str:
    return ", ".join(source.mapping.name for source in sources)


def count_codes(codes: Codes) -> Statement:
    """One row: how many source rows have no code, and how many codes have rows that differ."""
    keyed = " and ".join(f"{quote(column)} is not null" for column in codes.key)
    return Statement(
        label="count rows without a code, and codes with differing rows",
        fetch=True,
        assumed=((0, 0),),
        sql=f"""
select coalesce((select sum(_rows) from {codes.rows} where not ({keyed})), 0)::bigint,
    (select count(*) from (
        select from {codes.rows} where {keyed} group by {quote_all(codes.key)} having count(*) > 1) as several)""",
    )


def choose_codes(codes: Codes) -> Statement:
    """Keep one row per code: the first mapping's, and of that the first by its order."""
    same = " and ".join(f"better.{quote(column)} = r.{quote(column)}" for column in codes.key)
    unkeyed = " or ".join(f"r.{quote(column)} is null" for column in codes.key)
    # Only a view, a query or a join can give several rows for one place; then the values themselves decide.
    values = ", ".join(f"{{row}}.{quote(column.name)}::text" for column in codes.values)
    better, own = (f"jsonb_build_array({values.replace('{row}', row)})" for row in ("better", "r"))
    return Statement(
        label="choose one row per code",
        sql=f"""
delete from {codes.rows} r
where {unkeyed} or exists (
    select from {codes.rows} better
    where {same}
      and (better._mapping, better._place, {better}) < (r._mapping, r._place, {own}))""",
    )


def close_changed(codes: Codes, load: dict[str, object]) -> Statement:
    """Close the active rows of the pipe whose code now has other values."""
    same = " and ".join(f"t.{quote(column)} = r.{quote(column)}" for column in codes.key)
    differs = (
        " or ".join(
            f"{comparable(f't.{quote(c.name)}', c.type)} is distinct from {comparable(f'r.{quote(c.name)}', c.type)}"
            for c in codes.values
        )
        or "false"
    )
    return Statement(
        label="close changed codes",
        table=codes.table,
        count=Count.CLOSED,
        parameters=load,
        sql=f"""
update {codes.table.sql} t
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from {codes.rows} r
where {same} and t._active and t._source_system = %(pipe)s
  and ({differs})""",
    )


def add_new(codes: Codes, load: dict[str, object]) -> Statement:
    """Add a row for each code that has no active row of the pipe: new codes, and those that were just closed."""
    names = quote_all([column.name for column in codes.columns])
    chosen = quote_all([column.name for column in codes.columns], "r")
    same = " and ".join(f"t.{quote(column)} = r.{quote(column)}" for column in codes.key)
    return Statement(
        label="add new and changed codes",
        table=codes.table,
        count=Count.INSERTED,
        parameters=load,
        sql=f"""
insert into {codes.table.sql}
    (_runid, _source_system, _insert_date, _active, _revision, _valid, {names})
select %(runid)s, %(pipe)s, %(load_time)s, true,
    coalesce((select max(t._revision) + 1 from {codes.table.sql} t where {same} and t._source_system = %(pipe)s), 0),
    true, {chosen}
from {codes.rows} r
where not exists (
    select from {codes.table.sql} t where {same} and t._active and t._source_system = %(pipe)s)
order by {quote_all(codes.key, "r")}""",
    )

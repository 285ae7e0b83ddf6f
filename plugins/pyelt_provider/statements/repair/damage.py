"""One kind of damage in one table: how its rows are counted, and the program that mends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.statements.step import Count, Program, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A repair that is going on: its number in `sys.repairs`, and where that is."""

    number: int
    sys_schema: str

    def note(self, table: TableName, what: str, rows: str, parameters: dict[str, object] | None = None) -> Statement:
        """Write down in `sys.repaired_rows` what the rows of a query (``t.*`` of the table) are before they change."""
        return Statement(
            label=f"write down {what}",
            table=table,
            parameters=self._parameters(table, what) | (parameters or {}),
            sql=f"""
insert into {quote(self.sys_schema)}.repaired_rows (repair, schemaname, tablename, what, before)
select %(repair)s, %(schema)s, %(table)s, %(what)s, to_jsonb(noted)
from (
    {rows}) as noted""",
        )

    def remove(self, table: TableName, what: str, condition: str) -> Statement:
        """Delete the rows ``t`` for which the condition holds; they are kept in `sys.repaired_rows`."""
        return Statement(
            label=f"remove {what}",
            table=table,
            count=Count.REPAIRED,
            parameters=self._parameters(table, f"{what} (removed)"),
            sql=f"""
with gone as (
    delete from {table.sql} as t
    where {condition}
    returning t.*)
insert into {quote(self.sys_schema)}.repaired_rows (repair, schemaname, tablename, what, before)
select %(repair)s, %(schema)s, %(table)s, %(what)s, to_jsonb(gone)
from gone""",
        )

    def _parameters(self, table: TableName, what: str) -> dict[str, object]:
        return {"repair": self.number, "schema": table.schema, "table": table.name, "what": what}


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something that an old PyELT may have left in a table, said in the plural (``links that are there twice``).

    `count` gives one number of rows. `repair` mends them and `mend` says how; without `repair`, `mend` is what a person
    has to do.
    """

    table: TableName
    what: str
    mend: str
    count: Statement
    repair: Callable[[Repair], Program] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Damage that is there, in so many rows."""

    damage: Damage
    rows: int


def counting(table: TableName, what: str, query: str, parameters: dict[str, object] | None = None) -> Statement:
    """Return the statement that counts the rows of a kind of damage; `query` gives one number."""
    return Statement(label=f"count {what}", table=table, fetch=True, parameters=parameters or {}, sql=query)


def damage_lines(found: Iterable[Found]) -> list[str]:
    """Return damage as text for people: a line per table, below it what is broken, how often, and the way out."""
    lines: list[str] = []
    for table, items in groupby(sorted(found, key=lambda item: item.damage.table), key=lambda item: item.damage.table):
        lines.append(f"  {table}")
        lines += [f"    {item.rows:,}  {item.damage.what}: {item.damage.mend}" for item in items]
    return lines

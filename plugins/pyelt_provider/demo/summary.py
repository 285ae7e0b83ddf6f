"""What stands in the warehouse, as a table for people: rows per layer and table, and the rows that were rejected."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql

LAYERS = ("sor", "valset", "rdv", "dv", "dm", "sys")


@dataclass(frozen=True, slots=True)
class Counted:
    """One table of the warehouse with its rows, and how many of them are the active ones, where it keeps history."""

    schema: str
    table: str
    rows: int
    active: int | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Rows of one table that were rejected for one reason."""

    schema: str
    table: str
    message: str
    rows: int


def count_tables(url: str) -> list[Counted]:
    """Return every table of the warehouse's layers, in the order in which data flows; working tables are left out."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            select n.nspname, c.relname,
                   exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = '_active')
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'm', 'v') and c.relpersistence = 'p'
              and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'public')
              and c.relname <> '_exceptions'
            """
        )
        tables = sorted(cursor.fetchall(), key=lambda row: (_position(row[0]), row[0], row[1]))
        counted = []
        for schema, table, has_history in tables:
            active = sql.SQL("count(*) filter (where _active)" if has_history else "null")
            cursor.execute(
                sql.SQL("select count(*), {} from {}").format(active, sql.Identifier(schema, table)),
            )
            row = cursor.fetchone()
            assert row is not None, "a count always has one row"
            counted.append(Counted(schema=schema, table=table, rows=row[0], active=row[1]))
        return counted


def count_rejections(url: str) -> list[Rejection]:
    """Return how many rows were rejected, per table and reason."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select schemaname from pg_tables where tablename = '_exceptions' order by schemaname",
        )
        found = []
        for (schema,) in cursor.fetchall():
            cursor.execute(
                sql.SQL(
                    "select schema, table_name, message, count(*) from {} group by 1, 2, 3 order by 1, 2, 3"
                ).format(sql.Identifier(schema, "_exceptions"))
            )
            found += [Rejection(schema=row[0], table=row[1], message=row[2], rows=row[3]) for row in cursor.fetchall()]
        return found


def summary_lines(url: str) -> Iterator[str]:
    """Give the summary, line by line."""
    yield f"{'layer':<14} {'table':<40} {'rows':>10} {'active':>10}"
    previous = None
    for counted in count_tables(url):
        layer = counted.schema if counted.schema != previous else ""
        previous = counted.schema
        active = "" if counted.active is None else f"{counted.active:,}"
        yield f"{layer:<14} {counted.table:<40} {counted.rows:>10,} {active:>10}".rstrip()
    yield ""
    rejections = count_rejections(url)
    if not rejections:
        yield "No rows were rejected."
        return
    yield f"Rejected rows: {sum(rejection.rows for rejection in rejections):,}"
    for rejection in rejections:
        yield f"  {rejection.rows:>6,}  {rejection.schema}.{rejection.table}: {rejection.message}"


def _position(schema: str) -> int:
    layer = schema.split("_")[0]
    return LAYERS.index(layer) if layer in LAYERS else len(LAYERS)

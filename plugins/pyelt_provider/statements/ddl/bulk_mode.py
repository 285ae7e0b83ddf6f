"""When a table may be loaded in bulk, and how: it is empty, nobody else loads it, and there is enough to load."""

from __future__ import annotations

from collections.abc import Sequence

from pyelt_provider.identifiers import TableName
from pyelt_provider.statements.ddl.bulk import add_key_label, drop_for_bulk, references_to
from pyelt_provider.statements.ddl.tables import ForeignKeySpec, TableSpec
from pyelt_provider.statements.step import Program, Statement

BULK_ROWS = 20_000
"""From how many rows on an empty table is loaded without its indexes; below that making them anew costs more."""


def see_empty_tables(tables: Sequence[TableName]) -> Statement:
    """A row per table: its place in the list, and whether it has no rows."""
    queries = "\nunion all\n".join(
        f"select {number}, not exists (select from {table.sql})" for number, table in enumerate(tables)
    )
    return Statement(
        label="look for empty tables",
        fetch=True,
        assumed=tuple((number, False) for number, _ in enumerate(tables)),
        sql=f"\n{queries}\n",
    )


def load_alone(tables: Sequence[TableName]) -> Statement:
    """A row per table: its place in the list, and whether this stage alone loads it until its end.

    Who is alone gets the table's advisory lock exclusively, without waiting. Several pipes that load at the same time
    hold it shared; then none of them gets it, and none of them loads in bulk.
    """
    queries = "\nunion all\n".join(
        f"select {number}, pg_try_advisory_xact_lock(hashtextextended('pyelt table ' || %(table_{number})s, 0))"
        for number, _ in enumerate(tables)
    )
    return Statement(
        label="see whether nobody else loads them",
        fetch=True,
        assumed=tuple((number, True) for number, _ in enumerate(tables)),
        parameters={f"table_{number}": str(table) for number, table in enumerate(tables)},
        sql=f"\n{queries}\n",
    )


def look_up_by_index() -> Statement:
    """Let the planner look up the keys of a night's changes in indexes instead of reading whole tables.

    Its own setting is for disks that have to move a head; there, too, the pages of hot indexes are in memory.
    """
    return Statement(label="look up keys by index", sql="set local random_page_cost = 1.1")


def load_in_bulk(spec: TableSpec, program: Program) -> Program:
    """Run the program, which fills the empty table, without the table's indexes and keys; they come back after it.

    The table gets new, empty files first: a server without replicas (``wal_level = minimal``) then writes its rows once
    instead of twice. Other tables' foreign keys on it, which have nothing to point at yet, go meanwhile; where somebody
    else loads such a table just now, or owns it, they stay, and so do the old files. The table's own foreign keys come
    last, when there are indexes and statistics to check them by.
    """
    references = yield from references_to(spec.table)
    free = True
    if references:
        free = all(reference.may_drop for reference in references)
        if free:
            got = yield load_alone(sorted({reference.table for reference in references}))
            free = all(alone for _, alone in got.rows)
        if free:
            for reference in references:
                yield reference.drop()
    dropped = yield from drop_for_bulk(spec)
    if free:
        yield Statement(label="start with new files", table=spec.table, sql=f"truncate {spec.table.sql}")
    yield from program
    foreign_keys = {add_key_label(spec.foreign_key_name(key)): key for key in spec.foreign_keys}
    for statement in sorted(dropped.restoring, key=lambda statement: statement.label in foreign_keys):
        if statement.label in foreign_keys:
            yield choose_check(spec, foreign_keys[statement.label])
        yield statement
    yield Statement(label="let the planner choose again", sql="set local enable_hashjoin to default")
    if free:
        for reference in references:
            yield reference.restore()


def choose_check(spec: TableSpec, key: ForeignKeySpec) -> Statement:
    """Check a foreign key by merging two indexes where its values stand more or less in the order of the table and are many.

    That is several times faster than the hash join that the planner chooses, because it does not know yet that the
    pages of a new table are all visible; with values in any other order it would be several times slower.
    """
    return Statement(
        label="choose how to check the foreign key",
        table=spec.table,
        fetch=True,
        parameters={
            "schema": spec.table.schema,
            "table": spec.table.name,
            "column": key.column,
            "references": key.references.sql.replace("%%", "%"),
        },
        sql="""
select set_config('enable_hashjoin', case when many and in_order then 'off' else 'on' end, true)
from (
    select exists (
            select from pg_class where oid = to_regclass(%(references)s) and reltuples > 100000) as many,
        exists (
            select from pg_stats
            where schemaname = %(schema)s and tablename = %(table)s and attname = %(column)s
                and abs(correlation) > 0.3) as in_order) as known
""",
    )

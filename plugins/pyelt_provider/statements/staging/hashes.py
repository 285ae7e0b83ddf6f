"""Comparing by hashes that the source database computes, so that only rows that differ travel."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, constraint_name, quote, quote_all
from pyelt_provider.model.source import DatabaseSource
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.row_hash import row_hash
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.staging.rejects import has_null, same_key
from pyelt_provider.statements.step import HashComparison, Routine, Statement

WIDE_ROW = 500
"""Bytes per row from which it pays. Measured: with both databases on one machine from 1,300 bytes, where only work counts;
a gigabit network between them brings that down to about this."""
MANY_ROWS = 10_000
"""Rows from which it pays; below, a second look at the source costs more than it saves."""


def hashes_pay(stage: Stage, run: Run, columns: StagingColumns) -> Routine[bool]:
    """Return True when staging has many, wide rows of a full delivery from a database."""
    staging = columns.staging
    is_database = isinstance(stage.the_pipe.source_of(staging), DatabaseSource)
    if not is_database or run.debug or not columns.rest or not columns.unique:
        return False
    found = yield Statement(
        label="look whether rows are many and wide",
        fetch=True,
        assumed=((True,),),
        parameters={
            "schema": staging.schema,
            "table": staging.name,
            "columns": list(columns.taken),
            "wide": WIDE_ROW,
            "many": MANY_ROWS,
        },
        sql="""
select coalesce(sum(s.avg_width), 0) >= %(wide)s and coalesce(max(c.reltuples), 0) >= %(many)s
from pg_namespace as n
join pg_class as c on c.relnamespace = n.oid and c.relname = %(table)s
left join pg_stats as s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = any(%(columns)s)
where n.nspname = %(schema)s""",
    )
    return found.value is True


def differing_hashes(columns: StagingColumns) -> TableName:
    """Return the session's own table of keys whose hashes differ."""
    return TableName("pg_temp", constraint_name(columns.staging.stem, "differing"))


def hash_comparison(columns: StagingColumns) -> HashComparison:
    """Return how the delivery's hashes are compared with the active rows, whose hashes are computed on the way.

    Stored hashes are never trusted: an older one was made of other columns, or in another way. Null and repeated keys
    are rare, and need every row to be told: then everything is read.
    """
    staging, differing = columns.staging, differing_hashes(columns).sql
    key = f"t.{quote(columns.key[0])}"
    keys = quote_all(columns.key)
    return HashComparison(
        into=staging.temp_hash,
        key=columns.key,
        hashed=columns.taken,
        compare=Statement(
            label="compare hashes with the active rows",
            table=staging.table,
            sql=f"""
create temporary table {differing} on commit drop as
select case when h._id is null then 'new' when {key} is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, {quote_all(columns.key, "t")}
from {staging.temp_hash.sql} as t
full join (
    select s._id, s._revision, {quote_all(columns.key, "s")}, {row_hash(columns.taken, "s")} as _hash
    from {staging.table.sql} as s where s._active) as h
    on {same_key(columns, "t", "h")}
where h._id is null or {key} is null or t._hash <> h._hash""",
        ),
        count=Statement(
            label="count rows to read",
            table=staging.table,
            fetch=True,
            sql=f"""
select count(*) filter (where _kind <> 'deleted'),
    coalesce(bool_or(_kind = 'new' and ({has_null(columns)})), false)
    or exists (select from {differing} where _kind = 'new' group by {keys} having count(*) > 1)
    or (select count(*) from {staging.temp_hash.sql}) - count(*) filter (where _kind = 'new')
        > (select count(*) from {staging.table.sql} where _active) - count(*) filter (where _kind = 'deleted')
from {differing}""",
        ),
        keys=Statement(
            label="take the keys of rows to read",
            table=staging.table,
            fetch=True,
            sql=f"select {keys} from {differing} where _kind <> 'deleted'",
        ),
    )


def only_differing_rows(columns: StagingColumns) -> Routine[bool]:
    """Return True when only the rows that differ were read, False when the delivery was read as a whole."""
    found = yield Statement(
        label="look what was read",
        fetch=True,
        assumed=((True,),),
        sql=f"select exists (select from {columns.staging.temp_hash.sql})",
    )
    return found.value is True


def differences_of_hashes(columns: StagingColumns, delta: TableName) -> Statement:
    """The rows that differ, with their kind: found by hashes, read from the source."""
    return Statement(
        label="take the rows that differ",
        table=columns.staging.table,
        sql=f"""
create temporary table {delta.sql} on commit drop as
select d._kind, d._old_id, d._old_revision, t.ctid as _place,
    {quote_all(columns.taken, "t")}
from {differing_hashes(columns).sql} as d
left join {columns.staging.temp.sql} as t on {same_key(columns, "t", "d")}
where d._kind = 'deleted' or t.{quote(columns.key[0])} is not null""",
    )

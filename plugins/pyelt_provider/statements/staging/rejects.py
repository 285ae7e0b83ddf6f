"""Delivered rows that have no place in staging: a key that is null, or that occurs twice in one delivery."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote, quote_all
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.row_hash import row_hash
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.staging.delivery import rejected_table
from pyelt_provider.statements.staging.rejection_messages import NULL_KEY, REPEATED_KEY
from pyelt_provider.statements.step import Count, Program, Statement


def has_null(columns: StagingColumns, alias: str = "") -> str:
    """Return the condition that a key column of the row is null."""
    before = f"{alias}." if alias else ""
    return " or ".join(f"{before}{quote(name)} is null" for name in columns.key)


def same_key(columns: StagingColumns, left: str, right: str) -> str:
    """Return the condition that two rows have the same key; never so when a key column is null."""
    return " and ".join(f"{left}.{quote(name)} = {right}.{quote(name)}" for name in columns.key)


def find_rejected(columns: StagingColumns, delivered: TableName) -> Program:
    """Put every delivered row with a null key, and every row of a repeated key, into the session's rejected table."""
    yield Statement(
        label="set rows without a key, or with a repeated one, apart",
        table=columns.staging.table,
        parameters={"null_key": NULL_KEY, "repeated_key": REPEATED_KEY},
        sql=f"""
create temporary table {rejected_table(columns).sql} on commit drop as
select {quote_all(columns.taken, "s")},
    case when {has_null(columns, "s")} then %(null_key)s else %(repeated_key)s end as _message,
    {row_hash(columns.taken, "s")} as _hash, s.ctid as _place
from {delivered.sql} as s
left join (
    select {quote_all(columns.key)} from {delivered.sql} group by {quote_all(columns.key)} having count(*) > 1) as repeated
    on {same_key(columns, "repeated", "s")}
where {has_null(columns, "s")} or repeated.{quote(columns.key[0])} is not null""",
    )


def take_out_rejected(columns: StagingColumns, table: TableName, among: str = "true") -> Program:
    """Delete the rejected rows from a table of rows that are to be loaded: null keys, and every row of a repeated key.

    `among` is the condition, over ``t``, of the rows whose key columns are those of a delivered row.
    """
    yield Statement(
        label="take out rows without a key",
        table=columns.staging.table,
        sql=f"delete from {table.sql} as t where {among} and ({has_null(columns, 't')})",
    )
    yield Statement(
        label="take out rows of repeated keys",
        table=columns.staging.table,
        sql=f"""
delete from {table.sql} as t
using (select distinct {quote_all(columns.key)} from {rejected_table(columns).sql}) as r
where {same_key(columns, "r", "t")}""",
    )


def keep_rejected(stage: Stage, run: Run, columns: StagingColumns) -> Program:
    """Store rejected rows as closed, invalid rows with their message: once, not at every run that delivers them again."""
    hstage = columns.staging.table.sql
    yield Statement(
        label="keep rejected rows",
        table=columns.staging.table,
        count=Count.REJECTED,
        parameters={"runid": run.number, "now": run.load_time, "pipe": stage.pipe_name},
        sql=f"""
insert into {hstage} (_runid, _active, _source_system, _insert_date, _finish_date, _finish_runid, _revision,
    _valid, _validation_msg, _hash, {quote_all(columns.taken)})
select %(runid)s, false, %(pipe)s, %(now)s, %(now)s, %(runid)s, 0, false, r._message, r._hash, {quote_all(columns.taken, "r")}
from (select distinct on (_hash) * from {rejected_table(columns).sql} order by _hash, _place) as r
where not exists (
    select from {hstage} as h
    where not h._active and not h._valid and h._hash = r._hash and h._validation_msg = r._message)
order by r._place""",
    )

"""Keys that an old PyELT left active more than once: one row stands for each, as if our own load had met them."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import TableName, constraint_name, quote, quote_all
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows
from pyelt_provider.statements.sql.row_hash import row_hash
from pyelt_provider.statements.staging.rejection_messages import NULL_KEY, REPEATED_KEY
from pyelt_provider.statements.step import Count, Program, Statement


def settle_repeated_keys(stage: Stage, run: Run, staging: StagingTable, columns: tuple[str, ...]) -> Program:
    """Let one row stand for each key at the start of a load. `columns` are those of the delivery.

    What no column says that this run did stands in the journal, so that taking the run back undoes it.
    """
    found = yield find_repeated(staging)
    if not found.row_count:
        return
    yield _journal(stage, run, staging)
    yield from settle(staging, columns, {"now": run.load_time, "runid": run.number})


def repeated_table(staging: StagingTable) -> TableName:
    """Return the session's own table of rows that have to change: `_id`, and what is to become of them."""
    return TableName("pg_temp", constraint_name(staging.stem, "repeated"))


def find_repeated(staging: StagingTable) -> Statement:
    """Find the rows of keys that are active more than once, and rejected rows without a key.

    An invalid row that came together with another one of its key was rejected for that, and never stood (``rejected``).
    Of those that are left the latest stands, the others are ``closed``. Where none is left, the row stands again that
    stood before (``opened``), because the vault still has what it gave.
    """
    table, keys = staging.table.sql, quote_all(staging.key)
    same = " and ".join(f"h.{quote(name)} = k.{quote(name)}" for name in staging.key)
    no_key = " or ".join(f"{quote(name)} is null" for name in staging.key)
    return Statement(
        label="look for keys that are active more than once",
        table=staging.table,
        sql=f"""
create temporary table {repeated_table(staging).sql} on commit drop as
with twice as (
    select _id, _insert_date, {keys},
        not _valid and count(*) over (partition by {keys}, _runid) > 1 as rejected
    from {table}
    where _active and ({keys}) in (
        select {keys} from {table} where _active and not ({no_key}) group by {keys} having count(*) > 1)),
standing as (
    select _id, lead(_insert_date) over (partition by {keys} order by _id) as next_date,
        row_number() over (partition by {keys} order by _id desc) as place
    from twice where not rejected)
select _id, 'closed' as kind, next_date from standing where place > 1
union all
select _id, 'rejected', null from twice where rejected
union all
select _id, 'without key', null from {table} where _active and not _valid and ({no_key})
union all
(select distinct on ({quote_all(staging.key, "k")}) h._id, 'opened', null
from (select {keys}, min(_id) as first from twice group by {keys} having bool_and(rejected)) as k
join {table} as h on {same}
where not h._active and h._valid and h._deleted_runid is null and h._id < k.first
order by {quote_all(staging.key, "k")}, h._id desc)""",
    )


def _journal(stage: Stage, run: Run, staging: StagingTable) -> Statement:
    return Statement(
        label="write down what these rows were",
        table=staging.table,
        parameters=journal_parameters(stage, run, staging.table),
        sql=journal_rows(
            stage,
            f"""h._id,
    jsonb_build_object('_active', h._active, '_finish_date', h._finish_date, '_finish_runid', h._finish_runid,
        '_validation_msg', h._validation_msg, '_hash', h._hash)
from {staging.table.sql} as h
join {repeated_table(staging).sql} as r using (_id)
where r.kind <> 'closed'""",
        ),
    )


def settle(staging: StagingTable, columns: tuple[str, ...], closing: dict[str, object]) -> Iterator[Statement]:
    """Change the rows that were found. `closing` has the run that closes rows and its time; null is "when the next came"."""
    table, found = staging.table.sql, repeated_table(staging).sql
    yield Statement(
        label="close older rows of keys that are active twice",
        table=staging.table,
        count=Count.CLOSED,
        parameters=closing,
        sql=f"""
update {table} as h
set _active = false, _finish_date = coalesce(%(now)s, r.next_date), _finish_runid = %(runid)s
from {found} as r where r._id = h._id and r.kind = 'closed'""",
    )
    yield Statement(
        label="set rows apart that were rejected for their key",
        table=staging.table,
        count=Count.MARKED,
        parameters={"null_key": NULL_KEY, "repeated_key": REPEATED_KEY},
        sql=f"""
update {table} as h
set _active = false, _finish_date = h._insert_date, _finish_runid = h._runid, _hash = {row_hash(columns, "h")},
    _validation_msg = case when r.kind = 'rejected' then %(repeated_key)s else %(null_key)s end
from {found} as r where r._id = h._id and r.kind in ('rejected', 'without key')""",
    )
    yield Statement(
        label="open the rows that stood before them again",
        table=staging.table,
        count=Count.RETURNED,
        sql=f"""
update {table} as h set _active = true, _finish_date = null, _finish_runid = null
from {found} as r where r._id = h._id and r.kind = 'opened'""",
    )
    yield Statement(label="drop the list of them", sql=f"drop table {found}")

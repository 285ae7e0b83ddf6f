"""The `_exceptions` of a layer: each rejected row stands there once, with the first and the last run that rejected it."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows


def write_down_rejected(stage: Stage, exceptions: TableName, rejected: str) -> str:
    """Return the statement that writes down what the query `rejected` returns: `message`, `key_fields` and `fields`.

    A row that stands there already (same table, mapping, key, fields and message) only gets this run as its last one;
    what it was before goes to the journal. Its parameters are those of `exception_parameters`.
    """
    before = journal_rows(
        stage,
        "_id, jsonb_build_object('_last_runid', _last_runid)\nfrom known where _last_runid is distinct from %(runid)s",
        table="%(exceptions_schema)s, %(exceptions)s",
    )
    return f"""
with rejected as (
    {rejected}),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join {exceptions.sql} as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
{before}),
seen_again as (
    update {exceptions.sql} as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into {exceptions.sql}
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message))"""


def exception_parameters(
    stage: Stage, run: Run, exceptions: TableName, table: TableName, mapping: str | None
) -> dict[str, object]:
    """`table` is that of the rejected rows; `mapping` what rejected them, None for a validation of staging."""
    return {
        **journal_parameters(stage, run, table),
        "mapping": mapping,
        "exceptions_schema": exceptions.schema,
        "exceptions": exceptions.name,
    }

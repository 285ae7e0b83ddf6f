"""The `_exceptions` of a layer: each rejected row stands there once, with the first and the last run that rejected it."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote, quote_all
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.step import Program, Statement


def record_rejected(stage: Stage, run: Run, columns: StagingColumns, rejected: TableName | None) -> Program:
    """Write down the staging rows that are rejected now: active rows that fail a validation, and the rows of this
    delivery in the table `rejected`.

    A row that stands there already (same table, key, fields and message) only gets this run as its last one; what it
    was before goes to the journal.
    """
    staging = columns.staging
    any_invalid = yield Statement(
        label="look for rejected rows",
        table=staging.table,
        fetch=True,
        assumed=((True,),),
        sql=f"select exists (select from {staging.table.sql} where _active and not _valid)",
    )
    if any_invalid.value is not True and rejected is None:
        return
    rows = rejected_rows(columns, rejected, "union")
    exceptions = TableName(stage.the_pipe.sor_schema, "_exceptions")
    yield Statement(
        label="write down rejected rows",
        parameters={
            "runid": run.number,
            "stage": stage.id,
            "pipe": stage.pipe_name,
            "schema": staging.schema,
            "table": staging.name,
            "key": list(columns.key),
            "rest": list(columns.rest),
            "exceptions": exceptions.name,
        },
        sql=f"""
with rejected as (
    {rows}),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join {exceptions.sql} as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
    insert into {quote(stage.pipeline.sys_schema)}.journal (runid, stage, pipe, schemaname, tablename, row_id, before)
    select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
    from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update {exceptions.sql} as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into {exceptions.sql}
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, null, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message))""",
    )


def rejected_rows(columns: StagingColumns, rejected: TableName | None, together: str) -> str:
    """Return a query of the rows that are rejected now (`message`, `key_fields`, `fields`), each once with ``union``.

    Its parameters are `key` and `rest`, the names of the key columns and of the other ones.
    """
    staging = columns.staging
    sources = [
        f"{_row(columns, '_validation_msg')}\n    from {staging.table.sql} as s where s._active and not s._valid"
    ]
    if rejected is not None:
        sources.append(f"{_row(columns, '_message')}\n    from {rejected.sql} as s")
    return f"\n    {together}\n    ".join(f"select {source}" for source in sources)


def _row(columns: StagingColumns, message: str) -> str:
    key = f"array[{quote_all(columns.key, 's')}]::text[]"
    rest = f"array[{quote_all(columns.rest, 's')}]::text[]" if columns.rest else "'{}'::text[]"
    return (
        f"s.{message}::text as message, jsonb_object(%(key)s::text[], {key})::text as key_fields, "
        # Without nulls: a column that comes new is null in all other rows, and must not make them other rows.
        f"jsonb_strip_nulls(jsonb_object(%(rest)s::text[], {rest}))::text as fields"
    )

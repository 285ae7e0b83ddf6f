"""The `_exceptions` of a layer: each rejected row stands there once, with the first and the last run that rejected it."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote_all
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.exceptions import exception_parameters, write_down_rejected
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
            **exception_parameters(stage, run, exceptions, staging.table, None),
            "key": list(columns.key),
            "rest": list(columns.rest),
        },
        sql=write_down_rejected(stage, exceptions, rows),
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

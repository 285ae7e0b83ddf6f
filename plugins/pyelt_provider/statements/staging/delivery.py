"""A delivery on its way in: the table is emptied and the worker streams this run's rows into it."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, constraint_name
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.step import CopyDelivery, HashComparison, Routine, Statement


def copy_delivery(
    columns: StagingColumns, into: TableName, position: str | None = None, hashes: HashComparison | None = None
) -> Routine[int]:
    """Empty `into` and stream the delivery into it; returns its number of rows.

    Emptied by TRUNCATE, which is undone by a rollback, and which lets COPY write rows that need no second look.
    """
    tables = into.sql if hashes is None else f"{into.sql}, {hashes.into.sql}"
    yield Statement(label="empty the table for the delivery", table=into, sql=f"truncate {tables}")
    copied = yield CopyDelivery(
        label="read the delivery",
        staging=columns.staging,
        into=into,
        columns=columns.copied,
        since=position,
        table=columns.staging.table,
        hashes=hashes,
    )
    return copied.row_count


def delta_table(columns: StagingColumns) -> TableName:
    """Return the session's own table of rows that differ; gone at the end of the transaction."""
    return _own(columns, "delta")


def rejected_table(columns: StagingColumns) -> TableName:
    """Return the session's own table of delivered rows that cannot be loaded."""
    return _own(columns, "rejected")


def _own(columns: StagingColumns, role: str) -> TableName:
    return TableName("pg_temp", constraint_name(columns.staging.stem, role))

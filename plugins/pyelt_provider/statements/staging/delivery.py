"""A delivery on its way in: the table is emptied and the worker streams this run's rows into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pyelt_provider.identifiers import TableName, constraint_name
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.step import CopyDelivery, HashComparison, Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """A file that was read: where, its size in bytes, and its SHA-256, None when it was not read to its end."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A delivery that was read: its number of rows, and its file when it is one."""

    rows: int
    file: FileMark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A delivery that was loaded: the table of its rejected rows, None when there are none, and the rows active now.

    `active` counts only where nothing was rejected.
    """

    delivered: Delivered
    rejected: TableName | None
    active: int


def copy_delivery(
    columns: StagingColumns, into: TableName, position: str | None = None, hashes: HashComparison | None = None
) -> Routine[Delivered]:
    """Empty `into` and stream the delivery into it.

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
    file = None
    if copied.rows:
        path, size, sha256 = cast(tuple[str, int, str | None], copied.rows[0])
        file = FileMark(path=path, size=size, sha256=sha256)
    return Delivered(rows=copied.row_count, file=file)


def delta_table(columns: StagingColumns) -> TableName:
    """Return the session's own table of rows that differ; gone at the end of the transaction."""
    return _own(columns, "delta")


def rejected_table(columns: StagingColumns) -> TableName:
    """Return the session's own table of delivered rows that cannot be loaded."""
    return _own(columns, "rejected")


def _own(columns: StagingColumns, role: str) -> TableName:
    return TableName("pg_temp", constraint_name(columns.staging.stem, role))

"""Does the steps that meet a source: reads which columns a delivery has, and streams it into the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, BinaryIO, assert_never

import psycopg2

from pyelt_provider.errors import DeliveryRefused, PyeltError
from pyelt_provider.execution.environment import Environment
from pyelt_provider.identifiers import TableName, quote_all
from pyelt_provider.model.connection import masked
from pyelt_provider.model.staging import CsvFile, FixedWidthFile, SourceQuery, SourceTable, StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.shown_text import visible
from pyelt_provider.sources.copy_text import Blocks
from pyelt_provider.sources.csv_file import copy_options, csv_columns, csv_stream
from pyelt_provider.sources.database import Reading, database_blocks, database_columns, reading
from pyelt_provider.sources.digest import Digesting, has_content
from pyelt_provider.sources.encodings import BLOCK, Readable
from pyelt_provider.sources.files import delivery_path, open_delivery
from pyelt_provider.sources.fixed_width import fixed_width_blocks
from pyelt_provider.sources.postgres import (
    MANY_KEYS,
    columns_of,
    copy_query,
    hash_query,
    pump,
    query_by_keys,
    same_encoding,
    source_session,
)
from pyelt_provider.sources.refusal import refused, unreadable
from pyelt_provider.sources.transfer import from_store, transferred
from pyelt_provider.statements.step import CopyDelivery, HashComparison, IdentifyFile, ReadColumns, Result

DEBUG_ROWS = 100
"""How many rows of each source a run with `debug` loads."""
_TEXT_OPTIONS = "format text, encoding 'UTF8'"


def read_columns(step: ReadColumns, environment: Environment, stage: Stage, run: Run) -> tuple[str, ...]:
    """Return the column names of this run's delivery as it gives them, in its order.

    Raises DeliveryMissing when a file is not there, DeliveryRefused when its header cannot be read.
    """
    staging = step.staging
    match staging.source:
        case CsvFile() as source:
            path = delivery_path(stage, staging, source.path, environment, run)
            with closing(open_delivery(stage, step.staging, path, environment)) as file:
                return csv_columns(file, source, _where(stage, staging, path))
        case FixedWidthFile() as source:
            path = delivery_path(stage, staging, source.path, environment, run)
            with closing(open_delivery(stage, step.staging, path, environment)) as file:
                if not file.read(1):
                    raise refused(_where(stage, staging, path), "the file is empty")
            return tuple(column.name for column in source.columns)
        case SourceTable() | SourceQuery() as source:
            read, database = reading(stage, staging, source, environment, run)
            if database.dialect == "postgresql":
                with source_session(database, read.where_from) as session:
                    columns = columns_of(session, read)
            else:
                columns = database_columns(read, database)
            return columns
        case _:
            assert_never(staging.source)


def is_file(step: IdentifyFile, environment: Environment, stage: Stage, run: Run) -> bool:
    """Say whether this run's file has the size and the digest of the step; a file of another size is not read.

    Raises DeliveryMissing when it is not there.
    """
    source = step.staging.source
    assert isinstance(source, CsvFile | FixedWidthFile)
    path = delivery_path(stage, step.staging, source.path, environment, run)
    with closing(open_delivery(stage, step.staging, path, environment)) as file:
        return has_content(file, step.size, step.sha256)


def copy_delivery(step: CopyDelivery, connection: Any, environment: Environment, stage: Stage, run: Run) -> Result:
    """Stream the delivery into `step.into`; memory stays the same for any size.

    The result has its number of rows, and of a file a row: its path, its size in bytes, its digest.

    The table was emptied or made in the same (sub)transaction, so its rows are written frozen: no reader sees them
    before the commit, and nobody has to mark them as visible later. Raises DeliveryRefused with file and line, and
    without data, when the delivery cannot be read as declared.
    """
    staging = step.staging
    limit = DEBUG_ROWS if run.debug else None
    since = (staging.changed_since, step.since) if staging.changed_since and step.since is not None else None
    match staging.source:
        case CsvFile() as source:
            path = delivery_path(stage, staging, source.path, environment, run)
            where = _where(stage, staging, path)
            with closing(open_delivery(stage, step.staging, path, environment)) as file:
                _same_header(csv_columns(file, source, where), step, where)
            with closing(_opened(stage, staging, path, environment, where)) as file:
                old_server = connection.server_version < 180000
                digesting = Digesting(file)
                stream = csv_stream(digesting, source, where, row_limit=limit, watch_for_end=old_server)
                return _file_read(_copy(connection, step, copy_options(source), stream, where), path, digesting)
        case FixedWidthFile() as source:
            path = delivery_path(stage, staging, source.path, environment, run)
            where = _where(stage, staging, path)
            with closing(_opened(stage, staging, path, environment, where)) as file:
                digesting = Digesting(file)
                blocks = Blocks(fixed_width_blocks(digesting, source, where, limit))
                return _file_read(_copy(connection, step, _TEXT_OPTIONS, blocks, where), path, digesting)
        case SourceTable() | SourceQuery() as source:
            read, database = reading(stage, staging, source, environment, run)
            if database.dialect != "postgresql":
                rows = Blocks(database_blocks(read, database, step.columns, since, limit))
                if stage.pipeline.transfer_path is None:
                    return Result(row_count=_copy(connection, step, _TEXT_OPTIONS, rows, read.where_from))
                with transferred(rows, stage.pipeline, read.where_from) as file:
                    return Result(row_count=_copy(connection, step, _TEXT_OPTIONS, file, read.where_from))
            with source_session(database, read.where_from) as session:

                def send(query: str, into: TableName, names: tuple[str, ...]) -> int:
                    return pump(
                        session,
                        query,
                        lambda text: _copy_into(connection, into, names, _TEXT_OPTIONS, text, read.where_from),
                    )

                if step.hashes is not None and same_encoding(session, connection):
                    delivered = _differing_rows(step, step.hashes, connection, session, read, send)
                    if delivered is not None:
                        return Result(row_count=delivered)
                sent = send(copy_query(session, read, step.columns, since, limit), step.into, step.columns)
                return Result(row_count=sent)
        case _:
            assert_never(staging.source)


def _opened(stage: Stage, staging: StagingTable, path: str, environment: Environment, where: str) -> BinaryIO:
    return from_store(open_delivery(stage, staging, path, environment), path, stage.pipeline, where)


def _file_read(rows: int, path: str, read: Digesting) -> Result:
    return Result(row_count=rows, rows=((masked(path), read.size, read.sha256),))


def _where(stage: Stage, staging: StagingTable, path: str) -> str:
    return f"{stage.id}: {staging.table}, file {visible(masked(path))}"


def _same_header(header: tuple[str, ...], step: CopyDelivery, where: str) -> None:
    if [name.strip().casefold() for name in header] != [name.casefold() for name in step.columns]:
        raise DeliveryRefused(f"{where}: the file was replaced by another one while it was read; start the task again")


def _differing_rows(
    step: CopyDelivery,
    hashes: HashComparison,
    connection: Any,
    session: Any,
    read: Reading,
    send: Callable[[str, TableName, tuple[str, ...]], int],
) -> int | None:
    """Read keys and hashes, compare, read the rows that differ; None when everything has to be read after all."""
    delivered = send(hash_query(session, read, hashes.key, hashes.hashed), hashes.into, (*hashes.key, "_hash"))
    with connection.cursor() as cursor:
        cursor.execute(hashes.compare.sql, {})
        cursor.execute(hashes.count.sql, {})
        to_read, everything = cursor.fetchone()
        if everything or to_read > MANY_KEYS:
            cursor.execute(f"truncate {hashes.into.sql}", {})
            return None
        if to_read == 0:
            return delivered
        cursor.execute(hashes.keys.sql, {})
        keys = cursor.fetchall()
    send(query_by_keys(session, read, step.columns, hashes.key, keys), step.into, step.columns)
    return delivered


def _copy(connection: Any, step: CopyDelivery, options: str, stream: Readable, where: str) -> int:
    return _copy_into(connection, step.into, step.columns, options, stream, where)


def _copy_into(
    connection: Any, into: TableName, columns: tuple[str, ...], options: str, stream: Readable, where: str
) -> int:
    # COPY takes no bind parameters, so the % that quoting doubled for them are single here.
    sql = f"copy {into.sql} ({quote_all(columns)}) from stdin with (freeze true, {options})"
    watched = _Watched(stream)
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(sql.replace("%%", "%"), watched, BLOCK)
            return int(cursor.rowcount)
    except psycopg2.Error as error:
        cause = watched.error
        if isinstance(cause, UnicodeError):
            raise refused(where, "it has bytes that are not text in the declared encoding") from None
        if isinstance(cause, PyeltError | psycopg2.Error):
            raise cause from None
        if cause is not None:
            raise DeliveryRefused(f"{where}: it could not be read to its end: {type(cause).__name__}") from cause
        refusal = unreadable(error, where)
        if refusal is not None:
            raise refusal from None
        raise


class _Watched:
    """A stream that remembers its error: the driver would make a text of it, with data in it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:
            self.error = error
            raise

"""PostgreSQL sources: COPY out of the source runs straight into COPY into the warehouse, through a pipe."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, BinaryIO

import psycopg2

from pyelt_provider.errors import DeliveryRefused
from pyelt_provider.execution.database_errors import safe_message
from pyelt_provider.execution.environment import SourceDatabase
from pyelt_provider.sources.database import Reading, open_source, source_columns

PIPE_BUFFER = 256 * 1024


@contextmanager
def source_session(database: SourceDatabase, where: str) -> Iterator[Any]:
    """Open a session that reads one moment of the source database and writes nothing; times are UTC, dates ISO."""
    with closing(open_source(database, where)) as connection:
        try:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
            connection.set_client_encoding("UTF8")
            with connection.cursor() as cursor:
                cursor.execute(
                    "select set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true), "
                    "set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true), "
                    "set_config('extra_float_digits', '1', true), set_config('standard_conforming_strings', 'on', true)"
                )
            yield connection
        except psycopg2.Error as error:
            raise refusal(error, where) from None


def refusal(error: psycopg2.Error, where: str) -> DeliveryRefused:
    """Return the refusal for an error of a PostgreSQL source."""
    return DeliveryRefused(
        f"{where}: the source database refused: {safe_message(error)}. Check the table, columns, query and rights; "
        "the warehouse is unchanged"
    )


def columns_of(connection: Any, reading: Reading) -> tuple[str, ...]:
    """Return the column names of a table or query; reads no row."""
    with connection.cursor() as cursor:
        cursor.execute(reading.select("*", "false"))
        return tuple(column.name for column in cursor.description)


def copy_query(
    connection: Any, reading: Reading, columns: tuple[str, ...], since: tuple[str, str] | None, row_limit: int | None
) -> str:
    """Return the SELECT for COPY: names quoted, the position as a quoted literal made by the driver."""
    there = columns_of(connection, reading)
    names = ", ".join(reading.name(name) for name in source_columns(columns, there, reading.where_from))
    conditions = []
    if since is not None:
        column, position = since
        with connection.cursor() as cursor:
            literal = cursor.mogrify("%s", (position,)).decode()
        conditions.append(f"{reading.name(source_columns((column,), there, reading.where_from)[0])} >= {literal}")
    return reading.select(names, *conditions) + (f" limit {row_limit}" if row_limit is not None else "")


def pump(connection: Any, query: str, take: Callable[[BinaryIO], int]) -> int:
    """Run COPY (query) TO STDOUT on the source while `take` reads its text; return what `take` returned.

    A pipe lies between them, so memory stays the same for any number of rows. An error of the source counts before
    the one that it causes on the other side.
    """
    read_end, write_end = os.pipe()
    failures: list[BaseException] = []

    def send() -> None:
        try:
            with os.fdopen(write_end, "wb", PIPE_BUFFER) as out, connection.cursor() as cursor:
                cursor.copy_expert(f"copy ({query}) to stdout", out)
        except BaseException as error:
            failures.append(error)

    sender = threading.Thread(target=send, name="pyelt source", daemon=True)
    with os.fdopen(read_end, "rb", PIPE_BUFFER) as source:
        sender.start()
        try:
            rows = take(_UntilFailure(source, sender, failures))  # type: ignore[arg-type]
        except BaseException:
            # The sender may be blocked on a full pipe: nobody reads any more, so its query is ended.
            with suppress(Exception):
                connection.cancel()
            source.close()
            sender.join()
            cause = next((f for f in failures if isinstance(f, psycopg2.Error) and f.pgcode != "57014"), None)
            if cause is not None:
                raise cause from None
            raise
        sender.join()
    if failures:
        raise failures[0]
    return rows


class _UntilFailure:
    """The reading end of the pipe; at its end the source must have ended well, or the rows would count as all."""

    def __init__(self, source: BinaryIO, sender: threading.Thread, failures: list[BaseException]) -> None:
        self._source = source
        self._sender = sender
        self._failures = failures

    def read(self, size: int = -1) -> bytes:
        block = self._source.read1(size) if hasattr(self._source, "read1") else self._source.read(size)
        if not block:
            self._sender.join()
            if self._failures:
                raise self._failures[0]
        return bytes(block)

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
from pyelt_provider.statements.sql.row_hash import row_text

PIPE_BUFFER = 256 * 1024
MANY_KEYS = 50_000
"""Up to so many rows that differ are read by their keys; more are read as a whole, which is one scan just the same."""


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
    # A lost connection has no SQLSTATE, or one of its own; in the middle of COPY the driver has no words for it at all.
    if error.pgcode is None or error.pgcode.startswith(("57P", "08")):
        return DeliveryRefused(
            f"{where}: the connection to the source database was lost: {safe_message(error)}. The warehouse is "
            "unchanged; start the task again when the source answers"
        )
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


def same_encoding(session: Any, warehouse: Any) -> bool:
    """Return True when both servers keep text in the same bytes, so that a hash of it is the same on both."""
    name = "server_encoding"
    return bool(session.get_parameter_status(name) == warehouse.get_parameter_status(name))


def hash_query(session: Any, reading: Reading, key: tuple[str, ...], hashed: tuple[str, ...]) -> str:
    """Return the SELECT for COPY of the keys and one hash per row over the text of its columns.

    The text is the one that COPY would send (concat uses the types' own output), built as in staging's row hash.
    """
    there = columns_of(session, reading)
    keys = [reading.name(name) for name in source_columns(key, there, reading.where_from)]
    names = [reading.name(name) for name in source_columns(hashed, there, reading.where_from)]
    texts = ", ".join(
        f"case when r.{name} is not null then concat(r.{name}) end as c{n}" for n, name in enumerate(names)
    )
    row = row_text(tuple(f"c{n}" for n in range(len(names))), "t")
    return (
        f"select {', '.join(f'k{n}' for n in range(len(keys)))}, md5({row}) from (select "
        f"{', '.join(f'r.{name} as k{n}' for n, name in enumerate(keys))}, {texts} from ({reading.select('*')}) as r) as t"
    )


def query_by_keys(
    session: Any, reading: Reading, columns: tuple[str, ...], key: tuple[str, ...], keys: list[tuple[str, ...]]
) -> str:
    """Return the SELECT for COPY of the rows with these keys; the keys are literals that the driver quoted."""
    there = columns_of(session, reading)
    key_texts = ", ".join(f"concat({reading.name(name)})" for name in source_columns(key, there, reading.where_from))
    names = ", ".join(reading.name(name) for name in source_columns(columns, there, reading.where_from))
    with session.cursor() as cursor:
        arrays = ", ".join(["%s::text[]"] * len(key))
        literals = cursor.mogrify(arrays, [list(values) for values in zip(*keys, strict=True)]).decode()
    return reading.select(names, f"({key_texts}) in (select * from unnest({literals}))")


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

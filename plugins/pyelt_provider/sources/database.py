"""What is read from a source database: tables and queries become one SELECT; other databases stream through DB-API."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyelt_provider.errors import DeliveryRefused, PyeltError
from pyelt_provider.execution.environment import Environment, SourceDatabase
from pyelt_provider.model.connection import masked
from pyelt_provider.model.source import DatabaseSource
from pyelt_provider.model.staging import SourceQuery, SourceTable, StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.sources.copy_text import copy_lines
from pyelt_provider.sources.dialects import bound, doubles_percent, placeholder, source_name, streaming_cursor

ROWS = 5000
"""Rows that are fetched and sent at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One table or query of a source database as it is read: FROM clause, condition and dialect, templates filled."""

    where_from: str
    dialect: str
    relation: str
    condition: str | None

    def select(self, what: str, *conditions: str) -> str:
        """Return a SELECT of `what`, under the source's own condition and these."""
        all_conditions = [f"({condition})" for condition in (self.condition, *conditions) if condition]
        return f"select {what} from {self.relation}" + (
            f" where {' and '.join(all_conditions)}" if all_conditions else ""
        )

    def name(self, name: str) -> str:
        return source_name(name, self.dialect)


def reading(
    stage: Stage, staging: StagingTable, source: SourceTable | SourceQuery, environment: Environment, run: Run
) -> tuple[Reading, SourceDatabase]:
    """Return what is to be read and the database to read it from; nothing is opened."""
    database_source = stage.the_pipe.source_of(staging)
    if not isinstance(database_source, DatabaseSource):
        raise DeliveryRefused(
            f"{staging.table} reads a database, but pipe {stage.pipe_name} has files as its source; "
            "give it a source_connection"
        )
    database = environment.source_database(database_source.connection)
    match source:
        case SourceTable():
            schema = source.schema or database_source.default_schema
            parts = (schema, source.name) if schema else (source.name,)
            relation = ".".join(source_name(part, database.dialect) for part in parts)
            condition = environment.render(source.filter, run) if source.filter else None
            where = f"{stage.id}: {staging.table}, table {'.'.join(parts)} of {database_source.connection}"
        case SourceQuery():
            query = environment.render(source.sql, run).strip().rstrip(";")
            alias = "q" if database.dialect == "oracle" else "as q"
            relation, condition = f"(\n{query}\n) {alias}", None
            where = f"{stage.id}: {staging.table}, query on {database_source.connection}"
    return Reading(where_from=where, dialect=database.dialect, relation=relation, condition=condition), database


def open_source(database: SourceDatabase, where: str) -> Any:
    """Return a new connection; raises DeliveryRefused without a password in it when there is none to get."""
    try:
        return database.connect()
    except PyeltError:
        raise
    except Exception as error:  # every driver has its own family of errors
        raise DeliveryRefused(
            f"{where}: the source database cannot be reached: {masked(' '.join(str(error).split()))}; "
            "check the connection's host, user and password, and that the database is up"
        ) from None


def database_columns(reading: Reading, database: SourceDatabase) -> tuple[str, ...]:
    """Return the column names of a table or query as the source database gives them; reads no row."""
    with closing(open_source(database, reading.where_from)) as connection, closing(connection.cursor()) as cursor:
        try:
            cursor.execute(reading.select("*", "1 = 0"))
        except Exception as error:
            raise unreadable_source(error, reading.where_from) from None
        return tuple(str(column[0]) for column in cursor.description)


def unreadable_source(error: Exception, where: str) -> DeliveryRefused:
    """Return the refusal for an error of a source database. Only what kind of error it is, and names, are told."""
    text = masked(" ".join(str(error).split())).partition(": ")[0]
    return DeliveryRefused(
        f"{where}: the source database refused: {type(error).__name__}: {text}. Check the table, columns, query and "
        "rights; the warehouse is unchanged"
    )


def source_columns(columns: tuple[str, ...], there: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return the source's own spelling of each column: the same name, else the same but for upper and lower case."""
    by_fold = {name.strip().casefold(): name for name in there}
    spelled = [column if column in there else by_fold.get(column.casefold()) for column in columns]
    missing = [column for column, found in zip(columns, spelled, strict=True) if found is None]
    if missing:
        raise DeliveryRefused(f"{where}: it has no column {', '.join(missing)} any more; start the ddl_sor task again")
    return tuple(name for name in spelled if name is not None)


def database_blocks(
    reading: Reading,
    database: SourceDatabase,
    columns: tuple[str, ...],
    since: tuple[str, str] | None,
    row_limit: int | None,
) -> Iterator[bytes]:
    """Give the rows of a table or query as blocks of COPY text, streamed through the driver's cursor.

    `since` is (column, position): only rows at or past the position are read.
    """
    with closing(open_source(database, reading.where_from)) as connection:
        try:
            yield from _blocks(connection, reading, columns, since, row_limit)
        except PyeltError:
            raise
        except GeneratorExit:
            raise
        except Exception as error:
            raise unreadable_source(error, reading.where_from) from None


def _blocks(
    connection: Any,
    reading: Reading,
    columns: tuple[str, ...],
    since: tuple[str, str] | None,
    row_limit: int | None,
) -> Iterator[bytes]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(reading.select("*", "1 = 0"))
        there = tuple(str(column[0]) for column in cursor.description)
    names = ", ".join(reading.name(name) for name in source_columns(columns, there, reading.where_from))
    query, parameters = reading.select(names), None
    if since is not None:
        column = reading.name(source_columns((since[0],), there, reading.where_from)[0])
        plain = reading.select(names, f"{column} >= \x00")
        if doubles_percent(connection):
            plain = plain.replace("%", "%%")
        query = plain.replace("\x00", placeholder(connection, "since"))
        parameters = bound(connection, "since", _typed(connection, reading, column, since[1]))
    with closing(streaming_cursor(connection)) as cursor:
        if parameters is None:
            cursor.execute(query)
        else:
            cursor.execute(query, parameters)
        left = row_limit
        while left is None or left > 0:
            rows = cursor.fetchmany(ROWS if left is None else min(ROWS, left))
            if not rows:
                return
            left = None if left is None else left - len(rows)
            yield copy_lines(rows)


def _typed(connection: Any, reading: Reading, column: str, position: str) -> object:
    """Return the position as a value of the type that the source gives for the column, so that it compares as such."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(reading.select(f"max({column})"))
        row = cursor.fetchone()
    match row[0] if row else None:
        case bool() | None | str():
            return position
        case int() | float() | Decimal():
            return int(position) if position.lstrip("-").isdigit() else Decimal(position)
        case datetime.datetime():
            return datetime.datetime.fromisoformat(position)
        case datetime.date():
            return datetime.date.fromisoformat(position)
        case bytes() | bytearray():
            return bytes.fromhex(position.removeprefix("\\x"))
        case _:
            return position

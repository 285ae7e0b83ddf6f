"""What a source system delivers and how it is judged: staging tables, their sources and their validations."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from pyelt_provider.identifiers import TableName, checked
from pyelt_provider.model.limits import NO_LIMITS, Limits
from pyelt_provider.model.place import NOWHERE, Place
from pyelt_provider.model.source import DatabaseSource, FileSource

HSTAGE_SUFFIX = "_hstage"


class Delivery(StrEnum):
    """What a missing row means: it was deleted (full), or it was not sent this time (delta)."""

    FULL = "full"
    DELTA = "delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFile:
    """A CSV file; `path` is a template below the pipe's source path. `names` replaces or stands in for the header."""

    path: str
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    encoding: str = "utf-8"
    header: bool = True
    names: tuple[str, ...] = ()
    null: str = ""
    """The unquoted text that means null; as in PostgreSQL's COPY, a quoted empty string stays an empty string."""
    clean_names: bool = False
    """Make names of the header's texts as PyELT did: without ( ) ? - , . : and quotes, '_' for blanks and slashes."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(name in the header, name in staging) pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedColumn:
    """A column of a fixed width file: first character (counted from 1) and width in characters."""

    name: str
    start: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedWidthFile:
    """A file with columns at fixed places; `strip` takes blanks off the end of each value, `skip_lines` skips a heading."""

    path: str
    columns: tuple[FixedColumn, ...]
    encoding: str = "utf-8"
    skip_lines: int = 0
    strip: bool = True
    empty_is_null: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """A table or view of a source database; `schema` empty means that source's default schema."""

    name: str
    schema: str | None = None
    columns: tuple[str, ...] = ()
    filter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuery:
    """A query for a source database; a template, so that it may name the data interval."""

    sql: str


Source = CsvFile | FixedWidthFile | SourceTable | SourceQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingTable:
    """A historical staging table and the source that fills it.

    `columns` are the source columns to take, in the order of the table; empty means all that the delivery has
    (resolved by the ddl_sor stage, which reads this run's header). `key` are the columns that identify a row.
    """

    schema: str
    name: str
    source: Source
    key: tuple[str, ...]
    delivery: Delivery = Delivery.FULL
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Columns of the delivery that staging does not take."""
    deleted_when: str | None = None
    """An SQL condition on the delivered columns which says that the row was deleted (delta deliveries)."""
    changed_since: str | None = None
    """A column that grows with every change: only rows past the last committed position are read."""
    limits: Limits = NO_LIMITS
    """Those of the table, and where it has none those of its pipe and its pipeline."""
    wait_for: timedelta = timedelta(0)
    """How long a file that is late is waited for, from the moment the task starts; zero fails at once."""
    fk_columns: tuple[tuple[str, str], ...] = ()
    """(column, name of a hub or link) pairs of fk columns that user SQL names, filled when the mapping is loaded."""
    taken_from: FileSource | DatabaseSource | None = None
    """Where it is read from, where that is another place than the pipe's source."""
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)

    @property
    def stem(self) -> str:
        return self.name.removesuffix(HSTAGE_SUFFIX)

    @property
    def temp(self) -> TableName:
        """The unlogged table that takes the delivery as it comes; emptied at each load."""
        return TableName(self.schema, checked(f"{self.stem}_temp"))

    @property
    def temp_hash(self) -> TableName:
        """The unlogged table of keys and hashes where the source database computes hashes."""
        return TableName(self.schema, checked(f"{self.stem}_temp_hash"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Rejects staging rows of `table` (a staging table's name): where `when` holds, or whose `unique` columns recur.

    Exactly one of `when` and `unique` is given. `when` is SQL over the row's own columns (alias ``s``).
    """

    table: str
    message: str
    when: str | None = None
    unique: tuple[str, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)

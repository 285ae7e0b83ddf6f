"""What a load is made of: steps, and programs that yield steps and get results back.

A program is a generator without a connection and without a clock. The executor runs it on PostgreSQL; the printer of
`pyelt sql` walks through the same program with assumed results. So what is shown is what is done.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.pipe import Hook
from pyelt_provider.model.staging import StagingTable


class Count(StrEnum):
    """What a step's number of rows means; the numbers of a stage are sums per count and table."""

    READ = "read"
    INSERTED = "inserted"
    CHANGED = "changed"
    CLOSED = "closed"
    DELETED = "deleted"
    RETURNED = "returned"
    REJECTED = "rejected"
    FREED = "freed"
    WAITING = "waiting"
    RESOLVED = "resolved"
    UNKEYED = "unkeyed"
    DIFFERING = "differing"
    TAKEN_BACK = "taken_back"
    MARKED = "marked"
    REPAIRED = "repaired"

    @property
    def is_write(self) -> bool:
        """True for rows that were written; the others were only looked at."""
        return self not in (Count.READ, Count.WAITING, Count.UNKEYED, Count.DIFFERING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a step gave: the number of rows it touched, its rows when it fetches, its error when it was guarded."""

    row_count: int = 0
    rows: tuple[tuple[object, ...], ...] = ()
    error: str | None = None

    @property
    def value(self) -> object:
        """The first column of the first row, None when there is no row."""
        return self.rows[0][0] if self.rows else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One whole SQL statement with a label that a night operator understands ("close changed rows").

    `parameters` fill %(name)s places; a literal % stands doubled in `sql`. With `fetch` its rows come back in the
    result. `count` says what its number of rows means and `table` where; without them the step is only timed.
    `assumed` are the rows that the printer of `pyelt sql` answers with.
    """

    label: str
    sql: str
    parameters: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    table: TableName | None = None
    count: Count | None = None
    fetch: bool = False
    assumed: tuple[tuple[object, ...], ...] = ()
    mapping: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashComparison:
    """Let a PostgreSQL source compute a hash per row, and read only the rows whose hash differs.

    Keys and hashes go into the table `into`; `compare` finds what differs, `count` gives one row (number of rows to read,
    whether everything has to be read after all) and `keys` the keys of the rows to read.
    """

    into: TableName
    key: tuple[str, ...]
    hashed: tuple[str, ...]
    compare: Statement
    count: Statement
    keys: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDelivery:
    """Stream this run's delivery of `staging` into the table `into`; its number of rows comes back.

    The table was emptied in the same transaction. With `hashes`, a source that can compute hashes sends only the rows
    that differ; the number of rows is that of the whole delivery all the same, and the table of hashes is empty where
    everything was read.

    `columns` are the source columns in the order of the delivery; values arrive as text exactly as delivered.
    `since` is the last committed position of a `changed_since` source. A file gives a result row (path, size in bytes,
    SHA-256 or None when it was not read to its end); a database gives none. Raises DeliveryRefused or DeliveryMissing.
    """

    label: str
    staging: StagingTable
    into: TableName
    columns: tuple[str, ...]
    since: str | None = None
    table: TableName | None = None
    hashes: HashComparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifyFile:
    """Tell whether this run's file of `staging` has this size in bytes and this SHA-256: one result row ``(bool,)``.

    A file of another size is not read.
    """

    label: str
    staging: StagingTable
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadColumns:
    """Read which columns this run's delivery of `staging` has, in its order: a result row ``(name,)`` each.

    Reads a file's header line or asks the source database; raises DeliveryRefused or DeliveryMissing.
    """

    label: str
    staging: StagingTable
    assumed: tuple[tuple[object, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHook:
    """Call a Python function of the project with the pipe, the task's own connection, the run and the attempt."""

    label: str
    hook: Hook


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Record a number that the program worked out itself (without a statement whose row count says it)."""

    label: str
    table: TableName
    count: Count
    rows: int
    mapping: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated:
    """Run `program` inside a savepoint; a database error rolls back only that and comes back in the result.

    The result's `error` is the SQLSTATE and a message without data values (``22P02 invalid input for integer``).
    With `only` given, errors whose SQLSTATE does not start with one of these texts are raised all the same.
    """

    label: str
    program: Program
    only: tuple[str, ...] = ()
    mapping: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Say that one mapping failed while the others go on; the stage ends failed and names every one of them."""

    mapping: str
    error: str


Step = Statement | CopyDelivery | IdentifyFile | ReadColumns | CallHook | Number | Isolated | Failure
Program = Generator[Step, Result, None]
T = TypeVar("T")
Routine = Generator[Step, Result, T]
"""A part of a program that returns a value to the program that says ``value = yield from routine(...)``."""


def one(statement: Statement) -> Program:
    """Return a program of this statement alone."""
    yield statement

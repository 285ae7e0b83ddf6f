"""A pipe: one source system with its staging tables, validations, mappings, functions, extra SQL and hooks."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyelt_provider.model.limits import NO_LIMITS, Limits
from pyelt_provider.model.mapping import EntityMapping, LinkMapping, ValuesetMapping
from pyelt_provider.model.place import NOWHERE, Place
from pyelt_provider.model.source import DatabaseSource, FileSource
from pyelt_provider.model.staging import StagingTable, Validation


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFunction:
    """A database function to create or replace in the warehouse, from a file of the project."""

    name: str
    sql: str
    file: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraSql:
    """SQL that runs once per text and warehouse in the ddl_sor stage (an index, a helper table, a grant)."""

    name: str
    sql: str
    file: str | None = field(default=None, compare=False)
    """The file of the project that holds the SQL, where it stands in one."""
    place: Place = field(default=NOWHERE, compare=False)


PROGRAM_HOOK = "program:"
"""What a hook begins with that a program registered: ``program:<pipe>.before_sor.<number>:<name>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A Python function of the project as ``package.module:function``, or ``file.py:function`` below the project.

    One that a program registered on a pipe is named by its place there; it is found by loading the program.
    """

    target: str
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def file(self) -> str | None:
        """The file of the project that holds the function, None for a function of an installed package."""
        module = self.target.rpartition(":")[0]
        return module if module.endswith(".py") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """One source system; its name is unique in the warehouse and is the `_source_system` of all that it loads."""

    name: str
    sor_schema: str
    source: FileSource | DatabaseSource
    description: str = ""
    active: bool = True
    schedule: str | None = None
    """A name from the pipeline's extra schedules; None means the pipeline's own schedule."""
    tables: tuple[StagingTable, ...] = ()
    validations: tuple[Validation, ...] = ()
    entities: tuple[EntityMapping, ...] = ()
    links: tuple[LinkMapping, ...] = ()
    valuesets: tuple[ValuesetMapping, ...] = ()
    functions: tuple[DatabaseFunction, ...] = ()
    extra_sql: tuple[ExtraSql, ...] = ()
    before_sor: tuple[Hook, ...] = ()
    after_sor: tuple[Hook, ...] = ()
    limits: Limits = NO_LIMITS
    """Those of the pipe and its pipeline, for mappings that read no staging table; each table has its own."""
    place: Place = field(default=NOWHERE, compare=False)

    def table(self, name: str) -> StagingTable:
        return next(table for table in self.tables if table.name == name)

    def source_of(self, table: StagingTable) -> FileSource | DatabaseSource:
        """Return where a staging table is read from: the pipe's own source, unless the table says another."""
        return table.taken_from or self.source

    @property
    def all_sources(self) -> tuple[FileSource | DatabaseSource, ...]:
        """The places that its tables are read from; without tables the pipe's own source."""
        return tuple(dict.fromkeys(map(self.source_of, self.tables))) or (self.source,)

    def fk_columns_of(self, table: str | None, target: str) -> tuple[str, ...]:
        """Return the fk columns of a staging table that get the _id of this hub or link."""
        columns = self.table(table).fk_columns if table is not None else ()
        return tuple(column for column, name in columns if name == target)

"""What the parts of a pipe's file are checked with: the vault, the pipe's staging tables, the project's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyelt_provider.config.physical_names import Names
from pyelt_provider.config.pipe_file import PipeFile
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor
from pyelt_provider.config.vault import Vault
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.limits import NO_LIMITS, Limits
from pyelt_provider.model.source import DatabaseSource, FileSource
from pyelt_provider.model.staging import StagingTable


@dataclass(slots=True)
class PipeContext:
    """A pipe on its way from file to model. `stagings` and the vault's and staging tables are filled before mappings."""

    name: str
    content: PipeFile
    cursor: Cursor
    sor_schema: str
    folder: Path | None
    environment: Mapping[str, str]
    vault: Vault
    names: Names
    stagings: dict[str, StagingTable] = field(default_factory=dict)
    create_views: bool = True
    always_fk_columns: bool = False
    """PyELT's own projects have an fk column in staging for every mapping; YAML projects only where it is named."""
    limits: Limits = NO_LIMITS
    """Those of the pipe and its pipeline."""

    @property
    def files(self) -> FileSource:
        """Where the pipe's files are."""
        return FileSource(path=self.content.source_path or ".", conn_id=self.content.source_conn_id)

    @property
    def database(self) -> DatabaseSource | None:
        """The pipe's database, which is its source where it has one."""
        if self.content.source_connection is None:
            return None
        return DatabaseSource(
            connection=ConnectionRef(self.content.source_connection), default_schema=self.content.default_schema
        )

    def staging(self, name: str, cursor: Cursor) -> StagingTable | None:
        """Return a staging table of this pipe; report a name that none has."""
        found = self.stagings.get(name)
        removed = (self.cursor / "sor").spot.removed
        if found is None and name != MISSING and name not in removed and "sor" not in self.cursor.spot.removed:
            cursor.unknown("staging table", name, self.content.sor, f"pipe {self.name}")
        return found

    def table(self, text: str, cursor: Cursor) -> TableName | None:
        """Return a table of the warehouse from ``schema.name``, or a staging table of this pipe from its bare name."""
        schema, dot, name = text.rpartition(".")
        table = TableName(schema if dot else self.sor_schema, name)
        if table in self.names:
            return table
        own = [staging.name for staging in self.stagings.values()]
        if self.vault.whole:
            cursor.unknown("table", text, [*own, *map(str, self.names)] if not dot else [*map(str, self.names), *own])
        return None

"""Where deliveries come from: a folder of files, or a database."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.model.connection import ConnectionRef


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A folder of delivered files: local, or an object storage URL that Airflow's ObjectStoragePath understands."""

    path: str
    conn_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSource:
    """A source database and the schema that holds its tables."""

    connection: ConnectionRef
    default_schema: str | None = None

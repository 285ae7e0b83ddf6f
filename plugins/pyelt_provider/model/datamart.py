"""A datamart model: a query of the project that becomes a table, a view or an incremental table in the dm schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.place import NOWHERE, Place


class Materialization(StrEnum):
    """How a model is built: anew as a table, as a view, or by adding and replacing what changed."""

    TABLE = "table"
    VIEW = "view"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatamartModel:
    """One SELECT of datamarts/*.sql. `reads` are the tables and views it names, other models included."""

    schema: str
    name: str
    sql: str
    file: str
    materialization: Materialization = Materialization.TABLE
    unique_key: tuple[str, ...] = ()
    reads: tuple[TableName, ...] = ()
    schedule: str | None = None
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)

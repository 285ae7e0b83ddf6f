"""``pyelt.datalayers.valset`` and ``.dm``: valuesets, dimensions and facts as classes."""

from __future__ import annotations

from typing import Any

from pyelt_provider.pyelt_api.columns import Column, Columns, FkReference
from pyelt_provider.pyelt_api.vault import AbstractOrderderTable

VALUESET_COLUMNS = frozenset({"valueset_naam", "code", "omschrijving"})
PERIOD_COLUMNS = frozenset({"ingangsdatum", "einddatum"})


class DvValueset(AbstractOrderderTable):
    """A table of codes and their descriptions."""

    __dbschema__ = "valset"
    _id = Columns.SerialColumn()
    _runid = Columns.FloatColumn(unique=True, indexed=True)
    _source_system = Columns.TextColumn()
    _valid = Columns.BoolColumn()
    _validation_msg = Columns.TextColumn()
    _insert_date = Columns.DateTimeColumn()
    _finish_date = Columns.DateTimeColumn()
    _deleted_runid = Columns.FloatColumn()
    _active = Columns.BoolColumn(default_value=True, indexed=True)
    _revision = Columns.IntColumn()
    valueset_naam = Columns.TextColumn(unique=True, indexed=True, default_value="''")
    code = Columns.TextColumn(unique=True, indexed=True)
    omschrijving = Columns.TextColumn()


class DvPeriodicalValueset(DvValueset):
    """A table of codes that are valid for a period."""

    ingangsdatum = Columns.DateColumn(unique=True, indexed=True)
    einddatum = Columns.DateColumn(indexed=True)


class Dim(AbstractOrderderTable):
    """A dimension: a table that is made from its class and filled by the project."""

    __dbschema__ = "dm"
    _lookup_fields: list[Column] = []  # noqa: RUF012 - PyELT's
    id = Columns.SerialColumn()


class Fact(AbstractOrderderTable):
    """A fact: a table that is made from its class and filled by the project."""

    __dbschema__ = "dm"


class DmReference(FkReference):
    """The column of a fact that points at a dimension."""

    def __init__(self, dim_cls: Any, fk_name: str = "") -> None:
        super().__init__(dim_cls)
        self.fk = fk_name


def dimension_name(cls: type) -> str:
    """Return PyELT's table name of a dimension or fact."""
    if issubclass(cls, Dim):
        return f"dim_{cls.__name__.replace('Dim', '').lower()}"
    return f"fact_{cls.__name__.removesuffix('Fact').lower()}"

"""The columns of the views on hubs and links: their names, and what of the domain each of them shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from pyelt_provider.identifiers import snake_case
from pyelt_provider.model.domain import Column, Hub, Link, Satellite, SatelliteKind
from pyelt_provider.model.place import NOWHERE, Place

OWN_COLUMNS = ("_id", "_runid", "_source_system", "_insert_date", "type")
"""The columns of a hub or link itself; of a hub also `bk`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewColumn:
    """A column that a satellite gives a view: its value (of one hybrid `type`), or with `describes` its code's name.

    A record status has one column, and no `column` of the domain.
    """

    name: str
    satellite: Satellite
    column: Column | None = None
    type: str | None = None
    describes: bool = False

    @property
    def place(self) -> Place:
        return self.column.place if self.column is not None else self.satellite.place


def satellite_view_columns(satellites: Iterable[Satellite]) -> tuple[ViewColumn, ...]:
    """Return the columns of the satellites in their order; names may be too long or taken twice."""
    columns: list[ViewColumn] = []
    for satellite in satellites:
        name = snake_case(satellite.name)
        match satellite.kind:
            case SatelliteKind.RECORD_STATUS:
                columns.append(ViewColumn(name=name, satellite=satellite))
            case SatelliteKind.PLAIN:
                _add(columns, satellite, name, None)
            case SatelliteKind.HYBRID:
                for type_name in dict.fromkeys(satellite.types):  # one that stands twice is told elsewhere
                    _add(columns, satellite, name, type_name)
            case _:
                assert_never(satellite.kind)
    return tuple(columns)


def _add(columns: list[ViewColumn], satellite: Satellite, name: str, type_name: str | None) -> None:
    of_type = f"{snake_case(type_name)}_" if type_name is not None else ""
    for column in satellite.columns:
        columns.append(
            ViewColumn(name=f"{name}_{of_type}{column.name}", satellite=satellite, column=column, type=type_name)
        )
        if column.codes is not None:
            described = f"{of_type}{column.name}_{snake_case(column.codes.naam)}_omschr"
            if any(described == taken.name for taken in columns):
                described = f"{name}_{described}"
            columns.append(
                ViewColumn(name=described, satellite=satellite, column=column, type=type_name, describes=True)
            )


def ensemble_column(alias: str, name: str) -> str:
    """Return the column of an ensemble view that shows a column of a member's own view."""
    return f"{alias}_{name}"


def ensemble_column_names(owner: Hub | Link) -> Iterator[NamedColumn]:
    """Return the columns of a member that an ensemble view shows: a link's references are its other members."""
    references: set[str] = set()
    if isinstance(owner, Link):
        for reference in owner.references:
            references |= {reference.column, reference_bk_column(reference.role)}
    return (column for column in view_column_names(owner) if column.name not in references)


def reference_bk_column(role: str) -> str:
    """Return the column of a link's view that shows the business key of a reference."""
    return f"{snake_case(role)}_bk"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedColumn:
    """A column of a view by name; `satellite` where one gives it, `place` where the domain says it."""

    name: str
    satellite: Satellite | None = None
    column: Column | None = None
    place: Place = field(default=NOWHERE, compare=False)


def view_column_names(owner: Hub | Link) -> Iterator[NamedColumn]:
    """Return every column of the view on a hub or link, in its order."""
    yield from (NamedColumn(name=name, place=owner.place) for name in OWN_COLUMNS)
    match owner:
        case Hub():
            yield NamedColumn(name="bk", place=owner.place)
        case Link():
            for reference in owner.references:
                yield NamedColumn(name=reference.column, place=reference.place)
                yield NamedColumn(name=reference_bk_column(reference.role), place=reference.place)
            if owner.status:
                yield NamedColumn(name="status", place=owner.place)
        case _:
            assert_never(owner)
    for shown in satellite_view_columns(owner.satellites):
        yield NamedColumn(name=shown.name, satellite=shown.satellite, column=shown.column, place=shown.place)

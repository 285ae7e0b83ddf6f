"""The names that a project takes in the warehouse: long enough to be cut, or taken twice, is a problem of the config."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyelt_provider.config.spots import Cursor, Spot
from pyelt_provider.errors import IdentifierError
from pyelt_provider.identifiers import MAX_BYTES, TableName, checked
from pyelt_provider.model.domain import Hub, Link
from pyelt_provider.model.view_columns import NamedColumn, view_column_names

SATELLITE_COLUMNS = frozenset(
    {"_id", "_runid", "_source_system", "_insert_date", "_finish_date", "_active", "_revision", "_valid"}
    | {"_validation_msg", "_finish_runid"}
)
"""The columns that every satellite and valueset has of its own."""
VALUESET_COLUMNS = ("valueset_naam", "code", "omschrijving")
PERIOD_COLUMNS = ("ingangsdatum", "einddatum")
MAX_COLUMNS = 1580
"""PostgreSQL holds 1600; the rest are ours."""
_SYSTEM = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
STAGING_COLUMNS = SATELLITE_COLUMNS | {
    "_deleted_runid",
    "_hash",
    "_status",
    "_changed",
    "_old_id",
    "_old_revision",
    "_place",
    "_message",
    "_last_runid",
}
"""The columns that every staging table, or its temporary tables, has of its own."""


def fits(cursor: Cursor, name: Callable[..., str], *parts: str) -> str | None:
    """Return the name that is made from the parts, or None after reporting that PostgreSQL cannot hold it."""
    try:
        return name(*parts)
    except IdentifierError as error:
        what, _, mend = str(error).partition("; ")
        cursor.wrong(what, mend)
        return None


def name_fits(cursor: Cursor, kind: str, name: str) -> None:
    """Report a name that leaves nothing to name a table by, or that spreads over lines."""
    if not any(character.isalnum() for character in name):
        cursor.wrong(f"{name!r} cannot be the name of a {kind}", "give it letters or digits")
    elif not name.isprintable():
        cursor.wrong(
            f"the name of the {kind} has a line end or a tab in it, or another sign that is not seen", "leave it out"
        )


def columns_fit(cursor: Cursor, number: int) -> None:
    """Report more columns than a table of PostgreSQL can have beside ours."""
    if number > MAX_COLUMNS:
        cursor.wrong(f"{number} columns are more than the {MAX_COLUMNS} that a table has room for", "split it")


def column_fits(cursor: Cursor, name: str, taken: frozenset[str], owner: str) -> bool:
    """Report a column name that is too long or that we use ourselves in this kind of table; say whether it is fine."""
    if name in _SYSTEM:
        cursor.wrong(f"PostgreSQL has a column {name!r} of its own in every table", "give it another name")
        return False
    if name in taken:
        cursor.wrong(f"the column {name!r} is one that every {owner} has of its own", "give it another name")
        return False
    return fits(cursor, checked, name) is not None


def view_columns_fit(owner: Hub | Link, cursor: Cursor) -> None:
    """Report columns of the view on a hub or link that would be too long, or would be there twice.

    What a subtype inherits is reported for its parent alone.
    """
    taken: dict[str, NamedColumn] = {}
    for column in view_column_names(owner):
        first = taken.setdefault(column.name, column)
        too_long_itself = column.column is not None and len(column.column.name.encode()) > MAX_BYTES
        if _is_own(column, owner) and not too_long_itself:
            at = _place_of(column, cursor)
            try:
                checked(column.name)
            except IdentifierError as error:
                what, _, mend = str(error).partition("; ")
                at.wrong(f"in {owner.view}, {what}", mend)
        if first is not column and (_is_own(column, owner) or _is_own(first, owner)):
            other, this = (first, column) if _is_own(column, owner) else (column, first)
            of = f"that of {_said(other)}" if other.satellite is not None else "one that every such view has"
            what = f"{owner.view} would have two columns {column.name!r}: this one and {of}"
            _place_of(this, cursor).wrong(what, "rename one of them")


def _is_own(column: NamedColumn, owner: Hub | Link) -> bool:
    return column.satellite is None or column.satellite.owner == owner.name


def _said(column: NamedColumn) -> str:
    assert column.satellite is not None
    return f"{column.satellite.name}.{column.column.name}" if column.column else column.satellite.name


def _place_of(column: NamedColumn, cursor: Cursor) -> Cursor:
    if column.satellite is None:
        return cursor
    line = column.place.line if column.place.file else cursor.spot.line
    path = f"{cursor.path}.satellites.{_said(column)}"
    return Cursor(column.place.file or cursor.file, Spot(line), path, cursor.problems)


class Names:
    """Who has which table of the warehouse."""

    def __init__(self) -> None:
        self._owners: dict[TableName, str] = {}

    def claim(self, cursor: Cursor, what: str, schema: str, name: Callable[..., str], *parts: str) -> TableName | None:
        """Take a table or view for `what`; report when its name is too long or taken already."""
        if fits(cursor, checked, schema) is None or (whole := fits(cursor, name, *parts)) is None:
            return None
        table = TableName(schema, whole)
        owner = self._owners.setdefault(table, f"{what} ({cursor.place})" if cursor.file else what)
        if owner not in (what, f"{what} ({cursor.place})"):
            cursor.wrong(f"{table} would be that of {what}, but it is taken by {owner}", "rename one of them")
            return None
        return table

    def __contains__(self, table: TableName) -> bool:
        return table in self._owners

    def __iter__(self) -> Iterator[TableName]:
        return iter(self._owners)

    @property
    def schemas(self) -> frozenset[str]:
        """The schemas that hold a table of the project."""
        return frozenset(table.schema for table in self._owners)

"""Satellites and columns of a domain file -> the model, with their types, names and lists of codes checked."""

from __future__ import annotations

from pyelt_provider.config import domain_file as keys
from pyelt_provider.config.column_types import check_type
from pyelt_provider.config.physical_names import SATELLITE_COLUMNS, column_fits, columns_fit, name_fits
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor
from pyelt_provider.config.vault import Vault
from pyelt_provider.model.domain import CodeList, Column, Satellite, SatelliteKind


def build_satellites(
    owner: str, written: dict[str, keys.Satellite], above: Cursor, schema: str, vault: Vault
) -> tuple[Satellite, ...]:
    satellites = []
    if (above / "satellites").spot.removed:
        vault.broken.add((owner, ""))
    for name, content in written.items():
        cursor = above / "satellites" / name
        name_fits(cursor, "satellite", name)
        types: tuple[str, ...] = ()
        kind, description = SatelliteKind.PLAIN, ""
        columns: dict[str, keys.Column] = {}
        columns_at = cursor
        table_name: str | None = None
        if content == "record_status":
            kind = SatelliteKind.RECORD_STATUS
        elif isinstance(content, keys.SatelliteKeys):
            columns_at, columns, description = cursor / "columns", content.columns, content.description
            types = tuple(content.types)
            table_name = content.table
            no_doubles(content.types, cursor / "types", "type")
            kind = SatelliteKind.HYBRID if types or "types" in cursor.spot.removed else SatelliteKind.PLAIN
        elif isinstance(content, dict):
            columns = content
            if not columns and not cursor.spot.removed:
                cursor.wrong(
                    "the satellite has no columns", "write columns with their types, such as {achternaam: text}"
                )
        if cursor.spot.removed or columns_at.spot.removed:
            vault.broken.add((owner, name))
        taken = SATELLITE_COLUMNS | ({"type"} if kind is SatelliteKind.HYBRID else frozenset())
        satellites.append(
            Satellite(
                schema=schema,
                owner=owner,
                name=name,
                kind=kind,
                columns=build_columns(columns, columns_at, taken, "satellite", vault),
                types=types,
                description=description,
                table_name=table_name,
                place=cursor.place,
            )
        )
    return tuple(satellites)


def build_columns(
    written: dict[str, keys.Column], above: Cursor, taken: frozenset[str], owner: str, vault: Vault
) -> tuple[Column, ...]:
    columns = []
    columns_fit(above, len(written))
    for name, content in written.items():
        cursor = above / name
        column_fits(cursor, name, taken, owner)
        details = content if isinstance(content, keys.ColumnKeys) else None
        type_text = details.type if details is not None else str(content)
        if type_text != MISSING:
            check_type(cursor / "type" if details is not None else cursor, type_text)
        columns.append(
            Column(
                name=name,
                type=type_text,
                description=details.description if details is not None else "",
                codes=_codes(details, cursor / "valueset", vault) if details is not None else None,
                place=cursor.place,
            )
        )
    return tuple(columns)


def _codes(column: keys.ColumnKeys, cursor: Cursor, vault: Vault) -> CodeList | None:
    match column.valueset:
        case None:
            return None
        case keys.CodesKeys(table=table, naam=naam):
            vault.valueset(table, cursor / "table")
            return CodeList(valueset=table, naam=naam)
        case str(naam):
            table = next(iter(vault.valuesets)) if len(vault.valuesets) == 1 else "Valueset"
            if table not in vault.valuesets and vault.whole and table not in vault.refused:
                known = ", ".join(vault.valuesets)
                what = f"it is not clear which valueset has the list {naam!r}"
                cursor.wrong(what, f"write {{table: ..., naam: {naam}}}" + (f" with one of {known}" if known else ""))
            return CodeList(valueset=table, naam=naam)


def no_doubles(values: list[str], cursor: Cursor, kind: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            (cursor / index).wrong(f"the {kind} {value!r} stands twice", "leave one out")

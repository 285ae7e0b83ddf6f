"""PostgreSQL's own spelling of a type name, so that `int` in a config equals `integer` in the catalogue."""

from __future__ import annotations

import re

_SPELLING = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "bool": "boolean",
    "varchar": "character varying",
    "char varying": "character varying",
    "char": "character",
    "decimal": "numeric",
    "dec": "numeric",
    "float4": "real",
    "float8": "double precision",
    "varbit": "bit varying",
}
_TIMES = {
    "timestamp": ("timestamp", "without time zone"),
    "timestamptz": ("timestamp", "with time zone"),
    "time": ("time", "without time zone"),
    "timetz": ("time", "with time zone"),
}
_SHAPE = re.compile(
    r"(?P<name>[a-z_][a-z0-9_ .]*?)\s*(?:\(\s*(?P<size>[\d\s,]+)\))?\s*(?P<zone>with(?:out)? time zone)?\s*"
    r"(?P<array>(?:\[\d*\]\s*)*)"
)


def canonical_type(name: str) -> str:
    """Return the type as PostgreSQL's `format_type` prints it; a name that is not PostgreSQL's own stays."""
    text = " ".join(name.strip().lower().split())
    match = _SHAPE.fullmatch(text)
    if match is None:
        return name.strip()
    base, zone = match["name"], match["zone"]
    size = re.sub(r"\s", "", match["size"] or "")
    array = "[]" if match["array"] else ""
    if base in _TIMES:
        base, default_zone = _TIMES[base]
        return f"{base}{f'({size})' if size else ''} {zone or default_zone}{array}"
    if base == "float":
        return ("real" if size and int(size) <= 24 else "double precision") + array
    base = _SPELLING.get(base, base)
    if base in ("character", "bit") and not size:
        size = "1"
    if base == "numeric" and size and "," not in size:
        size += ",0"
    return f"{base}{f'({size})' if size else ''}{array}"

"""Which texts are types of PostgreSQL, so that a typing error shows when the config is read."""

from __future__ import annotations

import re

from pyelt_provider.config.spots import Cursor, nearest

_NAMES = """
    bigint int8 bigserial serial8 bit varbit boolean bool box bytea character char varchar cidr circle date float4
    float8 inet integer int int4 interval json jsonb line lseg macaddr macaddr8 money numeric decimal path point
    polygon real smallint int2 smallserial serial text time timetz timestamp timestamptz tsquery tsvector uuid xml
    int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange
    tsmultirange tstzmultirange datemultirange jsonpath citext hstore ltree geometry geography vector name oid
"""
_TYPES = frozenset(_NAMES.split())
_PHRASES = {
    "bit varying",
    "character varying",
    "double precision",
    "time without time zone",
    "time with time zone",
    "timestamp without time zone",
    "timestamp with time zone",
}

_CUTS = re.compile(
    r"(?is)^\s*(name\b.*|(bit|char|character|bpchar|varchar|varbit)(\s+varying)?\s*\(.*\)\s*\[.*"
    r"|(bit|char|character)\s*\[.*)$"
)
"""Types for which nothing but a cast that cuts can be written; for single texts and bits there is another way."""


def _impossible_size(type_text: str) -> str:
    """Return which bound the size in brackets breaks, or nothing."""
    match = re.match(
        r"(?i)\s*(numeric|decimal|varchar|char|character(?: varying)?|bit(?: varying)?|varbit)\s*\(([^)]*)\)", type_text
    )
    if match is None:
        return ""
    try:
        sizes = [int(part) for part in match.group(2).split(",")]
    except ValueError:
        return "its size is no number"
    if match.group(1).lower() in ("numeric", "decimal"):
        within = len(sizes) <= 2 and 1 <= sizes[0] <= 1000 and (len(sizes) == 1 or -1000 <= sizes[1] <= 1000)
        return "" if within else "precision is 1 to 1000, scale -1000 to 1000"
    return "" if len(sizes) == 1 and 1 <= sizes[0] <= 10485760 else "its length is 1 to 10485760"


def check_type(cursor: Cursor, type_text: str) -> None:
    """Report a type that PostgreSQL does not know; a type of one's own is written with its schema."""
    if _CUTS.match(type_text):
        what = f"PostgreSQL cuts values to fit the type {' '.join(type_text.split())!r} without an error"
        cursor.wrong(what, "use text[] (or varbit[] for bits), for a name text")
        return
    wrong = _impossible_size(type_text)
    if wrong:
        cursor.wrong(f"PostgreSQL has no type {type_text!r}: {wrong}", "write a size within these bounds")
        return
    bare = re.sub(r"\([\d\s,]*\)", " ", re.sub(r"(\s*\[\d*\])+\s*$", "", type_text.strip())).lower()
    bare = " ".join(bare.split())
    if bare in _TYPES or bare in _PHRASES or bare.startswith("interval "):
        return
    if re.fullmatch(r'("[^"]+"|[a-z_][\w$]*)\.("[^"]+"|[a-z_][\w$]*)', bare):
        return
    mend = nearest(bare, sorted(_TYPES | _PHRASES))
    mend = mend if mend.startswith("did") else ""
    what = f"PostgreSQL has no type {type_text!r}"
    cursor.wrong(what, f"{mend} " * bool(mend) + "a type of your own is written with its schema (public.my_type)")

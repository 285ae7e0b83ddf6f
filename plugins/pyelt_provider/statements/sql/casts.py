"""How a mapped expression gets the type of its column, and how two values of a type are compared."""

from __future__ import annotations

import re

from pyelt_provider.identifiers import opaque

_LENGTH_LIMITED = re.compile(
    r"""(?isx)^\s* (?:pg_catalog\s*\.\s*)?
    (?P<name> "?bpchar"? | "?varchar"? | "?varbit"?
        | (?:national\s+)? (?:character|char) (?:\s+varying)? | nchar (?:\s+varying)? | bit (?:\s+varying)? )
    \s* (?: \( \s* (?P<length> \d+ ) \s* \) )? \s*$"""
)
"""Types that cut what is too long when they are cast to; a name in quotes ("char") is another type."""
_WITHOUT_EQUALITY = re.compile(r"(?is)^\s*(json|xml|citext|point|line|lseg|box|path|polygon|circle)\b")
_LENGTH_HEADER = 4
"""PostgreSQL keeps the length of a text type with 4 bytes of header added."""


def cast_expression(expression: str, column_type: str) -> str:
    """Return the user's expression with the cast to the column's type, ready for a statement with parameters.

    A text or bit string that its type cannot hold whole (``varchar(10)``, ``char``, ``bit(3)``) is an error, as it is
    when it is inserted: a plain cast would cut it silently. Everything else is cast as it is written, text included, so
    that an expression of another type can be compared with its column. Digits behind the point are rounded to the scale
    of ``numeric(p,s)`` (and of ``timestamp(p)``), as PostgreSQL does wherever such a value is stored.
    """
    inner = opaque(expression) + ("\n" if "--" in expression else "")  # a comment ends with its line
    limited = _LENGTH_LIMITED.match(column_type)
    name = " ".join(limited["name"].lower().replace('"', "").split()) if limited else ""
    whole = f"({inner})::{opaque(column_type)}"
    if limited is None:
        return whole
    length = limited["length"]
    varies = "var" in name
    if length is None and (varies or name == "bpchar"):
        return whole  # without a length these have no limit; char and bit have that of one
    if "bit" in name:
        return f'pg_catalog."{"varbit" if varies else "bit"}"(({inner})::varbit, {int(length or 1)}, false)'
    base = "varchar" if varies else "bpchar"
    return f'pg_catalog."{base}"(({inner})::{base}, {int(length or 1) + _LENGTH_HEADER}, false)'


def key_expression(expression: str) -> str:
    """Return a business key expression as text; null where the row has no key."""
    return cast_expression(expression, "text")


def comparable(value: str, column_type: str) -> str:
    """Return the value (a column or expression) so that `is distinct from` sees every change of it.

    Types without equality (json, xml) and those whose equality sees less than the text (citext, box) are compared as
    text.
    """
    return f"{value}::text" if _WITHOUT_EQUALITY.match(column_type) else value

"""How a mapped expression gets the type of its column, and how two values of a type are compared."""

from __future__ import annotations

import re

from pyelt_provider.identifiers import opaque

_WITH_LENGTH = re.compile(r"(?is)^\s*(varchar|character\s+varying|char|character|bpchar)\s*\(\s*(\d+)\s*\)\s*$")
_WITHOUT_EQUALITY = re.compile(r"(?is)^\s*(json|xml|citext|point|line|lseg|box|path|polygon|circle)\b")
_LENGTH_HEADER = 4
"""PostgreSQL keeps the length of a text type with 4 bytes of header added."""


def cast_expression(expression: str, column_type: str) -> str:
    """Return the user's expression with the cast to the column's type, ready for a statement with parameters.

    A text that is longer than its type allows (``varchar(10)``) is an error, as it is when it is inserted: a plain cast
    would cut it silently. Everything else is cast as it is written, text included, so that an expression of another
    type can be compared with its column.
    """
    limited = _WITH_LENGTH.match(column_type)
    inner = opaque(expression) + ("\n" if "--" in expression else "")  # a comment ends with its line
    if limited is None:
        return f"({inner})::{opaque(column_type)}"
    base = "varchar" if "var" in limited[1].lower() else "bpchar"
    return f'pg_catalog."{base}"(({inner})::{base}, {int(limited[2]) + _LENGTH_HEADER}, false)'


def key_expression(expression: str) -> str:
    """Return a business key expression as text; null where the row has no key."""
    return cast_expression(expression, "text")


def comparable(value: str, column_type: str) -> str:
    """Return the value (a column or expression) so that `is distinct from` sees every change of it.

    Types without equality (json, xml) and those whose equality sees less than the text (citext, box) are compared as
    text.
    """
    return f"{value}::text" if _WITHOUT_EQUALITY.match(column_type) else value

"""How a mapped expression gets the type of its column, and how two values of a type are compared."""

from __future__ import annotations

import re

from pyelt_provider.identifiers import opaque

_WITH_LENGTH = re.compile(r"(?is)^\s*(varchar|character\s+varying|char|character|bpchar|bit\s+varying|varbit|bit)\s*\(")
_WITHOUT_EQUALITY = re.compile(r"(?is)^\s*(json|xml|citext|point|line|lseg|box|path|polygon|circle)\b")
_BITS = re.compile(r"(?is)^\s*(bit|varbit)")
_FIXED = re.compile(r"(?is)^\s*(char|character|bpchar)\s*\(")


def cast_expression(expression: str, column_type: str) -> str:
    """Return the user's expression with the cast to the column's type, ready for a statement with parameters.

    A type with a length (``varchar(10)``) is cast without it: an explicit cast would cut a longer value silently, the
    insert into the column refuses it. Everything else is cast as it is written, text included, so that an expression
    of another type can be compared with its column.
    """
    if not _WITH_LENGTH.match(column_type):
        return f"({opaque(expression)})::{opaque(column_type)}"
    if _BITS.match(column_type):
        return f"({opaque(expression)})::varbit"
    return f"({opaque(expression)})::{'bpchar' if _FIXED.match(column_type) else 'varchar'}"


def key_expression(expression: str) -> str:
    """Return a business key expression as text; null where the row has no key."""
    return cast_expression(expression, "text")


def comparable(value: str, column_type: str) -> str:
    """Return the value (a column or expression) so that `is distinct from` sees every change of it.

    Types without equality (json, xml) and those whose equality sees less than the text (citext, box) are compared as
    text.
    """
    return f"{value}::text" if _WITHOUT_EQUALITY.match(column_type) else value

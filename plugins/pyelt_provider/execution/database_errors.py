"""Turns database errors into sentences that hold no data: the values of a hospital do not belong in a log."""

from __future__ import annotations

import re

import psycopg2
from psycopg2 import errorcodes

from pyelt_provider.model.connection import masked
from pyelt_provider.shown_text import visible


def safe_message(error: psycopg2.Error) -> str:
    """Return SQLSTATE, name and what PostgreSQL said, without values.

    PostgreSQL puts values behind a colon (``invalid input syntax for type integer: "x"``), in DETAIL and in CONTEXT:
    these are left out. Names of columns and constraints stay.
    """
    if error.pgcode is None:
        return masked(" ".join(str(error).split())) or type(error).__name__
    primary = visible(error.diag.message_primary or "")
    if not error.pgcode.startswith("42"):
        primary = re.sub(r": .*", "", primary, flags=re.DOTALL)
        primary = re.sub(r'value "[^"]*"', "value", primary)
    named = [f"{kind} {visible(name)}" for kind, name in _named(error) if name and visible(name) not in primary]
    return f"{error.pgcode} {_condition(error.pgcode)}: {primary}" + (f" ({', '.join(named)})" if named else "")


def _named(error: psycopg2.Error) -> list[tuple[str, str | None]]:
    return [("column", error.diag.column_name), ("constraint", error.diag.constraint_name)]


def _condition(code: str) -> str:
    try:
        return str(errorcodes.lookup(code)).lower().replace("_", " ")
    except KeyError:
        return "database error"

"""SQL of a PyELT project as ours: PyELT's alias of the source row, and columns that PostgreSQL takes for keywords."""

from __future__ import annotations

import re

ALIAS = "s"
_PIECES = re.compile(
    r"""[eE]?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")+"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|[^\W\d]\w*|.""", re.DOTALL
)
_RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate column
    constraint create cross default deferrable desc distinct do else end except fetch for foreign freeze from full grant
    group having ilike in initially inner intersect into is isnull join lateral leading left like limit natural not notnull
    offset on only or order outer overlaps placing primary references returning right select similar some symmetric table
    tablesample then to trailing union unique user using variadic verbose when where window with""".split()  # noqa: SIM905 - a list of them is no easier to read
)
"""Words that cannot stand for a column unless quoted; those that are values (null, true, current_date) are not here."""


def expression(sql: str, alias: str = "hstg") -> str:
    """Return an expression of the program for our statements: its source row is called ``s`` here."""
    text = sql.strip()
    if text.lower() in _RESERVED:
        return f'"{text.lower()}"'
    return renamed(text, alias, ALIAS)


def renamed(sql: str, old: str, new: str) -> str:
    """Return the SQL with a table's alias (or name) replaced wherever it stands as a word of its own."""
    if old.lower() not in sql.lower():
        return sql
    found: list[str] = []
    for piece in (match.group(0) for match in _PIECES.finditer(sql)):
        is_column = bool(found) and "".join(found).rstrip().endswith(".")
        found.append(new if piece.lower() == old.lower() and not is_column else piece)
    return "".join(found)


def selected_words(sql: str) -> list[str]:
    """Return the words and signs of a query's own select list, without what stands in brackets, in small letters."""
    depth, words, within = 0, list[str](), False
    for piece in (match.group(0).lower() for match in _PIECES.finditer(sql)):
        if piece in "()":
            depth += 1 if piece == "(" else -1
        elif depth == 0 and piece in ("select", "from"):
            if within:
                break
            within = piece == "select"
        elif depth == 0 and within:
            words.append(piece)
    return words


def is_name(text: str) -> bool:
    """Say whether the text is nothing but a column's name."""
    return re.fullmatch(r"[^\W\d]\w*", text.strip()) is not None


def column(text: str) -> str:
    """Return a column's name as SQL that is that column, whatever the name is."""
    name = text.strip()
    return (
        name
        if is_name(name) and name == name.lower() and name not in _RESERVED
        else '"' + name.replace('"', '""') + '"'
    )


def on_row(sql: str) -> str:
    """Return the expression with its column behind the alias, where it is nothing but a column."""
    text = expression(sql)
    return f"{ALIAS}.{text}" if is_name(text) or text.startswith('"') else text

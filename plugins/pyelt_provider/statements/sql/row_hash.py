"""One text, and one hash, for one row: no two different rows have the same text, null and '' included."""

from __future__ import annotations

from pyelt_provider.identifiers import quote


def row_text(columns: tuple[str, ...], alias: str) -> str:
    """Return an SQL expression that is the same text for two rows only when all their columns are the same.

    Each value stands behind its length in bytes and a colon; a null has no length. Without them ('ab', 'c') and
    ('a', 'bc') would look the same, and so would null and ''.
    """
    parts = [f"octet_length({alias}.{quote(c)}), ':', {alias}.{quote(c)}" for c in columns]
    # A function takes at most 100 arguments.
    groups = [f"concat({', '.join(parts[i : i + 33])})" for i in range(0, len(parts), 33)]
    return " || ".join(groups)


def row_hash(columns: tuple[str, ...], alias: str) -> str:
    """Return the md5 of the row's text, as SQL."""
    return f"md5({row_text(columns, alias)})"

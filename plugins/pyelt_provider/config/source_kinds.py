"""Which keys of a staging table go with a csv, a fixed_width, a table or a query, and whether they can be what they say."""

from __future__ import annotations

import codecs

from pyelt_provider.config import pipe_file as keys
from pyelt_provider.config.pipe_context import PipeContext
from pyelt_provider.config.spots import Cursor

_NO_FILE_HAS = frozenset({"undefined", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})
"""Codecs of Python that are not encodings of files."""
_MEANT_FOR = {
    "filter": ("table",),
    "delimiter": ("csv",),
    "quote": ("csv",),
    "escape": ("csv",),
    "null": ("csv",),
    "header": ("csv",),
    "encoding": ("csv", "fixed_width"),
    "strip": ("fixed_width",),
    "skip_lines": ("fixed_width",),
    "wait_for": ("csv", "fixed_width"),
    "changed_since": ("table", "query"),
    "source_connection": ("table", "query"),
    "default_schema": ("table",),
    "columns": ("csv", "fixed_width", "table"),
    "take": ("csv",),
    "rename": ("csv",),
    "clean_names": ("csv",),
}


def check_kind(content: keys.SorKeys, kind: str, cursor: Cursor, pipe: PipeContext) -> None:
    """Report what does not go with a source of this kind, or misses for it."""
    is_database = kind in ("table", "query")
    is_told = any("source_connection" in at.spot.removed for at in (cursor, pipe.cursor))
    if is_database and pipe.database is None and content.source_connection is None and not is_told:
        what = "neither the pipe nor the table has a source database"
        (cursor / kind).wrong(what, "give the pipe a source_connection")
    has_folder = pipe.content.source_path is not None or "source_path" in pipe.cursor.spot.removed
    if not is_database and pipe.database is not None and not has_folder:
        what = "the pipe reads a database and does not say where its files are"
        (cursor / kind).wrong(what, "give the pipe a source_path too, or put files into a pipe of their own")
    for name, kinds in _MEANT_FOR.items():
        if name in content.model_fields_set and kind not in kinds:
            (cursor / name).wrong(
                f"{name!r} has no effect with {kind!r}", f"it goes with {' and '.join(kinds)}: leave it out"
            )
    if (
        kind == "fixed_width"
        and not isinstance(content.columns, dict | type(None))
        and "columns" not in cursor.spot.removed
    ):
        at = cursor / "columns" if "columns" in content.model_fields_set else cursor
        at.wrong("a fixed width file needs the places of its columns", "columns: {factuurnummer: [1, 10], ...}")
    if kind in ("csv", "table") and isinstance(content.columns, dict):
        (cursor / "columns").wrong(f"places of columns do not go with {kind!r}", "write a list of names")
    if kind == "csv" and not content.header and not content.columns and "columns" not in cursor.spot.removed:
        (cursor / "header").wrong("a file without header says no names", "name the columns: columns: [a, b]")
    if kind == "csv":
        _check_csv(content, cursor)
    if kind in ("csv", "fixed_width") and not _is_encoding(content.encoding):
        mend = "such as utf-8, iso-8859-1 or windows-1252"
        (cursor / "encoding").wrong(f"there is no encoding {content.encoding!r} of texts", mend)


def _check_csv(content: keys.SorKeys, cursor: Cursor) -> None:
    """Report characters that PostgreSQL's COPY cannot take for what they are to be."""
    for name in ("delimiter", "quote", "escape"):
        text = getattr(content, name)
        if text is not None and (not text.isascii() or text in "\r\n"):
            what = f"{text!r} cannot be the {name} of a CSV file"
            (cursor / name).wrong(what, "choose one ASCII character that does not end a line")
    if content.delimiter in (content.quote, content.escape):
        other = "quote" if content.delimiter == content.quote else "escape"
        (cursor / "delimiter").wrong(f"delimiter and {other} are the same", "choose two different characters")
    wrong = [c for c in (content.delimiter, content.quote, "\n", "\r") if c in content.null]
    if wrong:
        what = f"the text for null, {content.null!r}, has {wrong[0]!r} in it, which ends or quotes a value"
        (cursor / "null").wrong(what, "such as NULL, or leave it out")


def _is_encoding(name: str) -> bool:
    """Say whether the name is that of an encoding of texts: Python's codecs also have base64, hex and the like."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return False
    return getattr(codec, "_is_text_encoding", True) and codec.name not in _NO_FILE_HAS

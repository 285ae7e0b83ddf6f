"""Turns what PostgreSQL says of a delivery that it cannot read into a refusal with file and line, without the data."""

from __future__ import annotations

import re

import psycopg2

from pyelt_provider.errors import DeliveryRefused

_KINDS = (
    ("missing data for column", "the row has too few columns"),
    ("extra data after last expected column", "the row has too many columns"),
    ("unterminated CSV quoted field", "a quote is opened and never closed"),
    ("unquoted newline", "line ends are mixed: some lines end with CR or CR LF, others with LF"),
    ("unquoted carriage return", "line ends are mixed: some lines end with CR or CR LF, others with LF"),
    ("literal newline", "line ends are mixed: some lines end with CR or CR LF, others with LF"),
    ("literal carriage return", "line ends are mixed: some lines end with CR or CR LF, others with LF"),
    ("end-of-copy marker", "there is a line with only \\. in it, which ends a COPY"),
)
_BY_STATE = {
    "22P04": "it cannot be read as declared (columns, quotes or line ends)",
    "22021": "it has bytes that are not text in the declared encoding",
    "22P05": "it has characters that the warehouse's encoding does not have",
    "54000": "a row or a value is larger than PostgreSQL can hold",
}


def unreadable(error: psycopg2.Error, where: str) -> DeliveryRefused | None:
    """Return the refusal for an error of COPY that the delivery caused, None for any other error (a lost connection).

    `where` names the table and the file. PostgreSQL's own message has the data in it: only the line is taken from it.
    """
    if error.pgcode not in _BY_STATE:
        return None
    said = error.diag.message_primary or ""
    what = next((ours for theirs, ours in _KINDS if theirs in said), _BY_STATE[error.pgcode])
    if error.pgcode == "22021" and "0x00" in said:
        what = "it has a NUL byte in it, which no text can have"
    line = re.match(r"COPY [^,]*,\D*(\d+)", error.diag.context or "")
    return refused(where, what, int(line[1]) if line else None)


def refused(where: str, what: str, line: int | None = None) -> DeliveryRefused:
    """Return a refusal in the one wording that all of them have."""
    at = f", line {line}" if line is not None else ""
    return DeliveryRefused(
        f"{where}{at}: {what}. Nothing of the delivery was loaded; let the source deliver it again, or correct how the "
        "config describes it, and start the task again"
    )

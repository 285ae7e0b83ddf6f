"""PostgreSQL's COPY text format: how values of Python become lines that arrive exactly as they were."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escaped(text: str) -> str:
    """Return a value so that COPY reads back the same text."""
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        return text.translate(_ESCAPES)
    return text


def as_text(value: Any) -> str:
    """Return a value of a database driver as the text that staging keeps; the same value always gives the same text.

    Times are ISO with a blank between date and time, numbers are plain digits without an exponent, bytes are PostgreSQL's
    hexadecimal form, true and false are words. Large objects that have a `read` are read.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime.datetime():
            return value.isoformat(sep=" ")
        case datetime.timedelta():
            return _hours(value)
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case _ if hasattr(value, "read"):
            return as_text(value.read())
        case _:
            return str(value)


def _hours(span: datetime.timedelta) -> str:
    """Return a span as hours, minutes and seconds, as MySQL writes a TIME: 13:00:01, 30:00:00, -00:00:00.5."""
    past = span < datetime.timedelta(0)
    seconds, rest = divmod(abs(span), datetime.timedelta(seconds=1))
    fraction = f".{rest.microseconds:06d}".rstrip("0") if rest else ""
    minutes, seconds = divmod(seconds, 60)
    return f"{'-' if past else ''}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{fraction}"


def copy_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as lines of COPY text."""
    lines = ["\t".join([NULL if value is None else escaped(as_text(value)) for value in row]) for row in rows]
    lines.append("")
    return "\n".join(lines).encode() if len(lines) > 1 else b""


class Blocks:
    """A readable stream over blocks of bytes, for COPY; holds one block at a time."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._rest = block
        if size < 0 or len(self._rest) <= size:
            block, self._rest = self._rest, b""
            return block
        block, self._rest = self._rest[:size], self._rest[size:]
        return block

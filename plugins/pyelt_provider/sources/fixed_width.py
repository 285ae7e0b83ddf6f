"""Fixed width files: lines are cut at their places and sent as COPY text, a block of lines at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from operator import itemgetter

from pyelt_provider.model.staging import FixedWidthFile
from pyelt_provider.sources.copy_text import NULL, escaped
from pyelt_provider.sources.encodings import Readable, codec_name
from pyelt_provider.sources.refusal import refused

LINES = 2000
"""Lines that are cut and sent at once."""


def fixed_width_blocks(file: Readable, source: FixedWidthFile, where: str, row_limit: int | None) -> Iterator[bytes]:
    """Give the rows of a fixed width file as blocks of COPY text, in the order of the file.

    Places count characters, not bytes. Raises DeliveryRefused with the line for a line that ends before its last
    column does, for bytes that are not text in the declared encoding, for a NUL, and for a file without a byte.
    """
    first = file.read(1)
    if not first:
        raise refused(where, "the file is empty")
    text = io.TextIOWrapper(
        io.BufferedReader(_Prefixed(first, file)), encoding=codec_name(source.encoding), newline="\n"
    )
    length = max(column.start - 1 + column.width for column in source.columns)
    cut = itemgetter(*(slice(c.start - 1, c.start - 1 + c.width) for c in source.columns))
    one = len(source.columns) == 1
    number = 0
    rows: list[str] = []
    try:
        for number, line in enumerate(text, start=1):
            if number == 1:
                line = line.removeprefix("\ufeff")
            if number <= source.skip_lines:
                continue
            if row_limit is not None and number > source.skip_lines + row_limit:
                break
            line = line.rstrip("\r\n")
            if len(line) < length:
                raise refused(where, f"the line has {len(line)} characters where {length} are declared", number)
            if "\x00" in line:
                raise refused(where, "it has a NUL byte in it, which no text can have", number)
            values = (cut(line),) if one else cut(line)
            if source.strip:
                values = [value.rstrip(" ") for value in values]
            if source.empty_is_null:
                rows.append("\t".join([escaped(value) if value else NULL for value in values]))
            else:
                rows.append("\t".join([escaped(value) for value in values]))
            if len(rows) == LINES:
                rows.append("")
                yield "\n".join(rows).encode()
                rows = []
    except UnicodeError:
        raise refused(where, "it has bytes that are not text in the declared encoding", number + 1) from None
    if rows:
        rows.append("")
        yield "\n".join(rows).encode()


class _Prefixed(io.RawIOBase):
    """A file with its first byte, which was read already, before it again."""

    def __init__(self, first: bytes, file: Readable) -> None:
        self._first = first
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        block = self._first or self._file.read(len(view))
        self._first = b""
        view[: len(block)] = block
        return len(block)

"""CSV files: the header is read here, the rest goes to PostgreSQL's own CSV reader as the bytes that they are."""

from __future__ import annotations

import csv
import io
import re

from pyelt_provider.model.staging import CsvFile
from pyelt_provider.sources.encodings import BLOCK, Readable, Recoded, codec_name, needs_recoding, server_encoding
from pyelt_provider.sources.refusal import refused

_BOM = b"\xef\xbb\xbf"
_NO_QUOTE = "\x01"
_END_MARKER = re.compile(rb"[\r\n]\\\.[\r\n]")
HEADER_LIMIT = 1024 * 1024
"""A header line longer than this is none: the file has another delimiter, or no line ends at all."""


def csv_columns(file: Readable, source: CsvFile, where: str) -> tuple[str, ...]:
    """Return the column names of a CSV file: those of its header, or the config's names in their place.

    Raises DeliveryRefused for a file without a single byte, a header that cannot be read, or a header with another
    number of columns than the config names.
    """
    if not source.header:
        return _in_staging(source.names, source)
    start = _start(file)
    if not start:
        raise refused(where, "the file is empty, it has not even a header")
    header = _first_record(start, source, where)
    if source.names and len(source.names) != len(header):
        raise refused(
            where, f"its header has {len(header)} columns and the config gives names for {len(source.names)}", 1
        )
    return _in_staging(source.names or header, source)


def _in_staging(names: tuple[str, ...], source: CsvFile) -> tuple[str, ...]:
    if source.clean_names:
        names = tuple(clean_name(name) for name in names)
    renamed = {old.casefold(): new for old, new in source.renamed}
    return tuple(renamed.get(name.strip().casefold(), name) for name in names)


def clean_name(text: str) -> str:
    """Return PyELT's column name for a text of a header: ``Datum (dd-mm)`` -> ``datum_ddmm``."""
    return re.sub(r"[ /]", "_", re.sub(r'[()?\-,.:"]', "", text.strip())).lower()


def _start(file: Readable) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < HEADER_LIMIT and (part := file.read(HEADER_LIMIT - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts).removeprefix(_BOM)


def _first_record(start: bytes, source: CsvFile, where: str) -> tuple[str, ...]:
    # The bytes may end in the middle of a character, which only matters far behind the header.
    decoded = io.TextIOWrapper(
        io.BytesIO(start), encoding=codec_name(source.encoding), errors="surrogateescape", newline=""
    )
    reader = csv.reader(
        decoded,
        delimiter=source.delimiter,
        quotechar=source.quote or None,
        quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
        doublequote=source.escape in (None, source.quote),
        escapechar=source.escape if source.escape != source.quote else None,
        strict=True,
    )
    try:
        names = next(reader)
        "".join(names).encode()
    except (csv.Error, UnicodeError):
        raise refused(where, "its header cannot be read with the declared delimiter, quote and encoding", 1) from None
    except StopIteration:
        raise refused(where, "the file is empty, it has not even a header") from None
    return tuple(name.removeprefix("\ufeff") for name in names)


def csv_stream(
    file: Readable, source: CsvFile, where: str, *, row_limit: int | None = None, watch_for_end: bool = False
) -> CsvStream:
    """Return the file as a stream for COPY, from its first byte to its last without looking at rows.

    A byte order mark is taken off; encodings that PostgreSQL does not read become UTF-8. With `row_limit` only so many
    rows are sent. `watch_for_end`: refuse a line with only ``\\.`` in it, at which PostgreSQL before 18 stops silently.
    """
    stream = Recoded(file, codec_name(source.encoding)) if needs_recoding(source.encoding) else file
    return CsvStream(stream, source, where, row_limit, watch_for_end)


def copy_options(source: CsvFile) -> str:
    """Return COPY's options for a CSV file, as SQL without bind parameters."""
    quote = source.quote or _NO_QUOTE
    options = [
        "format csv",
        f"header {'true' if source.header else 'false'}",
        f"delimiter {_literal(source.delimiter)}",
        f"quote {_literal(quote)}",
        f"null {_literal(source.null)}",
        f"encoding {_literal(server_encoding(source.encoding))}",
    ]
    if source.escape:
        options.append(f"escape {_literal(source.escape)}")
    return ", ".join(options)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"E'{escaped}'"


class CsvStream:
    """A readable stream over a CSV file as COPY wants it; holds one block at a time."""

    def __init__(
        self, stream: Readable, source: CsvFile, where: str, row_limit: int | None, watch_for_end: bool
    ) -> None:
        self._stream = stream
        self._where = where
        self._quote = (source.quote or _NO_QUOTE).encode()
        self._first = True
        self._left = None if row_limit is None else row_limit + source.header
        self._tail = b""
        self._watch = watch_for_end
        self._before = b"\n"

    def read(self, size: int = BLOCK) -> bytes:
        """Return the next bytes; none at the end of the file or of the limit."""
        block = self._stream.read(max(size, BLOCK))
        if self._first:
            self._first = False
            while 0 < len(block) < len(_BOM) and (more := self._stream.read(BLOCK)):
                block += more
            if not block:
                raise refused(self._where, "the file is empty")
            block = block.removeprefix(_BOM) or self._stream.read(BLOCK)
        if self._watch:
            self._refuse_end_marker(block)
        return block if self._left is None else self._limited(block)

    def _refuse_end_marker(self, block: bytes) -> None:
        seen = self._before + (block or b"\n")
        if b"\\." in seen and _END_MARKER.search(seen):
            raise refused(self._where, "there is a line with only \\. in it, which ends a COPY before PostgreSQL 18")
        self._before = seen[-4:]

    def _limited(self, block: bytes) -> bytes:
        # A record ends at a line end outside quotes: where the number of quotes up to there is even.
        assert self._left is not None
        taken: list[bytes] = []
        while self._left > 0 and not taken:
            record = b""
            for line in (self._tail + block).splitlines(keepends=True):
                record += line
                if self._left > 0 and record.count(self._quote) % 2 == 0 and record.endswith(b"\n"):
                    taken.append(record)
                    record = b""
                    self._left -= 1
            self._tail = record
            if not block:
                self._left = 0
                taken.append(record)
            elif not taken:
                block = self._stream.read(BLOCK)
        return b"".join(taken)

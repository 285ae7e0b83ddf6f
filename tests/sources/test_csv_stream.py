"""The stream of a CSV file: bytes as they are, but for a byte order mark, a limit of rows, and what an old server misreads."""

from __future__ import annotations

import io

import pytest

from pyelt_provider.errors import DeliveryRefused
from pyelt_provider.model.staging import CsvFile
from pyelt_provider.sources.csv_file import csv_columns, csv_stream

CSV = CsvFile(path="x.csv")


class Dribble(io.BytesIO):
    """A file that gives a few bytes at a time, as a network does."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self.size = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.size)


def sent(
    content: bytes, size: int = 7, source: CsvFile = CSV, row_limit: int | None = None, old: bool = False
) -> bytes:
    stream = csv_stream(Dribble(content, size), source, "x.csv", row_limit=row_limit, watch_for_end=old)
    return b"".join(iter(lambda: stream.read(8), b""))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_every_byte_is_sent_but_the_byte_order_mark(size: int) -> None:
    assert sent(b"\xef\xbb\xbfa,b\r\n1,\xe9\x00\n", size) == b"a,b\r\n1,\xe9\x00\n"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_limit_counts_rows_and_not_lines(size: int) -> None:
    content = b'a,b\n1,"x\ny"\n2,"z ""q"" "\n3,c\n'
    assert sent(content, size, row_limit=2) == b'a,b\n1,"x\ny"\n2,"z ""q"" "\n'
    assert sent(content, size, row_limit=9) == content
    assert sent(content, size, row_limit=0) == b"a,b\n"
    assert sent(b"1\n2\n3", size, CsvFile(path="x.csv", header=False), row_limit=3) == b"1\n2\n3"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 100])
@pytest.mark.parametrize("content", [b"a\n\\.\n1\n", b"a\r\n1\r\n\\.\r\n2\r\n", b"a\n1\n\\.", b"\\.\na\n"])
def test_a_line_that_ends_a_copy_on_an_old_server_is_refused(content: bytes, size: int) -> None:
    with pytest.raises(DeliveryRefused, match="ends a COPY before PostgreSQL 18"):
        sent(content, size, old=True)
    assert sent(content, size) == content


@pytest.mark.parametrize("size", [1, 3, 100])
def test_other_backslashes_are_only_text(size: int) -> None:
    content = b"a,b\n\\.,1\n1,\\.\n\\..\nx\\.\n"
    assert sent(content, size, old=True) == content


def test_a_header_line_without_an_end_is_no_header() -> None:
    with pytest.raises(DeliveryRefused, match="line 1: its header cannot be read"):
        csv_columns(io.BytesIO(b'a,"b' + b"x" * 3_000_000), CSV, "x.csv")


def test_a_quoted_header_with_delimiters() -> None:
    source = CsvFile(path="x.csv", delimiter=";", quote="'")
    assert csv_columns(io.BytesIO("a;'b;''c';d é\r\n".encode()), source, "x.csv") == ("a", "b;'c", "d é")

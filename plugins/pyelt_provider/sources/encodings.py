"""Which character encodings PostgreSQL reads itself, and how bytes of the others become UTF-8 on the way."""

from __future__ import annotations

import codecs
from typing import Protocol

from pyelt_provider.errors import DeliveryRefused

_SERVER_NAMES = {
    "utf-8": "UTF8",
    "iso8859-1": "LATIN1",
    "iso8859-2": "LATIN2",
    "iso8859-9": "LATIN5",
    "iso8859-15": "LATIN9",
    "cp1250": "WIN1250",
    "cp1251": "WIN1251",
    "cp1252": "WIN1252",
    "cp1254": "WIN1254",
    "cp1257": "WIN1257",
}
BLOCK = 256 * 1024
"""Bytes that are read and sent at once: memory stays the same for any size of file."""


def codec_name(encoding: str) -> str:
    """Return Python's own name of an encoding (``utf8`` -> ``utf-8``); raises DeliveryRefused when there is none."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise DeliveryRefused(
            f"there is no encoding {encoding!r}; use a name such as utf-8, latin-1 or cp1252"
        ) from None
    return "utf-8" if name == "utf-8-sig" else name


def server_encoding(encoding: str) -> str:
    """Return the name for COPY's ENCODING option; for what PostgreSQL does not read this is UTF8, see `as_utf8`."""
    return _SERVER_NAMES.get(codec_name(encoding), "UTF8")


def needs_recoding(encoding: str) -> bool:
    """Return True for an encoding that PostgreSQL does not read itself (UTF-16, old code pages)."""
    return codec_name(encoding) not in _SERVER_NAMES


class Readable(Protocol):
    """What bytes are read from, block by block: a file, and what stands before one."""

    def read(self, size: int = ..., /) -> bytes: ...


class Recoded:
    """A readable stream of UTF-8 bytes over a file in another encoding; raises UnicodeDecodeError at bad bytes."""

    def __init__(self, file: Readable, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")

    def read(self, size: int = -1) -> bytes:
        """Return some bytes, at least one unless the file is at its end."""
        while block := self._file.read(BLOCK if size < 0 else size):
            if text := self._decoder.decode(block):
                return text.encode()
        return self._decoder.decode(b"", final=True).encode()

"""The digest of a file: taken while it is read for loading, or by reading it once."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from pyelt_provider.sources.encodings import BLOCK, Readable


class Digesting:
    """A file that remembers the size and the SHA-256 of what was read of it."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._at_end = False
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes of the file; none at its end."""
        block = self._file.read(size)
        self._digest.update(block)
        self.size += len(block)
        self._at_end = not block and size != 0
        return block

    @property
    def sha256(self) -> str | None:
        """The digest of the whole file; None as long as it was not read to its end."""
        return self._digest.hexdigest() if self._at_end else None


def has_content(file: BinaryIO, size: int, sha256: str) -> bool:
    """Say whether a file that can be read from its start has this size in bytes and this SHA-256.

    The size is asked for first where the file knows it; then only a file of that size is read, in blocks.
    """
    if file.seekable():
        if file.seek(0, io.SEEK_END) != size:
            return False
        file.seek(0)
    reading = Digesting(file)
    while reading.read(BLOCK):
        if reading.size > size:
            return False
    return reading.size == size and reading.sha256 == sha256

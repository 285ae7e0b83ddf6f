"""Where in the project's files something was said, so that errors and pages can point at it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A file (relative to the project folder) and its line, counted from 1; prints as ``file:line``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


NOWHERE = Place("", 0)
"""The place of things that no file says (defaults, dicts given in Python)."""

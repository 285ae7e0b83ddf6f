"""The one error of the embedded PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from pyelt_provider.errors import PyeltError


class EmbeddedServerError(PyeltError):
    """The embedded PostgreSQL cannot be made, started, reached or stopped; the message says why and the way out."""


def last_lines(log: Path, count: int = 15) -> str:
    """Return the end of a log file, indented; an empty text when there is none."""
    if not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(f"    {line}" for line in lines)

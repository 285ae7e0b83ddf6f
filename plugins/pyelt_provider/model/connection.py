"""A reference to a database: an Airflow connection id, or a URL for demos and PyELT's dicts; secrets never print."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionRef:
    """Names a database without opening it; `str` and `repr` mask the password of a URL."""

    text: str

    @property
    def is_url(self) -> bool:
        return "://" in self.text

    def __str__(self) -> str:
        return masked(self.text)

    def __repr__(self) -> str:
        return f"ConnectionRef({masked(self.text)!r})"


def masked(text: str) -> str:
    """Return the text with every ``user:password@`` of a URL, and ``password=`` value, replaced by ``***``."""
    without_url = re.sub(r"(\w[\w+.-]*://[^:/@\s]*):[^@/\s]*(?:/[^@\s]*)?@", r"\1:***@", text)
    return re.sub(
        r"(?i)\b(password|passwd|pwd|secret|token)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s;,&]+)", r"\1\2***", without_url
    )

"""A reference to a database: an Airflow connection id, or a URL for demos and PyELT's dicts; secrets never print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class ConnectionRef:
    """Names a database without opening it; `str` and `repr` mask the password of a URL."""

    text: str

    @property
    def is_url(self) -> bool:
        return "://" in self.text

    def __str__(self) -> str:
        # All of it is one URL, whatever signs its password has, blanks too.
        return masked(re.sub(r"(?s)(://[^:/@]*):.*@", r"\1:***@", self.text, count=1))

    def __repr__(self) -> str:
        return f"ConnectionRef({str(self)!r})"


def secrets_in(url: str) -> frozenset[str]:
    """Return the passwords of a URL, as they stand in it and decoded; nothing for a text that is no URL."""
    if "://" not in url:
        return frozenset()
    found = [match[1] for match in re.finditer(r"(?s)://[^:/@]*:(.*)@", url)]
    found += [match[3] for match in _VALUE.finditer(url)]
    return frozenset(filter(None, [*found, *map(unquote, found)]))


def masked(text: str) -> str:
    """Return the text with every ``user:password@`` of a URL, and ``password=`` value, replaced by ``***``.

    A password with signs that a URL should not have (``@``, ``/``, ``#``) goes up to the last ``@`` of its word.
    """
    return _VALUE.sub(r"\1\2***", _URL.sub(r"\1:***@", text))


def has_url_password(text: str) -> bool:
    """Say whether a URL with a password stands in the text."""
    return _URL.search(text) is not None


_URL = re.compile(r"(\w[\w+.-]*://[^:/@\s]*):[^\s]*@")
_VALUE = re.compile(
    r"(?i)((?:\b|[a-z]_|ssl|pg)(?:password|passwd|pwd|passphrase|secret(?:_access)?(?:_?key)?|token|(?:access|api)_?key))"
    r"([\"']?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s;,&]+)"
)

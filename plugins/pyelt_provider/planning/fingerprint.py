"""Fingerprints of model values: equal values give equal texts, in every process and on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
from enum import Enum
from functools import cache

from pyelt_provider.model.connection import ConnectionRef


def fingerprint(*values: object) -> str:
    """Return 16 hexadecimal characters that change when a value does.

    Places in files do not count (fields that are left out of comparisons), so a comment in a config changes nothing;
    of a connection only its masked text counts, so that no digest of a password is ever shown.
    """
    return hashlib.sha256("\x1f".join(map(canonical, values)).encode()).hexdigest()[:16]


def canonical(value: object) -> str:
    """Return one text for one value: dataclasses by their compared fields, the rest by `repr`."""
    if isinstance(value, ConnectionRef):
        return f"connection({value})"
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, tuple):
        return "(" + ",".join(map(canonical, value)) + ")"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = _compared_fields(type(value))
        return type(value).__name__ + "(" + ",".join(f"{n}={canonical(getattr(value, n))}" for n in names) + ")"
    return repr(value)


@cache
def _compared_fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.compare)

"""Fingerprints of model values: equal values give equal texts, in every process and on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
from enum import Enum
from functools import cache
from operator import attrgetter

from pyelt_provider.model.connection import ConnectionRef


def fingerprint(*values: object) -> str:
    """Return 16 hexadecimal characters that change when a value does.

    Places in files do not count (fields that are left out of comparisons), so a comment in a config changes nothing;
    of a connection only its masked text counts, so that no digest of a password is ever shown.
    """
    return hashlib.sha256("\x1f".join(map(canonical, values)).encode()).hexdigest()[:16]


def canonical(value: object) -> str:
    """Return one text for one value: dataclasses by their compared fields, the rest by `repr`."""
    kind = type(value)
    if kind is str:
        return repr(value)
    if kind is tuple:
        return f"({','.join([canonical(item) for item in value])})"  # type: ignore[attr-defined]
    fields = _compared_fields(kind)  # type: ignore[arg-type]
    if fields is None:
        return _canonical_scalar(value)
    name, starts, values = fields
    return f"{name}({','.join([start + canonical(get(value)) for start, get in zip(starts, values, strict=True)])})"


def _canonical_scalar(value: object) -> str:
    if isinstance(value, ConnectionRef):
        return f"connection({value})"
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, tuple):
        return f"({','.join(map(canonical, value))})"
    return repr(value)


@cache
def _compared_fields(kind: type) -> tuple[str, tuple[str, ...], tuple[attrgetter[object], ...]] | None:
    """Return a dataclass's name, and for each compared field how its text begins and what gets its value."""
    if not dataclasses.is_dataclass(kind) or issubclass(kind, ConnectionRef):
        return None
    names = tuple(field.name for field in dataclasses.fields(kind) if field.compare)
    return kind.__name__, tuple(f"{name}=" for name in names), tuple(attrgetter(name) for name in names)

"""``${VAR}`` and ``${VAR:-default}`` in paths and connection texts, filled from the environment of the process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor

_PLACE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")

Model = TypeVar("Model", bound=BaseModel)


def with_environment(keys: Model, cursor: Cursor, environment: Mapping[str, str]) -> Model:
    """Return the keys with every ``${VAR}`` in those of them that may have one filled in; unset ones are reported."""
    changes: dict[str, Any] = {}
    for field_name, key in _keys_with_environment(type(keys)):
        value = getattr(keys, field_name)
        if isinstance(value, str) and "${" in value:
            changes[field_name] = expanded(value, cursor / key, environment)
    return keys.model_copy(update=changes) if changes else keys


def environment_keys(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of a model's keys in which ``${VAR}`` may stand."""
    return frozenset(key for _, key in _keys_with_environment(model))


@cache
def _keys_with_environment(model: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a model in which variables are filled, with the names of their keys."""
    return tuple(
        (name, field.alias or name)
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("environment")
    )


def expanded(text: str, cursor: Cursor, environment: Mapping[str, str]) -> str:
    """Return the text with its places filled; a variable that is not set and has no default is a problem.

    Then the text is MISSING, so that nobody complains about what it would be without the variable.
    """

    whole = True

    def fill(match: re.Match[str]) -> str:
        nonlocal whole
        name, default = match.group(1).strip(), match.group(2)
        value = environment.get(name) or default
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            cursor.wrong(
                f"{match.group(0)!r} does not name an environment variable", "write ${NAME} or ${NAME:-default}"
            )
        elif value is None:
            cursor.wrong(
                f"the environment variable {name} is not set", f"set it, or write ${{{name}:-default}} with a default"
            )
        whole &= value is not None
        return value or ""

    filled = _PLACE.sub(fill, text)
    return filled if whole else MISSING

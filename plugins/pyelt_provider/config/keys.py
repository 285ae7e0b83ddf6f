"""What every model of a config file shares: strict, no unknown keys, a description and PyELT's name on every key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from pyelt_provider.model.limits import Amount


class Keys(BaseModel):
    """Base of the models of config files: what is written is taken as it stands, and nothing unknown is let through."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=False, defer_build=True)
    replaced: ClassVar[Mapping[str, str]] = {}
    """Keys that there were, each with what is written now."""


def described(
    description: str,
    default: Any = ...,
    *,
    name: str | None = None,
    pyelt: str | None = None,
    also: tuple[str, ...] = (),
    example: object = None,
    environment: bool = False,
    **limits: Any,
) -> Any:
    """Describe one key of a config file.

    `name` is the key's name where Python cannot use it (``from``), `pyelt` the key of PyELT that it stands for, and
    `also` are other names under which PyELT's dicts may give it. With `environment`, ``${VAR}`` in it is replaced.
    """
    extra: dict[str, Any] = {"pyelt": pyelt, "also": list(also), "example": example, "environment": environment}
    factory = type(default) if isinstance(default, list | dict) and not default else None
    if factory is not None:
        return Field(default_factory=factory, alias=name, description=description, json_schema_extra=extra, **limits)
    return Field(default, alias=name, description=description, json_schema_extra=extra, **limits)


def one_of(*names: str) -> ConfigDict:
    """Return the model configuration whose JSON Schema says that exactly one of these keys is given."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [name]} for name in names]})


@cache
def other_names(model: type[BaseModel]) -> dict[str, str]:
    """Return the names that PyELT's dicts may use instead of a model's own: ``schedule_interval`` -> ``schedule``."""
    names = {}
    for field_name, field in model.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict):
            for other in extra.get("also") or ():  # type: ignore[union-attr]
                names[str(other)] = field.alias or field_name
    return names


def key_names(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's keys as they are written in a file."""
    return [field.alias or name for name, field in model.model_fields.items()]


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHARE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,9})? ?%")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)([smhdw]))+")


def _duration(value: object) -> object:
    seconds: float | None = None
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str):
        text = value.replace(" ", "")
        if _DURATION.fullmatch(text):
            seconds = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text))
        elif text.isdigit():
            seconds = int(text)
    if seconds is None or not 0 <= seconds <= 10 * 366 * 86400:
        what, mend = (
            f"{value!r} is not a duration",
            'write seconds (300) or a text such as "30s", "5m", "1h30m" or "2d"',
        )
        raise PydanticCustomError("config", "{what}", {"what": what, "mend": mend})
    return timedelta(seconds=seconds)


def _day(value: object) -> object:
    day: date | None = None
    if isinstance(value, datetime):
        if value.time().isoformat() == "00:00:00":
            day = value.date()
    elif isinstance(value, date):
        day = value
    elif isinstance(value, str):
        with suppress(ValueError):
            day = date.fromisoformat(value)
    if day is not None and 1970 <= day.year < 3000:
        return day
    what, mend = f"{str(value)!r} is not a day", "write year-month-day, such as 2026-01-31"
    raise PydanticCustomError("config", "{what}", {"what": what, "mend": mend})


def _amount(value: object) -> object:
    if isinstance(value, Amount):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**12:
        return Amount(Decimal(value))
    if isinstance(value, str) and _SHARE.fullmatch(value) and Decimal(value.rstrip("% ")) <= 100:
        return Amount(Decimal(value.rstrip("% ")), is_share=True)
    mend = "write a whole number of rows (250), or a share with a percent sign (1%, 0.5%, at most 100%)"
    if isinstance(value, str) and value.isascii() and value.isdigit():
        mend = f"write {value} without quotes for rows, {value}% for a share"
    raise PydanticCustomError(
        "config", "{what}", {"what": f"{value!r} is neither a number of rows nor a share of them", "mend": mend}
    )


Text = Annotated[str, StringConstraints(min_length=1)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "title": "Duration",
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^(\d+(\.\d+)?[smhdw] ?)+$|^\d+$"},
            ],
        }
    ),
]
Rows = Annotated[int, Field(ge=0, le=10**12)]
RowsOrShare = Annotated[
    Amount,
    BeforeValidator(_amount),
    WithJsonSchema(
        {
            "title": "Rows or share",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"}],
        }
    ),
]
Day = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"title": "Day", "type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"})
]


def chosen_by(text: str, keys: Mapping[str, str]) -> Callable[[Any], str]:
    """Return a chooser for a value that may be a text or one of several mappings, told apart by a key that they have.

    A mapping with none of the keys is taken for the one whose key is spelled nearest, so that the error fits.
    """

    def choose(value: Any) -> str:
        if not isinstance(value, dict):
            return text
        for name, tag in keys.items():
            if name in value:
                return tag
        for written in value:
            close = get_close_matches(str(written), list(keys), n=1)
            if close:
                return keys[close[0]]
        return next(iter(keys.values()))

    return choose

"""pydantic's errors in the words of somebody who writes a config file."""

from __future__ import annotations

from datetime import date
from typing import Any

from pyelt_provider.config.spots import nearest

_WANTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
}


def in_words(mistake: dict[str, Any], example: str) -> tuple[str, str]:
    """Return what is wrong and how to mend it, for one error of pydantic."""
    kind, value, context = mistake["type"], mistake.get("input"), mistake.get("ctx") or {}
    if kind == "config":
        return context["what"], context["mend"]
    if kind in _WANTED:
        return f"this is {described(value)}, not {_WANTED[kind]}", _mend_type(kind, value, example)
    if kind in ("literal_error", "enum"):
        choices = [choice.strip().strip("'") for choice in context["expected"].replace(" or ", ", ").split(",")]
        what = f"this is {described(value)}, not {' or '.join(repr(choice) for choice in choices)}"
        return what, nearest(str(value), choices) if len(choices) > 1 else f"write {choices[0]}"
    if kind == "string_too_short":
        return "the text is empty", "give it a value, or leave the key out"
    if kind == "string_too_long":
        return f"the text is longer than {context['max_length']}", f"write at most {context['max_length']} character"
    if kind == "too_short":
        return f"it has {context['actual_length']} of at least {context['min_length']} entries", example
    if kind == "too_long":
        return f"it has {context['actual_length']} of at most {context['max_length']} entries", example
    bounds = {"greater_than_equal": ("ge", "less", "at least"), "less_than_equal": ("le", "more", "at most")}
    if kind in bounds:
        name, side, wanted = bounds[kind]
        return f"{value} is {side} than {context[name]}", f"write {wanted} {context[name]}"
    return str(mistake["msg"]), example


def described(value: object) -> str:
    """Return what a value is, for people: ``the number 5``, ``a list``."""
    match value:
        case None:
            return "empty"
        case bool():
            return f"the value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value if len(value) < 60 else value[:57] + '...'!r}"
        case date():
            return f"the date {value}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def _mend_type(kind: str, value: object, example: str) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float | date):
        return f'put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
    if kind == "string_type" and value is None:
        return "give it a value; the word null means nothing unless it stands in quotes" + (
            f", {example}" if example else ""
        )
    if kind == "bool_type":
        return "write true or false without quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str) and value.strip().isdigit():
        return f"write {value.strip()} without quotes"
    if kind == "list_type" and isinstance(value, str):
        return f"write [{value}]"
    return example

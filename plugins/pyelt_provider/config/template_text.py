"""Templates in paths and queries: whether they can be read as such. They are filled when a stage runs, not here."""

from __future__ import annotations

import functools

from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor


def check_template(text: str | None, cursor: Cursor) -> None:
    """Report a text whose {{ }} or {% %} places cannot be read; texts without such places are not looked at."""
    if text is None or not ("{{" in text or "{%" in text):
        return
    wrong = _mistake(text)
    if wrong is not None:
        cursor.wrong(f"the template cannot be read: {wrong}", "write places such as {{ ds }}")


def check_path(text: str | None, cursor: Cursor) -> None:
    """Report a path whose places cannot be read, or with a sign that is not seen: a template would change its line ends."""
    check_template(text, cursor)
    if text is not None and text != MISSING and not text.isprintable():
        cursor.wrong("the path has a line end or a tab in it, or another sign that is not seen", "leave it out")


@functools.lru_cache(maxsize=10_000)
def _mistake(text: str) -> str | None:
    from jinja2 import TemplateSyntaxError

    try:
        _environment().parse(text)
    except TemplateSyntaxError as error:
        return str(error.message)
    return None


@functools.cache
def _environment():  # type: ignore[no-untyped-def]
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment()

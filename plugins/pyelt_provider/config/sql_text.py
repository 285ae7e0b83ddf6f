"""The SQL files of a project: what they say in their first comments, what they define and which tables they name."""

from __future__ import annotations

import re

from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor

_NOISE = re.compile(
    r"""--[^\n]*|/\*.*?\*/|(?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$((?:[A-Za-z_]\w*)?)\$.*?\$\1\$|"(?:[^"]|"")+\"""",
    re.DOTALL,
)
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_QUALIFIED = re.compile(rf"(?<![\w.\"$])({_NAME})\s*\.\s*({_NAME})(?!\s*[.(])")
_FUNCTION = re.compile(
    rf"\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure|aggregate)\s+({_NAME}(?:\s*\.\s*{_NAME})?)\s*\(",
    re.IGNORECASE,
)


_FRAGMENT = re.compile(
    r"""(?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")+"|\$((?:[A-Za-z_]\w*)?)\$.*?\$\1\$"""
    r"""|/\*(?:[^*]|\*(?!/))*\*/|--[^\n]*""",
    re.DOTALL,
)


def check_fragment(sql: str | None, cursor: Cursor) -> None:
    """Report an SQL expression or condition that would reach out of the place where it is put into a statement."""
    if sql is None or sql == MISSING or sql.isidentifier():
        return
    if not sql.strip():
        cursor.wrong("the SQL is empty", "give it an expression, or leave the key out")
        return
    bare = _FRAGMENT.sub(lambda found: "--" if found.group(0).startswith("--") else " ", sql)
    if "--" in bare.rpartition("\n")[2]:
        cursor.wrong("the SQL ends in a comment, which would hide what comes behind it", "take the comment out")
    bare = re.sub(r"--", "", bare)
    for mark, name in (("'", "quote"), ('"', "quote"), ("/*", "comment")):
        if mark in bare:
            cursor.wrong(f"a {name} is opened in the SQL and never closed", f"close it: {mark} has no end")
            return
    if ";" in bare:
        cursor.wrong("this is more than one expression: it has a ';' in it", "leave it out")
        return
    depth = 0
    for character in bare:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            break
    if depth:
        which = "opened and never closed" if depth > 0 else "closed and was never opened"
        cursor.wrong(f"a bracket is {which} in the SQL", "mend the brackets")


def without_noise(sql: str) -> str:
    """Return the SQL with comments and text literals blanked; lines and columns stay where they are, and quoted names."""
    return _NOISE.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0]), sql)


def qualified_names(sql: str) -> list[tuple[str, str, int]]:
    """Return every ``schema.name`` that stands in the SQL, unquoted and with its line; columns of aliases are among them."""
    clean = without_noise(sql)
    return [
        (_plain(match.group(1)), _plain(match.group(2)), clean.count("\n", 0, match.start()) + 1)
        for match in _QUALIFIED.finditer(clean)
    ]


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def function_names(sql: str) -> list[str]:
    """Return the names of the functions that the SQL creates, as they are written."""
    return [re.sub(r"\s", "", match.group(1)) for match in _FUNCTION.finditer(without_noise(sql))]


def header_lines(sql: str) -> list[tuple[str, str, int]]:
    """Return the ``-- key: value`` lines before the first SQL, with their lines."""
    lines = []
    for number, line in enumerate(sql.splitlines(), start=1):
        text = line.strip()
        if text and not text.startswith("--"):
            break
        match = re.fullmatch(r"--\s*([A-Za-z_]\w*)\s*:\s*(.*)", text)
        if match:
            lines.append((match.group(1), match.group(2).strip(), number))
    return lines

"""Documents -> YAML text as a person would write it; what is read back is the same data, whatever the texts hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import yaml

from pyelt_provider.config.spots import Problems, Spot
from pyelt_provider.config.yaml_text import parse_yaml

WIDTH = 110
_BLOCKS = frozenset({"fields", "references", "sor", "satellites", "columns", "hubs", "links"})
"""Mappings that stand one key per line, however short they are, when they have more than one key."""


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote about a line: the lines above it, and the text behind it."""

    above: tuple[str, ...] = ()
    beside: str = ""


Comments = Callable[[str, int], Comment]
"""Gives what was written about a line (file, number), each comment once."""


def no_comments(file: str, line: int) -> Comment:
    """Give no comment for any line."""
    return Comment()


def yaml_text(data: Mapping[str, Any], spot: Spot, file: str, comments: Comments = no_comments) -> str:
    """Return the data as the text of a YAML file; `spot` says where its parts stood, and so which comments go with them.

    Reading the text gives the same data: same keys in the same order, same types, every character of every text.
    """
    return _Writer(comments).text(data, spot, file)


@dataclass(slots=True)
class _Writer:
    comments: Comments
    lines: list[str] = field(default_factory=list)

    def text(self, data: Mapping[str, Any], spot: Spot, file: str) -> str:
        self._mapping(data, spot, file, "", top=True)
        return "\n".join(self.lines) + "\n"

    def _mapping(
        self,
        data: Mapping[str, Any],
        spot: Spot,
        file: str,
        indent: str,
        first: str | None = None,
        *,
        top: bool = False,
    ) -> None:
        """Write a key per line; `first` is how the first line begins, where that is another than the others."""
        for key, value in data.items():
            child = spot.children.get(key) or Spot(0)
            at = child.file or file
            told = (
                child.line
                and not _is_told_by_part(str(key), value, child)
                and not (top and _is_told_below(child, spot))
            )
            comment = self.comments(at, child.line) if told else Comment()
            begin = first if first is not None else indent
            # A comment above a list item's first key would part the dash from it: it stands above the dash.
            margin = indent if first is None else indent[:-2]
            self.lines += [f"{margin}# {line}".rstrip() for line in comment.above]
            self._entry(begin + scalar(key) + ":", str(key), value, child, at, indent, comment.beside)
            first = None

    def _entry(self, head: str, key: str, value: Any, spot: Spot, file: str, indent: str, beside: str) -> None:
        note = f"  # {beside}" if beside else ""
        inner = indent + "  "
        match value:
            case dict() if value:
                short = flow(value) if _is_short(value) and not (key in _BLOCKS and len(value) > 1) else None
                if short is not None and len(head) + len(short) < WIDTH and not self._has_comments(value, spot, file):
                    self.lines.append(f"{head} {short}{note}")
                    return
                self.lines.append(head + note)
                self._mapping(value, spot, file, inner)
            case list() if value:
                short = flow(value) if all(not isinstance(item, dict | list) for item in value) else None
                if short is not None and len(head) + len(short) < WIDTH:
                    self.lines.append(f"{head} {short}{note}")
                    return
                self.lines.append(head + note)
                self._list(value, spot, file, inner)
            case str() if block := _block(value, inner):
                self.lines.append(f"{head} {block[0]}{note}")
                self.lines += block[1:]
            case _:
                self.lines.append(f"{head} {flow(value)}{note}")

    def _list(self, values: list[Any], spot: Spot, file: str, indent: str) -> None:
        for index, item in enumerate(values):
            child = spot.children.get(index) or Spot(0)
            at = child.file or file
            comment = self.comments(at, child.line) if child.line else Comment()
            notes = (*comment.above, comment.beside) if comment.beside else comment.above
            self.lines += [f"{indent}# {line}".rstrip() for line in notes]
            if isinstance(item, dict) and item:
                self._mapping(item, child, at, indent + "  ", first=f"{indent}- ")
            else:
                self.lines.append(f"{indent}- {flow(item)}")

    def _has_comments(self, data: Mapping[str, Any], spot: Spot, file: str) -> bool:
        peek = getattr(self.comments, "peek", None)
        children = [spot.children[key] for key in data if key in spot.children]
        return peek is not None and any(peek(child.file or file, child.line) for child in children)


def _is_told_by_part(key: str, value: Any, spot: Spot) -> bool:
    """Say whether a list, or a mapping of things with names, stands where its first part does: the comment is the part's."""
    match value:
        case [dict(), *_]:
            part = spot.children.get(0)
        case dict() if key in _BLOCKS and value:
            part = spot.children.get(next(iter(value)))
        case _:
            return False
    return part is not None and part.line == spot.line


def _is_told_below(part: Spot, whole: Spot) -> bool:
    """Say whether something deeper in the document stands where this part of it does: the comment is that one's."""
    return not part.children and any(
        below.line == part.line for other in whole.children.values() for below in other.children.values()
    )


def _is_short(value: Mapping[str, Any]) -> bool:
    return len(value) <= 4 and all(
        not isinstance(item, dict | list) or (isinstance(item, list) and not any(isinstance(i, dict) for i in item))
        for item in value.values()
    )


def flow(value: Any, *, within: bool = False) -> str:
    """Return a value in one line; `within` brackets or braces, commas and the like have a meaning, too."""
    match value:
        case dict():
            return "{" + ", ".join(f"{scalar(k, within=True)}: {flow(v, within=True)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(flow(item, within=True) for item in value) + "]"
        case _:
            return scalar(value, within=within)


def scalar(value: Any, *, within: bool = False) -> str:
    """Return a scalar, quoted where it would else be read as something else."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(yaml.safe_dump(value)).split("\n", 1)[0]
        case datetime() | date():
            return value.isoformat()
        case _:
            return _quoted(str(value), within=within)


def _quoted(text: str, *, within: bool) -> str:
    if "\n" in text or text.strip() != text or not text.isprintable():
        return _escaped(text)
    single = "'" + text.replace("'", "''") + "'"
    double = f'"{text}"' if "'" in text and not set(text) & {'"', "\\"} else single
    return next((found for found in (text, double, single) if _is_read_as(found, text, within=within)), _escaped(text))


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def _escaped(text: str) -> str:
    characters = (_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return f'"{"".join(characters)}"'


def _is_read_as(written: str, text: str, *, within: bool) -> bool:
    """Say whether a text is read back where it may stand: as a value, an item, or a key, with a comment behind it."""
    if not written:
        return False
    inside = f"b: [{written}, 1]\nc: {{{written}: 1}}" if within else f"b:\n- {written}\n- 1\nc:\n  {written}: 1"
    problems = Problems()
    whole = parse_yaml(f"a: {written}  # x\n{inside}\n", "", problems)
    return whole is not None and not problems and whole.data == {"a": text, "b": [text, 1], "c": {text: 1}}


def _block(text: str, indent: str) -> list[str] | None:
    """Return a text of several lines as a literal block, None where it has to be quoted."""
    lines = text.split("\n")
    if len(lines) < 2 or not lines[0] or lines[0][0].isspace():
        return None
    if any(line.rstrip() != line or not line.replace("\t", " ").isprintable() or "\ufeff" in line for line in lines):
        return None
    ending = "|" if text.endswith("\n") else "|-"
    body = lines[:-1] if text.endswith("\n") else lines
    if not body[-1]:
        return None  # several line ends at the end
    return [ending, *(f"{indent}{line}" if line else "" for line in body)]

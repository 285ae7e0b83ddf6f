"""YAML text -> plain data and the line of every value; keys are always text, and a key that stands twice is refused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pyelt_provider.config.spots import Cursor, Key, Problems, Spot
from pyelt_provider.errors import Problem

MAX_BYTES = 4_000_000
"""A config file that is larger is none: its values would take a hundred times as much memory."""
MAX_DEPTH = 60
MAX_COPIES = 100_000
"""So many values may come out of aliases: ten lines of aliases to aliases can stand for more than any memory holds."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"
_KINDS = frozenset({"null", "bool", "int", "float", "timestamp"})
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_RESOLVERS: dict[str, list[tuple[str, Any]]] = yaml.resolver.Resolver.yaml_implicit_resolvers
_MERGE = object()
"""Stands for the key ``<<``."""


@dataclass(frozen=True, slots=True)
class Document:
    """A config file as it was written: plain data (dicts, lists, scalars), and where everything in it stands.

    `path` is what the paths of its problems begin with, where no file says which document it is (dicts).
    """

    file: str
    data: dict[str, Any]
    spot: Spot
    path: str = ""

    def cursor(self, problems: Problems) -> Cursor:
        """Return the cursor at the top of the document."""
        return Cursor(self.file, self.spot, self.path, problems)


def read_yaml(path: Path, file: str, problems: Problems) -> Document | None:
    """Return the file's mapping (an empty file has an empty one), or None after reporting why it cannot be read."""
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig") if len(content) <= MAX_BYTES else ""
    except OSError as error:
        problems.add(Problem(file, 1, "", f"the file cannot be read: {error.strerror}", "check its permissions"))
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.add(Problem(file, line, "", "the file is not UTF-8 text", "save it as UTF-8"))
        return None
    if len(content) > MAX_BYTES:
        what = f"the file is larger than {MAX_BYTES // 1_000_000} MB"
        problems.add(Problem(file, 1, "", what, "a config has no data in it; is this a delivery?"))
        return None
    return parse_yaml(text, file, problems)


def parse_yaml(text: str, file: str, problems: Problems) -> Document | None:
    """As `read_yaml`, for a text."""
    loader = None
    try:
        loader = _Loader(text)  # reads the begin of the text already
        return _Composer(loader, file, problems).document()
    except _Refused as refused:
        problems.add(Problem(file, refused.line, "", refused.what, refused.mend))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        mend = "check the indentation, and quote texts that have ': ', '#', '{' or '%' in them"
        if "cannot start any token" in what and _begins_with_tab(text, mark.line if mark else 0):
            mend = "indent with blanks: YAML takes no tabs there"
        problems.add(Problem(file, mark.line + 1 if mark else 1, "", f"this is not YAML: {what}", mend))
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.encode(errors="replace")[:position].count(b"\n") + 1 if isinstance(position, int) else 1
        problems.add(
            Problem(file, line, "", f"this is not YAML: {error}".splitlines()[0], "save it as plain UTF-8 text")
        )
    finally:
        if loader is not None:
            loader.dispose()
    return None


def _begins_with_tab(text: str, line: int) -> bool:
    lines = text.split("\n")
    return line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]


class _Refused(Exception):
    """The file is YAML, and not taken as a whole."""

    def __init__(self, line: int, what: str, mend: str) -> None:
        super().__init__(what)
        self.line, self.what, self.mend = line, what, mend


@dataclass(slots=True)
class _Anchored:
    """A value with an anchor: its data, its place, and how many values it is."""

    data: Any
    spot: Spot
    values: int


class _Composer:
    """Turns the parser's events into data and spots in one pass; cursors are made for problems only."""

    def __init__(self, loader: Any, file: str, problems: Problems) -> None:
        self._next = loader.get_event
        self._file = file
        self._problems = problems
        self._path: list[Key] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._values = 0
        self._copied = 0

    def document(self) -> Document | None:
        self._next()  # stream start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Document(self._file, {}, Spot(1))
        event = self._next()
        line = event.start_mark.line + 1
        spot = Spot(1)
        data = self._value(event, spot)
        self._next()  # document end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            mend = "make it two files, or take the line with '---' out"
            raise _Refused(event.start_mark.line + 1, "a second document begins in this file", mend)
        if data is None:
            return Document(self._file, {}, spot)
        if not isinstance(data, dict):
            raise _Refused(line, "the file does not hold 'key: value' lines", "begin with a key and a colon")
        return Document(self._file, data, spot)

    def _value(self, event: Any, spot: Spot) -> Any:
        """Return the value that begins with the event, and note in `spot` where its parts stand."""
        kind = type(event)
        self._values += 1
        if kind is yaml.ScalarEvent:
            anchor = event.anchor
            data = self._scalar(event, spot)
        elif kind is yaml.AliasEvent:
            return self._alias(event, spot)
        else:
            anchor = event.anchor
            if len(self._path) > MAX_DEPTH:
                line = event.start_mark.line + 1
                raise _Refused(line, "lists and mappings are nested too deep", "no key of ours needs that")
            if anchor is not None:
                self._open(event)
            begin = self._values
            is_list = kind is yaml.SequenceStartEvent
            if event.tag is not None and event.tag not in ("!", _PREFIX + ("seq" if is_list else "map")):
                self._wrong(spot, f"the tag {event.tag!r} is not used here", "leave the tag out")
            data = self._list(spot) if is_list else self._dict(spot)
            if anchor is not None:
                self._anchors[anchor] = _Anchored(data, spot, self._values - begin + 1)
            return data
        if anchor is not None:
            self._open(event)
            self._anchors[anchor] = _Anchored(data, spot, 1)
        return data

    def _open(self, event: Any) -> None:
        if event.anchor in self._anchors:
            line = event.start_mark.line + 1
            raise _Refused(line, f"the anchor {event.anchor!r} stands twice", "give each anchor a name of its own")
        self._anchors[event.anchor] = None

    def _alias(self, event: Any, spot: Spot) -> Any:
        line = event.start_mark.line + 1
        if event.anchor not in self._anchors:
            raise _Refused(line, f"there is no anchor {event.anchor!r} above", "write the part out, or anchor it first")
        anchored = self._anchors[event.anchor]
        if anchored is None:
            self._wrong(spot, "an alias stands inside its own anchor", "write the part out")
            return None
        self._copied += anchored.values
        self._values += anchored.values
        if self._copied > MAX_COPIES:
            raise _Refused(line, "aliases of aliases stand for too many values", "write the part out")
        # Copies, because what is wrong in one place is taken out there only.
        spot.children = {key: _copied_spot(child) for key, child in anchored.spot.children.items()}
        return _copied(anchored.data)

    def _scalar(self, event: Any, spot: Spot) -> Any:
        tag = event.tag
        if "\x00" in event.value:
            self._wrong(spot, "a text has a NUL character in it", "PostgreSQL cannot store that: leave it out")
            return event.value.replace("\x00", "")
        if tag is None or tag == "!":
            return _plain(event.value) if event.implicit[0] and tag is None else event.value
        name = tag.removeprefix(_PREFIX)
        if name == "str":
            return event.value
        if name not in _KINDS:
            self._wrong(spot, f"the tag {tag!r} is not used here", "leave the tag out")
            return event.value
        return _constructed(name, event.value)

    def _list(self, spot: Spot) -> list[Any]:
        values: list[Any] = []
        children, path = spot.children, self._path
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            index = len(values)
            child = children[index] = Spot(event.start_mark.line + 1)
            path.append(index)
            values.append(self._value(event, child))
            path.pop()
        return values

    def _dict(self, spot: Spot) -> dict[str, Any]:
        data: dict[str, Any] = {}
        children, path = spot.children, self._path
        merged: list[tuple[Any, Spot]] = []
        while type(event := self._next()) is not yaml.MappingEndEvent:
            line = event.start_mark.line + 1
            key = self._key(event)
            child = Spot(line)
            if key is _MERGE:
                merged.append((self._value(self._next(), child), child))
                continue
            if key is None:
                self._value(self._next(), child)
                continue
            path.append(key)
            value = self._value(self._next(), child)
            if key in data:
                self._wrong(child, f"the key stands twice, first in line {children[key].line}", "keep one of them")
            else:
                children[key], data[key] = child, value
            path.pop()
        for value, child in merged:
            self._merge(value, child, data, spot)
        return data

    def _key(self, event: Any) -> Any:
        """Return the key's own text: YAML 1.1 would read the keys `null`, `on` and `1` as something else."""
        line = event.start_mark.line + 1
        if type(event) is yaml.ScalarEvent:
            if event.value == "<<" and event.implicit[0] and event.tag is None:
                return _MERGE
            if event.anchor is not None:
                self._open(event)
                self._anchors[event.anchor] = _Anchored(event.value, Spot(line), 1)
            if "\x00" in event.value:
                self._wrong(Spot(line), "a key has a NUL character in it", "PostgreSQL cannot store that: leave it out")
                return event.value.replace("\x00", "")
            return event.value
        at = Spot(line)
        value = self._value(event, at)
        if type(event) is yaml.AliasEvent and isinstance(value, str):
            return value
        self._wrong(at, "a key is a list or a mapping", "use a text as the key")
        return None

    def _merge(self, value: Any, written: Spot, data: dict[str, Any], spot: Spot) -> None:
        items = [(value, written)]
        if isinstance(value, list):
            items = [(item, written.children[index]) for index, item in enumerate(value)]
        for item, child in items:
            if not isinstance(item, dict):
                self._wrong(spot, "'<<' is not followed by a mapping", "let it name an anchor of a mapping")
                continue
            for key in item:
                if key not in data:
                    data[key] = item[key]
                    spot.children[key] = child.children[key]

    def _wrong(self, spot: Spot, what: str, mend: str) -> None:
        cursor = Cursor(self._file, Spot(spot.line), "", self._problems)
        for key in self._path:
            cursor = cursor / key
        cursor.wrong(what, mend)


@lru_cache(4096)
def _plain(text: str) -> Any:
    """Return what a text without quotes stands for; configs say the same few again and again."""
    if ":" in text and text.count("-") < 2:
        return text  # YAML 1.1 would count 1:30 in sixties; nobody who writes it means 90
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            name = tag.removeprefix(_PREFIX)
            return _constructed(name, text) if name in _KINDS else text
    return text


def _constructed(kind: str, text: str) -> Any:
    """Return a scalar as PyYAML makes it."""
    try:
        return getattr(_CONSTRUCTOR, f"construct_yaml_{kind}")(yaml.ScalarNode(_PREFIX + kind, text))
    except (ValueError, KeyError, AttributeError, OverflowError, IndexError):
        return text  # such as 2026-02-30: whoever wants a day from it says that it is none


def _copied(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(value) for value in data] if isinstance(data, list) else data


def _copied_spot(spot: Spot) -> Spot:
    return Spot(spot.line, {key: _copied_spot(child) for key, child in spot.children.items()}, file=spot.file)

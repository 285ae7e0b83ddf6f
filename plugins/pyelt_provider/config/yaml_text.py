"""YAML text -> plain data and the line of every value; keys are always text, and a key that stands twice is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pyelt_provider.config.spots import Cursor, Problems, Spot
from pyelt_provider.errors import Problem

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"


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
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.add(Problem(file, 1, "", f"the file cannot be read: {error.strerror}", "check its permissions"))
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.add(Problem(file, line, "", "the file is not UTF-8 text", "save it as UTF-8"))
        return None
    return parse_yaml(text, file, problems)


def parse_yaml(text: str, file: str, problems: Problems) -> Document | None:
    """As `read_yaml`, for a text."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        mend = "check the indentation, and quote texts that have ': ', '#', '{' or '%' in them"
        problems.add(Problem(file, mark.line + 1 if mark else 1, "", f"this is not YAML: {what}", mend))
        return None
    except yaml.YAMLError as error:
        problems.add(Problem(file, 1, "", f"this is not YAML: {error}".splitlines()[0], "save it as plain UTF-8 text"))
        return None
    root = Spot(1)
    if node is None:
        return Document(file, {}, root)
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        problems.add(
            Problem(file, line, "", "the file does not hold 'key: value' lines", "begin with a key and a colon")
        )
        return None
    try:
        data = _Builder().build(node, Cursor(file, root, "", problems))
    except RecursionError:
        problems.add(Problem(file, 1, "", "lists and mappings are nested too deep", "no key of ours needs that"))
        return None
    return Document(file, data, root)


class _Builder:
    """Turns YAML nodes into data; one per file, because scalars are constructed with PyYAML's own rules."""

    def __init__(self) -> None:
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: set[int] = set()

    def build(self, node: Any, cursor: Cursor) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, cursor)
        if id(node) in self._open:
            cursor.wrong("an alias stands inside its own anchor", "write the part out")
            return None
        self._open.add(id(node))
        try:
            return self._list(node, cursor) if isinstance(node, yaml.SequenceNode) else self._dict(node, cursor)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: Any, cursor: Cursor) -> Any:
        tag = node.tag
        if tag == "tag:yaml.org,2002:str":
            return node.value
        name = tag.removeprefix(_PREFIX)
        if name not in ("null", "bool", "int", "float", "timestamp"):
            cursor.wrong(f"the tag {tag!r} is not used here", "leave the tag out")
            return node.value
        try:
            return getattr(self._scalars, f"construct_yaml_{name}")(node)
        except (ValueError, KeyError):
            return node.value  # such as 2026-02-30: whoever wants a day from it says that it is none

    def _list(self, node: Any, cursor: Cursor) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            cursor.spot.children[index] = Spot(item.start_mark.line + 1)
            values.append(self.build(item, cursor / index))
        return values

    def _dict(self, node: Any, cursor: Cursor) -> dict[str, Any]:
        data: dict[str, Any] = {}
        children = cursor.spot.children
        merged: list[Any] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                cursor.wrong("a key is a list or a mapping", "use a text as the key")
                continue
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            # The key's own text: YAML 1.1 would read the keys `null`, `on` and `1` as something else.
            key, line = key_node.value, key_node.start_mark.line + 1
            if key in data:
                Cursor(cursor.file, Spot(line), (cursor / key).path, cursor.problems).wrong(
                    f"the key stands twice, first in line {children[key].line}", "keep one of them"
                )
                continue
            children[key] = Spot(line)
            data[key] = self.build(value_node, cursor / key)
        for item in merged:
            self._merge(item, data, cursor)
        return data

    def _merge(self, node: Any, data: dict[str, Any], cursor: Cursor) -> None:
        if not isinstance(node, yaml.MappingNode):
            cursor.wrong("'<<' is not followed by a mapping", "let it name an anchor of a mapping")
            return
        spot = Spot(cursor.spot.line)
        values = self.build(node, Cursor(cursor.file, spot, cursor.path, cursor.problems))
        for key, value in values.items():
            if key not in data:
                data[key] = value
                cursor.spot.children[key] = spot.children[key]

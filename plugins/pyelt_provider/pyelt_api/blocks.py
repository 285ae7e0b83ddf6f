"""Config documents as a program writes them: plain data, and beside it the file and line of every part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyelt_provider.config.build_pipeline import NamedDocument
from pyelt_provider.config.spots import Key, Spot
from pyelt_provider.config.yaml_text import Document
from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.session import Session


class Block:
    """A mapping of a document in the making."""

    def __init__(self, session: Session, place: Place) -> None:
        self._session = session
        self.data: dict[str, Any] = {}
        self.spot = self._spot(place)

    def put(self, key: str, value: Any, place: Place | None = None) -> None:
        """Write a key; None and empty texts, lists and mappings are left out, as in PyELT's configs."""
        if value is None or (isinstance(value, str | list | dict) and not value):
            return
        self.data[key] = value
        if place is not None:
            self.spot.children[key] = self._spot(place, value)

    def block(self, key: str, place: Place) -> Block:
        """Return the mapping under a key, made when it is not there yet."""
        inner = Block(self._session, place)
        if key in self.data:
            inner.data, inner.spot = self.data[key], self.spot.children[key]
        else:
            self.data[key], self.spot.children[key] = inner.data, inner.spot
        return inner

    def item(self, key: str, place: Place) -> Block:
        """Return a new mapping at the end of the list under a key."""
        items = self.data.setdefault(key, [])
        above = self.spot.children.setdefault(key, self._spot(place))
        inner = Block(self._session, place)
        above.children[len(items)] = inner.spot
        items.append(inner.data)
        return inner

    def without_empty(self) -> None:
        """Take out mappings in which nothing was written."""
        for key in [key for key, value in self.data.items() if value == {}]:
            del self.data[key]

    def document(self) -> Document:
        """Return the whole as a document."""
        return Document(self.spot.file or "", self.data, self.spot)

    def named(self, name: str) -> NamedDocument:
        """Return the whole as the document of a pipe or domain."""
        return NamedDocument(name, self.document())

    def _spot(self, place: Place, value: Any = None) -> Spot:
        at = self._session.shown(place)
        spot = Spot(at.line, file=at.file)
        parts: Any = value.items() if isinstance(value, Mapping) else enumerate(value) if _is_list(value) else ()
        for key, part in parts:
            written: Key = key
            spot.children[written] = self._spot(place, part)
        return spot


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)

"""What the domain files say, by name; and who asks for a name that is not there is told the nearest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor
from pyelt_provider.model.domain import Column, Hub, Link, Satellite, Valueset

T = TypeVar("T")


@dataclass(slots=True)
class Vault:
    """The hubs, links and valuesets of all domains of a project.

    `refused` are names whose definition is broken (that has been told), `whole` is False when a domain file could not
    be read at all: then nobody hears that a name does not exist. `broken` are satellites (owner, name) and owners
    (owner, "") of which parts were taken out. `file_of` says which domain file (by number) has a (kind, name).
    """

    hubs: dict[str, Hub] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    valuesets: dict[str, Valueset] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    broken: set[tuple[str, str]] = field(default_factory=set)
    file_of: dict[tuple[str, str], int] = field(default_factory=dict)
    whole: bool = True

    def hub(self, name: str, cursor: Cursor) -> Hub | None:
        """Return the hub; report a name that no hub has."""
        return self._find("hub", name, self.hubs, cursor)

    def link(self, name: str, cursor: Cursor) -> Link | None:
        """Return the link; report a name that no link has."""
        return self._find("link", name, self.links, cursor)

    def valueset(self, name: str, cursor: Cursor) -> Valueset | None:
        """Return the valueset; report a name that no valueset has."""
        return self._find("valueset", name, self.valuesets, cursor)

    def hub_or_link(self, name: str, cursor: Cursor) -> Hub | Link | None:
        """Return the hub or link; report a name that neither has."""
        known: dict[str, Hub | Link] = {**self.links, **self.hubs}
        return self._find("hub or link", name, known, cursor)

    def satellite(self, owner: Hub | Link, name: str, cursor: Cursor) -> Satellite | None:
        """Return a satellite of the hub (inherited ones too) or link; report a name that none of them has."""
        for satellite in owner.satellites:
            if satellite.name == name:
                return satellite
        if not any((part, "") in self.broken for part in self._line(owner)):
            kind = "hub" if isinstance(owner, Hub) else "link"
            cursor.unknown("satellite", name, [s.name for s in owner.satellites], f"{kind} {owner.name}")
        return None

    def column(self, satellite: Satellite, name: str, cursor: Cursor) -> Column | None:
        """Return a column of the satellite; report a name that none of them has."""
        for column in satellite.columns:
            if column.name == name:
                return column
        if (satellite.owner, satellite.name) not in self.broken:
            known = [column.name for column in satellite.columns]
            cursor.unknown("column", name, known, f"satellite {satellite.name} of {satellite.owner}")
        return None

    def _line(self, owner: Hub | Link) -> list[str]:
        names = [owner.name]
        while isinstance(owner, Hub) and owner.extends in self.hubs and owner.extends not in names:
            owner = self.hubs[owner.extends]
            names.append(owner.name)
        return names

    def _find(self, kind: str, name: str, known: dict[str, T], cursor: Cursor) -> T | None:
        found = known.get(name)
        if found is None and self.whole and name != MISSING and name not in self.refused:
            cursor.unknown(kind, name, known)
        return found

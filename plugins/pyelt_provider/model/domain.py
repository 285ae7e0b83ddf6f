"""The vault as its owner describes it: hubs, satellites, links and valuesets. Values only, nothing is read or done here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pyelt_provider.identifiers import (
    TableName,
    entity_view,
    hub_table,
    link_table,
    reference_column,
    satellite_table,
    snake_case,
)
from pyelt_provider.model.place import NOWHERE, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """The valueset (table) and the list in it (valueset_naam) that hold the descriptions of a column's codes."""

    valueset: str
    naam: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a satellite or valueset; `type` is PostgreSQL's name of the type (``text``, ``numeric(10,2)``)."""

    name: str
    type: str
    description: str = ""
    codes: CodeList | None = None
    place: Place = field(default=NOWHERE, compare=False)


class SatelliteKind(StrEnum):
    """What a satellite keeps: one row per key, one row per key and type (hybrid), or when a key went and came back."""

    PLAIN = "plain"
    HYBRID = "hybrid"
    RECORD_STATUS = "record_status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite:
    """A satellite of the hub or link named `owner`; `types` is filled for hybrid satellites only."""

    schema: str
    owner: str
    name: str
    kind: SatelliteKind = SatelliteKind.PLAIN
    columns: tuple[Column, ...] = ()
    types: tuple[str, ...] = ()
    description: str = ""
    table_name: str | None = None
    """The name of its table, where it is another than the one that follows from the names."""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.table_name or satellite_table(self.owner, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub, or with `extends` a subtype that lives in its parent's hub table under its own `type`.

    `root` names the hub whose table holds the keys (itself without `extends`). `satellites` are the hub's own and,
    behind them, those that it inherits from its parents and does not redefine: a satellite's `owner` says whose it is,
    so tables are made for those with ``satellite.owner == hub.name`` and mappings may fill all of them. `sources` is
    the order of pipes by which the view chooses a row when several pipes fill one satellite; empty means the latest.
    """

    schema: str
    name: str
    root: str
    extends: str | None = None
    satellites: tuple[Satellite, ...] = ()
    sources: tuple[str, ...] = ()
    description: str = ""
    type_name: str | None = None
    """What its keys have as `type`, where it is another than its own name."""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, hub_table(self.root))

    @property
    def view(self) -> TableName:
        return TableName(self.schema, entity_view(self.name))

    @property
    def type(self) -> str:
        """The value of the hub's `type` column for keys of this hub: its own snake_case name, unless another is given."""
        return self.type_name or snake_case(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One end of a link: a role and the hub that it points at."""

    role: str
    hub: str
    root: str
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def column(self) -> str:
        return reference_column(self.role, self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link between hubs. With `types` it is hybrid (a row per references and type).

    `status` keeps when a link went and came back, in ``<link>_sat_status``. `driving` names the role by which a link
    moves: a new partner for the same driving key ends the old link (needs `status`).
    """

    schema: str
    name: str
    references: tuple[Reference, ...]
    types: tuple[str, ...] = ()
    satellites: tuple[Satellite, ...] = ()
    status: bool = False
    driving: str | None = None
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, link_table(self.name))

    @property
    def status_table(self) -> TableName:
        return TableName(self.schema, satellite_table(self.name, "Status"))

    @property
    def view(self) -> TableName:
        return TableName(self.schema, entity_view(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Valueset:
    """A table of codes and their descriptions; periodical ones have a period (ingangsdatum, einddatum) per code."""

    schema: str
    name: str
    periodical: bool = False
    columns: tuple[Column, ...] = ()
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, snake_case(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A hub or link in an ensemble view, under its alias; of a link, which member each of its roles points at."""

    alias: str
    entity: str
    roles: tuple[tuple[str, str], ...] = ()
    """(role, alias of a hub's member) pairs of a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleView:
    """A view over several hubs and the links between them: a row per combination that is linked.

    The members hang together: from the first hub every other member is reached over the roles of links.
    """

    schema: str
    name: str
    members: tuple[Member, ...]
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def table(self) -> TableName:
        return TableName(self.schema, snake_case(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultValidation:
    """Marks vault rows as invalid: rows of `table` for which `when` holds get `_valid = false` and the message."""

    table: TableName
    when: str
    message: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The hubs, links, valuesets and ensemble views of one vault schema."""

    schema: str
    hubs: tuple[Hub, ...] = ()
    links: tuple[Link, ...] = ()
    valuesets: tuple[Valueset, ...] = ()
    validations: tuple[VaultValidation, ...] = ()
    views: tuple[EnsembleView, ...] = ()

    def hub(self, name: str) -> Hub:
        return next(hub for hub in self.hubs if hub.name == name)

    def link(self, name: str) -> Link:
        return next(link for link in self.links if link.name == name)

    def valueset(self, name: str) -> Valueset:
        return next(valueset for valueset in self.valuesets if valueset.name == name)

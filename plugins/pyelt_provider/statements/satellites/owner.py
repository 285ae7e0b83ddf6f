"""Whose satellites are loaded: a hub found by its business key, or a link found by the keys of its hubs."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.model.domain import Hub, Link
from pyelt_provider.model.pipeline import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class SatelliteOwner:
    """The table that satellites hang on, and how a source row finds its row of it.

    `relation` is SQL that can stand behind `from` or `join` under an alias: it has `_id` and the key columns named in
    `keys` (texts), one for each key expression of a mapping, in the same order. The planner reaches it by key through
    the indexes of hub and link.
    """

    table: TableName
    relation: str
    keys: tuple[str, ...]


def hub_owner(hub: Hub) -> SatelliteOwner:
    """Return the owner of a hub's satellites: the hub table by its `bk`."""
    return SatelliteOwner(table=hub.table, relation=hub.table.sql, keys=("bk",))


def link_owner(pipeline: Pipeline, link: Link, link_type: str | None) -> SatelliteOwner:
    """Return the owner of a link's satellites: its rows (of one type when it is hybrid) by the keys of its hubs."""
    keys = tuple(f"_key_{number}" for number, _ in enumerate(link.references, 1))
    columns = ", ".join(f'h{number}.bk as "_key_{number}"' for number, _ in enumerate(link.references, 1))
    joins = "\n    ".join(
        f"join {pipeline.hubs[reference.hub].table.sql} h{number} on h{number}._id = l.{quote(reference.column)}"
        for number, reference in enumerate(link.references, 1)
    )
    of_type = f"\n    where l.type = {text_literal(link_type)}" if link_type is not None else ""
    relation = f"(select l._id, {columns}\n    from {link.table.sql} l\n    {joins}{of_type})"
    return SatelliteOwner(table=link.table, relation=relation, keys=keys)

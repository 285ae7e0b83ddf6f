"""The views over several hubs and the links between them, as values."""

from __future__ import annotations

from collections.abc import Mapping

from pyelt_provider.identifiers import quote
from pyelt_provider.model.domain import EnsembleView, Hub, Link, Member
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.view_columns import ensemble_column, ensemble_column_names
from pyelt_provider.statements.ddl.view_ddl import ViewSpec


def ensemble_view(view: EnsembleView, pipeline: Pipeline, shown: Mapping[str, ViewSpec]) -> ViewSpec:
    """Return the view; `shown` has the view of every hub and link by name.

    Their queries stand in it whole, so that it depends on tables only: a view of a hub may be rebuilt without it, and it
    is there without the others (`create_views: false`).
    """
    entities: dict[str, Hub | Link] = {**pipeline.links, **pipeline.hubs}
    numbers = {member.alias: f"m{number}" for number, member in enumerate(view.members, 1)}
    columns = tuple(
        (ensemble_column(member.alias, column.name), f"{numbers[member.alias]}.{quote(column.name)}")
        for member in view.members
        for column in ensemble_column_names(entities[member.entity])
    )
    parts: list[str] = []
    for member, conditions in _in_order(view, pipeline.links, numbers):
        # Not indented: that would change literals of several lines.
        relation = f"(\n{shown[member.entity].query()}\n) {numbers[member.alias]}"
        parts.append(f"join {relation} on {conditions}" if parts else f"from {relation}")
    return ViewSpec(
        table=view.table,
        columns=columns,
        source="\n".join(parts),
        description=view.description,
        reads=tuple(dict.fromkeys(table for member in view.members for table in shown[member.entity].reads)),
        owner=pipeline.name,
    )


def _in_order(view: EnsembleView, links: Mapping[str, Link], numbers: Mapping[str, str]) -> list[tuple[Member, str]]:
    """Return the members as they are joined, each with its condition: every one hangs on one before it."""
    left = list(view.members)
    first = next(member for member in left if member.entity not in links)
    left.remove(first)
    ordered = [(first, "")]
    while left:
        found = next(
            (member, conditions)
            for member in left
            if (conditions := _conditions(member, [other for other, _ in ordered], links, numbers))
        )
        left.remove(found[0])
        ordered.append((found[0], " and ".join(found[1])))
    return ordered


def _conditions(
    member: Member, before: list[Member], links: Mapping[str, Link], numbers: Mapping[str, str]
) -> list[str]:
    pairs = [(member, role, hub) for role, hub in member.roles if any(hub == other.alias for other in before)]
    pairs += [(other, role, hub) for other in before for role, hub in other.roles if hub == member.alias]
    conditions = []
    for link, role, hub in pairs:
        column = next(item.column for item in links[link.entity].references if item.role == role)
        conditions.append(f"{numbers[link.alias]}.{quote(column)} = {numbers[hub]}._id")
    return conditions

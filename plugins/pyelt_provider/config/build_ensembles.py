"""The `views:` of domain.yaml -> EnsembleView: which member each role of a link points at, and that all hang together."""

from __future__ import annotations

from collections.abc import Iterable

from pyelt_provider.config import domain_file as keys
from pyelt_provider.config.physical_names import Names, columns_fit, fits, name_fits
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor
from pyelt_provider.config.vault import Vault
from pyelt_provider.identifiers import checked, snake_case
from pyelt_provider.model.domain import EnsembleView, Hub, Link, Member
from pyelt_provider.model.view_columns import ensemble_column, ensemble_column_names


def build_ensembles(
    written: dict[str, keys.EnsembleViewKeys], cursor: Cursor, schema: str, vault: Vault, names: Names
) -> tuple[EnsembleView, ...]:
    """Return the ensemble views of a domain file and take their names; all hubs and links must be known."""
    views = []
    for name, content in written.items():
        at = cursor / name
        name_fits(at, "view", name)
        names.claim(at, f"the view {name}", schema, _checked_name, name)
        members = _members(content, at / "members", vault)
        if members:
            view = EnsembleView(
                schema=schema, name=name, members=members, description=content.description, place=at.place
            )
            views.append(view)
    return tuple(views)


def _checked_name(name: str) -> str:
    return checked(snake_case(name))


def _members(content: keys.EnsembleViewKeys, cursor: Cursor, vault: Vault) -> tuple[Member, ...]:
    """Return the members; none when one of them is not there or they do not hang together, which is reported."""
    found = {alias: vault.hub_or_link(entity, cursor / alias) for alias, entity in content.members.items()}
    entities = {alias: entity for alias, entity in found.items() if entity is not None}
    _columns_fit(entities, cursor)
    if len(entities) < len(found) or cursor.spot.removed or MISSING in content.members.values():
        return ()
    hubs = {alias: entity for alias, entity in entities.items() if isinstance(entity, Hub)}
    links = [entity for entity in entities.values() if isinstance(entity, Link)]
    named = {alias for link in links for _, alias in _by_name(link, hubs)}
    members = []
    whole = True
    for alias, entity in entities.items():
        roles = _roles(entity, hubs, named, cursor / alias) if isinstance(entity, Link) else ()
        whole &= roles is not None
        members.append(Member(alias=alias, entity=entity.name, roles=roles or ()))
    if whole and not hubs:
        cursor.wrong("the view has links and no hub", "name the hubs that the links are between")
        return ()
    loose = _loose(members, hubs) if whole else []
    if loose:
        what = f"no link of the view leads to {', '.join(map(repr, loose))}"
        cursor.wrong(what, "add the link between them, or leave it out")
    return tuple(members) if whole and not loose else ()


def _by_name(link: Link, hubs: dict[str, Hub]) -> list[tuple[str, str]]:
    """Return (role, alias) pairs of the roles that have the name of an alias."""
    aliases = {snake_case(alias): alias for alias in hubs}
    found = [(reference, aliases.get(snake_case(reference.role))) for reference in link.references]
    return [(item.role, alias) for item, alias in found if alias is not None and hubs[alias].root == item.root]


def _roles(link: Link, hubs: dict[str, Hub], named: set[str], cursor: Cursor) -> tuple[tuple[str, str], ...] | None:
    """Return (role, alias) pairs: by the alias that the role has too, else the only hub of that kind.

    A hub that is `named` by a role of any link is none of those.
    """
    pairs = _by_name(link, hubs)
    open_references = [item for item in link.references if item.role not in dict(pairs)]
    for reference in open_references:
        left = [alias for alias, hub in hubs.items() if hub.root == reference.root and alias not in named]
        rivals = [other for other in open_references if other.root == reference.root]
        if len(left) > 1 or (left and len(rivals) > 1):
            what = f"the role {reference.role!r} of {link.name} could be any of {', '.join(map(repr, left))}"
            cursor.wrong(what, f"call one of the aliases {reference.role!r}")
            return None
        pairs += [(reference.role, alias) for alias in left]
    return tuple(pairs)


def _loose(members: list[Member], hubs: Iterable[str]) -> list[str]:
    """Return the aliases that are not reached from the first hub."""
    reached = {next(iter(hubs))}
    grows = True
    while grows:
        before = len(reached)
        for member in members:
            group = {member.alias, *(hub for _, hub in member.roles)}
            if group & reached:
                reached |= group
        grows = len(reached) > before
    return [member.alias for member in members if member.alias not in reached]


def _columns_fit(entities: dict[str, Hub | Link], cursor: Cursor) -> None:
    """Report columns that would be too long or be there twice, and more than a view can have."""
    taken: dict[str, str] = {}
    for alias, entity in entities.items():
        at = cursor / alias
        name_fits(at, "member", alias)
        for column in ensemble_column_names(entity):
            name = ensemble_column(alias, column.name)
            if name in taken:
                at.wrong(f"the view would have two columns {name!r}: also of {taken[name]!r}", "rename an alias")
                break
            taken[name] = alias
            if fits(at, checked, name) is None:
                break
    columns_fit(cursor, len(taken))

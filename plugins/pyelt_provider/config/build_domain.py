"""domain.yaml -> Domain: hubs with what they inherit, links, valuesets and validations, every name resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyelt_provider.config import domain_file as keys
from pyelt_provider.config.build_ensembles import build_ensembles
from pyelt_provider.config.build_satellites import build_columns, build_satellites, no_doubles
from pyelt_provider.config.physical_names import (
    PERIOD_COLUMNS,
    SATELLITE_COLUMNS,
    VALUESET_COLUMNS,
    Names,
    fits,
    name_fits,
    view_columns_fit,
)
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor
from pyelt_provider.config.sql_text import check_fragment
from pyelt_provider.config.vault import Vault
from pyelt_provider.identifiers import (
    checked,
    entity_view,
    hub_table,
    link_table,
    reference_column,
    satellite_table,
    snake_case,
)
from pyelt_provider.model.domain import (
    Domain,
    Hub,
    Link,
    Reference,
    Satellite,
    Valueset,
    VaultValidation,
)


@dataclass(frozen=True, slots=True)
class DomainSource:
    """A domain file that was read, and the schema that its name says."""

    content: keys.DomainFile
    cursor: Cursor
    schema: str
    number: int


def build_domains(sources: list[DomainSource], vault: Vault, names: Names) -> tuple[Domain, ...]:
    """Fill `vault` and `names` from all domain files and return their domains."""
    for source in sources:
        for kind in ("hubs", "links", "valuesets"):
            vault.refused |= {str(key) for key in (source.cursor / kind).spot.removed}
        vault.whole &= not source.cursor.spot.removed
    for source in sources:
        _valuesets(source, vault, names)
    for source in sources:
        _hubs(source, vault)
    for source in sources:
        _inherit(source, vault)
    for source in sources:
        _links(source, vault)
    for source in sources:
        _claim(source, vault, names)
    return tuple(_domain(source, vault, names) for source in sources)


def _domain(source: DomainSource, vault: Vault, names: Names) -> Domain:
    content = source.content
    return Domain(
        schema=source.schema,
        hubs=tuple(vault.hubs[name] for name in content.hubs if _is_own(source, "hub", name, vault)),
        links=tuple(vault.links[name] for name in content.links if _is_own(source, "link", name, vault)),
        valuesets=tuple(vault.valuesets[n] for n in content.valuesets if _is_own(source, "valueset", n, vault)),
        validations=_validations(source, names),
        views=build_ensembles(content.views, source.cursor / "views", source.schema, vault, names),
    )


def _is_own(source: DomainSource, kind: str, name: str, vault: Vault) -> bool:
    return vault.file_of.get((kind, name)) == source.number


def _take(source: DomainSource, kind: str, name: str, known: Hub | Link | Valueset | None, vault: Vault) -> bool:
    """Say whether this file may define the name; a name that another file has defined is reported."""
    name_fits(source.cursor / f"{kind}s" / name, kind, name)
    if known is None:
        vault.file_of[kind, name] = source.number
        return True
    where = f" in {known.place}" if known.place.file else ""
    what = f"there is a {kind} {name!r}{where} already"
    (source.cursor / f"{kind}s" / name).wrong(what, "names are unique in a pipeline: rename one of them")
    return False


def _hubs(source: DomainSource, vault: Vault) -> None:
    for name, written in source.content.hubs.items():
        hub_keys = written or keys.HubKeys.model_validate({})
        cursor = source.cursor / "hubs" / name
        if not _take(source, "hub", name, vault.hubs.get(name), vault):
            continue
        if cursor.spot.removed:
            vault.broken.add((name, ""))
        vault.hubs[name] = Hub(
            schema=source.schema,
            name=name,
            root=name,
            extends=hub_keys.extends,
            satellites=build_satellites(name, hub_keys.satellites, cursor, source.schema, vault),
            sources=tuple(hub_keys.sources),
            description=hub_keys.description,
            type_name=hub_keys.type,
            place=cursor.place,
        )


def _inherit(source: DomainSource, vault: Vault) -> None:
    """Give each subtype the root of its line and the satellites of its parents."""
    for name in source.content.hubs:
        hub, cursor = vault.hubs[name], source.cursor / "hubs" / name / "extends"
        if hub.extends is None or not _is_own(source, "hub", name, vault):
            continue
        line, parent = [hub], hub
        while parent.extends is not None:
            following = vault.hubs.get(parent.extends)
            if following is None:
                if parent is hub:
                    vault.hub(parent.extends, cursor)
                break
            if following in line:
                if following is hub and hub is min(line, key=lambda item: list(vault.hubs).index(item.name)):
                    chain = " extends ".join([*(item.name for item in line), hub.name])
                    cursor.wrong(f"a hub extends itself: {chain}", "let one of them stand alone")
                break
            parent = following
            line.append(parent)
        if parent.schema != hub.schema:
            cursor.wrong(
                f"{parent.name!r} is in schema {parent.schema!r}, this hub in {hub.schema!r}",
                "a subtype shares its parent's table: put both into one domain file",
            )
        own: dict[str, Satellite] = {}
        for item in line:
            for satellite in item.satellites:
                if satellite.owner == item.name:
                    own.setdefault(satellite.name, satellite)
        vault.hubs[name] = replace(hub, root=parent.name, satellites=tuple(own.values()))


def _links(source: DomainSource, vault: Vault) -> None:
    for name, written in source.content.links.items():
        cursor = source.cursor / "links" / name
        if not _take(source, "link", name, vault.links.get(name), vault):
            continue
        if cursor.spot.removed:
            vault.broken.add((name, ""))
        references = []
        for role, hub_name in written.references.items():
            at = cursor / "references" / role
            name_fits(at, "role", role)
            hub = vault.hub(hub_name, at)
            if hub is not None:
                reference = Reference(role=role, hub=hub.name, root=hub.root, place=at.place)
                if fits(at, reference_column, role, hub.root) is not None:
                    references.append(reference)
        columns: dict[str, str] = {}
        for reference in references:
            first = columns.setdefault(reference.column, reference.role)
            if first != reference.role:
                at = cursor / "references" / reference.role
                at.wrong(f"its column {reference.column} is that of the role {first!r} too", "rename one of the roles")
        if (cursor / "references").spot.removed or len(references) < len(written.references):
            vault.broken.add((name, "references"))
        no_doubles(written.types, cursor / "types", "type")
        driving = written.driving
        if driving is not None:
            if driving not in written.references:
                (cursor / "driving").unknown("role", driving, written.references)
            if not written.status:
                what = "a driving reference ends links, but the link keeps no status"
                (cursor / "driving").wrong(what, "add status: true")
        for satellite_name, satellite in written.satellites.items():
            if satellite == "record_status":
                what = "a link's status is not kept in a satellite of its own"
                (cursor / "satellites" / satellite_name).wrong(what, "leave it out and write status: true")
        vault.links[name] = Link(
            schema=source.schema,
            name=name,
            references=tuple(references),
            types=tuple(written.types),
            satellites=build_satellites(name, written.satellites, cursor, source.schema, vault),
            status=written.status,
            driving=driving,
            description=written.description,
            place=cursor.place,
        )


def _valuesets(source: DomainSource, vault: Vault, names: Names) -> None:
    for name, written in source.content.valuesets.items():
        content = written or keys.ValuesetKeys.model_validate({})
        cursor = source.cursor / "valuesets" / name
        if not _take(source, "valueset", name, vault.valuesets.get(name), vault):
            continue
        taken = SATELLITE_COLUMNS.union(VALUESET_COLUMNS, PERIOD_COLUMNS if content.periodical else ())
        if cursor.spot.removed or (cursor / "columns").spot.removed:
            vault.broken.add((name, "columns"))
        vault.valuesets[name] = Valueset(
            schema=content.table_schema or source.content.valueset_schema,
            name=name,
            periodical=content.periodical,
            columns=build_columns(content.columns, cursor / "columns", taken, "valueset", vault),
            description=content.description,
            place=cursor.place,
        )


def _claim(source: DomainSource, vault: Vault, names: Names) -> None:
    """Take the names of all tables and views of the domain."""
    schema = source.schema
    for name in source.content.valuesets:
        valueset, at = vault.valuesets[name], source.cursor / "valuesets" / name
        if _is_own(source, "valueset", name, vault):
            names.claim(at, f"valueset {name}", valueset.schema, snake_case, name)
    for name in source.content.hubs:
        hub, at = vault.hubs[name], source.cursor / "hubs" / name
        if not _is_own(source, "hub", name, vault):
            continue
        if hub.extends is None and names.claim(at, f"hub {name}", schema, hub_table, name) is None:
            continue
        names.claim(at, f"the view of {name}", schema, entity_view, name)
        _claim_satellites(hub, at, names)
        view_columns_fit(hub, at)
    for name in source.content.links:
        link, at = vault.links[name], source.cursor / "links" / name
        if not _is_own(source, "link", name, vault):
            continue
        names.claim(at, f"link {name}", schema, link_table, name)
        names.claim(at, f"the view of {name}", schema, entity_view, name)
        _claim_satellites(link, at, names)
        view_columns_fit(link, at)
        if link.status:
            names.claim(at / "status", f"the status of {name}", schema, satellite_table, name, "Status")


def _claim_satellites(owner: Hub | Link, above: Cursor, names: Names) -> None:
    for satellite in owner.satellites:
        if satellite.owner == owner.name:
            at, what = above / "satellites" / satellite.name, f"satellite {satellite.name} of {owner.name}"
            if satellite.table_name is not None:
                names.claim(at / "table", what, owner.schema, checked, satellite.table_name)
                continue
            names.claim(at, what, owner.schema, satellite_table, owner.name, satellite.name)


def _validations(source: DomainSource, names: Names) -> tuple[VaultValidation, ...]:
    validations = []
    for index, written in enumerate(source.content.validations):
        cursor = source.cursor / "validations" / index
        check_fragment(written.when, cursor / "when")
        schemas = {source.schema, source.content.valueset_schema}
        tables = {t.name: t for t in names if t.schema in schemas and not t.name.endswith("_view")}
        tables |= {str(t): t for t in tables.values()}
        table = tables.get(written.table)
        if table is None and written.table != MISSING and not source.cursor.spot.removed:
            (cursor / "table").unknown("table in the vault", written.table, [t for t in tables if "." not in t])
        if table is not None:
            validations.append(
                VaultValidation(table=table, when=written.when, message=written.message, place=cursor.place)
            )
    return tuple(validations)

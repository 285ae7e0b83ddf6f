"""Entities, links and valuesets of a pipe's file -> mappings, every hub, satellite, column, role and type resolved."""

from __future__ import annotations

import re

from pyelt_provider.config import pipe_file as keys
from pyelt_provider.config.physical_names import PERIOD_COLUMNS, VALUESET_COLUMNS
from pyelt_provider.config.pipe_context import PipeContext
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor
from pyelt_provider.config.sql_text import check_fragment
from pyelt_provider.errors import IdentifierError
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.domain import Hub, Link, SatelliteKind, Valueset
from pyelt_provider.model.mapping import (
    EntityMapping,
    FieldMapping,
    LinkMapping,
    MappingSource,
    MissingReference,
    ReferenceMapping,
    ValuesetMapping,
)

_FIELD = re.compile(r"([^.\[\]]+)\.([^\[\]]+?)(?:\[([^\[\]]+)\])?")


class MappingNames:
    """Gives every mapping of a pipe a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, written: keys.MappingKeys, cursor: Cursor) -> str:
        """Return the name that is written, or ``<from> -> <to>``, with a number behind it from the second on."""
        if written.name is not None:
            if written.name in self._taken:
                (cursor / "name").wrong(f"another mapping is named {written.name!r} already", "rename one of them")
            self._taken.add(written.name)
            return written.name
        plain = f"{_from_text(written.source)} -> {written.to}"
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain} ({number})"
        self._taken.add(name)
        return name


def _from_text(source: keys.From) -> str:
    match source:
        case keys.FromTable():
            return source.table
        case keys.FromView():
            return f"{source.view} view"
        case keys.FromQuery():
            return "query"
        case str():
            return source


def _source(written: keys.MappingKeys, cursor: Cursor, pipe: PipeContext) -> MappingSource:
    at = cursor / "from"
    source = written.source
    check_fragment(written.filter, cursor / "filter")
    check_fragment(written.prefer, cursor / "prefer")
    if isinstance(source, str):
        pipe.staging(source, at)
        return MappingSource(staging=source, filter=written.filter)
    reads = [pipe.table(text, at / "reads" / index) for index, text in enumerate(source.reads)]
    read = tuple(table for table in reads if table is not None)
    match source:
        case keys.FromTable():
            pipe.staging(source.table, at / "table")
            check_fragment(source.join, at / "join")
            if source.reads and source.join is None:
                what = "'reads' names the tables of a join, and there is no join"
                (at / "reads").wrong(what, "leave it out, or write the join")
            return MappingSource(staging=source.table, join=source.join, filter=written.filter, reads=read)
        case keys.FromView():
            if not pipe.create_views:
                (at / "view").wrong("the pipeline makes no views (create_views: false)", "write create_views: true")
            found = pipe.vault.hub_or_link(source.view, at / "view")
            return MappingSource(view=_view(found), filter=written.filter, reads=read)
        case keys.FromQuery():
            return MappingSource(query=source.query, filter=written.filter, reads=read)


def _view(found: Hub | Link | None) -> TableName:
    try:
        return found.view if found is not None else TableName("", "")
    except IdentifierError:
        return TableName("", "")  # its name is too long, which has been told where it is defined


def _fields(
    written: dict[str, str], above: Cursor, owner: Hub | Link | None, pipe: PipeContext
) -> tuple[FieldMapping, ...]:
    fields = []
    for name, expression in written.items():
        cursor = above / name
        match = _FIELD.fullmatch(name)
        if match is None:
            cursor.wrong(f"{name!r} is not a column of a satellite", "write Satellite.column or Satellite.column[type]")
            continue
        satellite_name, column_name, type_name = (part and part.strip() for part in match.groups())
        check_fragment(expression, cursor)
        fields.append(
            FieldMapping(
                satellite=satellite_name,
                column=column_name,
                expression=expression,
                type=type_name,
                place=cursor.place,
            )
        )
        satellite = pipe.vault.satellite(owner, satellite_name, cursor) if owner is not None else None
        if satellite is None:
            continue
        if satellite.kind is SatelliteKind.RECORD_STATUS:
            cursor.wrong("a record status fills itself", "leave the field out")
            continue
        pipe.vault.column(satellite, column_name, cursor)
        if satellite.kind is not SatelliteKind.HYBRID and type_name is not None:
            cursor.wrong(f"the satellite {satellite.name} has no types", f"write {satellite_name}.{column_name}")
        elif satellite.kind is SatelliteKind.HYBRID and type_name is None:
            known = ", ".join(dict.fromkeys(satellite.types))
            what = f"the type is missing: {satellite.name} is hybrid"
            cursor.wrong(what, f"write {satellite_name}.{column_name}[type] with one of {known}")
        elif satellite.kind is SatelliteKind.HYBRID and type_name not in satellite.types and satellite.types:
            cursor.unknown("type", str(type_name), satellite.types, f"satellite {satellite.name}")
    return tuple(fields)


def build_entities(pipe: PipeContext, names: MappingNames) -> tuple[EntityMapping, ...]:
    """Return the entity mappings of the pipe's file."""
    mappings = []
    for index, written in enumerate(pipe.content.entities):
        cursor = pipe.cursor / "entities" / index
        hub = pipe.vault.hub(written.to, cursor / "to")
        check_fragment(written.bk, cursor / "bk")
        mappings.append(
            EntityMapping(
                name=names.take(written, cursor),
                source=_source(written, cursor, pipe),
                hub=written.to,
                bk=written.bk,
                fields=_fields(written.fields, cursor / "fields", hub, pipe),
                prefer=written.prefer,
                description=written.description,
                place=cursor.place,
            )
        )
    return tuple(mappings)


def build_links(pipe: PipeContext, entities: tuple[EntityMapping, ...], names: MappingNames) -> tuple[LinkMapping, ...]:
    """Return the link mappings of the pipe's file; references by entity become the entity mapping's expression."""
    mappings = []
    for index, written in enumerate(pipe.content.links):
        cursor = pipe.cursor / "links" / index
        link = pipe.vault.link(written.to, cursor / "to")
        source = _source(written, cursor, pipe)
        if link is not None:
            _check_link(written, link, cursor, pipe)
        mappings.append(
            LinkMapping(
                name=names.take(written, cursor),
                source=source,
                link=written.to,
                references=_references(written, source, entities, cursor / "references", pipe),
                type=written.type,
                fields=_fields(written.fields, cursor / "fields", link, pipe),
                missing_reference=MissingReference(written.missing_reference),
                prefer=written.prefer,
                description=written.description,
                place=cursor.place,
            )
        )
    return tuple(mappings)


def _check_link(written: keys.LinkMappingKeys, link: Link, cursor: Cursor, pipe: PipeContext) -> None:
    roles = [reference.role for reference in link.references]
    if (link.name, "references") not in pipe.vault.broken:
        at = cursor / "references"
        for role in written.references:
            if role not in roles:
                (at / role).unknown("role", role, roles, f"link {link.name}")
        missing = [role for role in roles if role not in written.references]
        if missing and not at.spot.removed and "references" not in cursor.spot.removed:
            named = " and ".join(repr(role) for role in missing)
            plural = "references" if len(missing) > 1 else "reference"
            at.wrong(f"link {link.name} needs the {plural} {named}", f"such as {missing[0]}: its business key")
    if link.types and written.type is None and "type" not in cursor.spot.removed:
        cursor.wrong(f"the type is missing: link {link.name} is hybrid", f"write type: {' or '.join(link.types)}")
    elif link.types and written.type is not None and written.type not in link.types:
        (cursor / "type").unknown("type", written.type, link.types, f"link {link.name}")
    elif written.type is not None and not link.types and (link.name, "") not in pipe.vault.broken:
        (cursor / "type").wrong(f"link {link.name} has no types", "leave the type out, or give the link types")


def _references(
    written: keys.LinkMappingKeys,
    source: MappingSource,
    entities: tuple[EntityMapping, ...],
    above: Cursor,
    pipe: PipeContext,
) -> tuple[ReferenceMapping, ...]:
    references = []
    for role, content in written.references.items():
        cursor = above / role
        if isinstance(content, str):
            check_fragment(content, cursor)
        bk = content if isinstance(content, str) else _bk_of(content.entity, source, entities, cursor, pipe)
        references.append(ReferenceMapping(role=role, bk=bk, place=cursor.place))
    return tuple(references)


def _bk_of(
    hub_name: str, source: MappingSource, entities: tuple[EntityMapping, ...], cursor: Cursor, pipe: PipeContext
) -> str:
    """Return the business key expression of the mapping of the same source onto the hub; report none, or several."""
    is_told = source.staging is not None and source.staging not in pipe.stagings
    if pipe.vault.hub(hub_name, cursor / "entity") is None or is_told:
        return MISSING
    same = [
        item
        for item in entities
        if item.hub == hub_name and (item.source.staging, item.source.view) == (source.staging, source.view)
    ]
    keys_of_hub = list(dict.fromkeys(item.bk for item in same))
    if len(keys_of_hub) == 1:
        return keys_of_hub[0]
    where = source.staging or (str(source.view) if source.view else "this query")
    if not keys_of_hub:
        if "entities" not in pipe.cursor.spot.removed and not (pipe.cursor / "entities").spot.removed:
            what = f"no entity mapping of this pipe fills {hub_name} from {where}"
            (cursor / "entity").wrong(what, "write the business key's expression instead")
    else:
        what = f"{len(keys_of_hub)} entity mappings fill {hub_name} from {where}, with different keys"
        (cursor / "entity").wrong(what, "write the business key's expression instead")
    return MISSING


def build_valuesets(pipe: PipeContext, names: MappingNames) -> tuple[ValuesetMapping, ...]:
    """Return the valueset mappings of the pipe's file."""
    mappings = []
    for index, written in enumerate(pipe.content.valuesets):
        cursor = pipe.cursor / "valuesets" / index
        valueset = pipe.vault.valueset(written.to, cursor / "to")
        if valueset is not None:
            _check_valueset(written, valueset, cursor / "fields", pipe)
        mappings.append(
            ValuesetMapping(
                name=names.take(written, cursor),
                source=_source(written, cursor, pipe),
                valueset=written.to,
                fields=tuple(
                    FieldMapping(satellite="", column=name, expression=text, place=(cursor / "fields" / name).place)
                    for name, text in written.fields.items()
                ),
                prefer=written.prefer,
                description=written.description,
                place=cursor.place,
            )
        )
    return tuple(mappings)


def _check_valueset(written: keys.ValuesetMappingKeys, valueset: Valueset, cursor: Cursor, pipe: PipeContext) -> None:
    for name, expression in written.fields.items():
        check_fragment(expression, cursor / name)
    own = [column.name for column in valueset.columns]
    known = [*VALUESET_COLUMNS, *(PERIOD_COLUMNS if valueset.periodical else ()), *own]
    for name in written.fields:
        if name not in known and (valueset.name, "columns") not in pipe.vault.broken:
            if name in PERIOD_COLUMNS:
                what = f"valueset {valueset.name} is not periodical, so it has no {name}"
                (cursor / name).wrong(what, "leave it out, or write periodical: true in the domain")
            else:
                (cursor / name).unknown("column", name, known, f"valueset {valueset.name}")
    needed = ["valueset_naam", "code", *(("ingangsdatum",) if valueset.periodical else ())]
    for name in needed:
        if name not in written.fields and name not in cursor.spot.removed:
            cursor.wrong(f"the field {name!r} is missing: it is part of a code's key", f"such as {name}: an expression")

"""Mappings onto hubs, links and valuesets become those of a pipe's document."""

from __future__ import annotations

from typing import Any

from pyelt_provider.identifiers import TableName, entity_view
from pyelt_provider.pyelt_api.blocks import Block
from pyelt_provider.pyelt_api.columns import literal
from pyelt_provider.pyelt_api.expressions import ALIAS, column, expression, on_row, selected_words
from pyelt_provider.pyelt_api.link_mappings import EntityViewToLinkMapping, LinkFieldMapping, SorToLinkMapping
from pyelt_provider.pyelt_api.link_sources import LinkSource
from pyelt_provider.pyelt_api.mappings import (
    ConstantValue,
    EntityViewToEntityMapping,
    FieldMapping,
    SorToEntityMapping,
    sql_of,
)
from pyelt_provider.pyelt_api.names import link_name
from pyelt_provider.pyelt_api.pipelines import Pipe
from pyelt_provider.pyelt_api.session import Session
from pyelt_provider.pyelt_api.tables import DbFunction, SorQuery
from pyelt_provider.pyelt_api.valueset_mappings import SorToValueSetMapping
from pyelt_provider.pyelt_api.vault import DynamicLinkReference, HubEntityMetaClass, is_link
from pyelt_provider.pyelt_api.vault_documents import (
    Vault,
    dynamic_types,
    hub_name,
    reference_role,
    satellite_key,
    valueset_name,
)


class MappingWriter:
    """Writes the mappings of one pipe."""

    def __init__(self, pipe: Pipe, block: Block, vault: Vault, session: Session) -> None:
        self._pipe = pipe
        self._block = block
        self._entities = vault.entities
        self._valueset_of = vault.valueset_of
        self._session = session

    def entity(self, mapping: SorToEntityMapping) -> None:
        """Write a mapping onto a hub."""
        at = self._block.item("entities", mapping.place)
        if not isinstance(mapping.entity, HubEntityMetaClass):
            what = f"{mapping.entity!r} is no entity"
            self._wrong(mapping, what, "name a class that inherits from HubEntity")
            return
        self._begin(at, mapping, hub_name(mapping.entity))
        at.put("bk", self._key(mapping), mapping.place)
        self._satellites(at, mapping, mapping.entity)

    def link(self, mapping: SorToLinkMapping) -> None:
        """Write a mapping onto a link."""
        at = self._block.item("links", mapping.place)
        if not is_link(mapping.target):
            self._wrong(mapping, f"{mapping.target!r} is no link", "name a class that inherits from LinkEntity")
            return
        name = link_name(mapping.target.__name__)
        is_dynamic = bool(dynamic_types(mapping.target))
        self._begin(at, mapping, f"{name}_{mapping.type}" if is_dynamic else name)
        at.put("type", mapping.type if not is_dynamic else None, mapping.place)
        source = LinkSource(self._pipe, mapping)
        references = at.block("references", mapping.place)
        for field in mapping.field_mappings:
            bk = source.key(field)
            if bk is None:
                what = f"no mapping of {mapping.sor_table_name} fills the entity of {self._role(field)!r}"
                self._session.wrong(field.place, mapping.name, what, "give bk= the SQL of its business key")
                references.spot.removed.add(self._role(field))
                at.spot.removed.add("references")
            else:
                references.put(self._role(field), bk, field.place)
        if source.join:
            at.data["from"] = {"table": mapping.sor_table_name, "join": source.join, "reads": source.reads}
        at.put("missing_reference", mapping.missing_reference, mapping.place)
        self._satellites(at, mapping, mapping.target)

    def valueset(self, mapping: SorToValueSetMapping) -> None:
        """Write a mapping onto a valueset."""
        at = self._block.item("valuesets", mapping.place)
        if mapping.valueset is None:
            self._begin(at, mapping, self._valueset_of(mapping.ref_type))
        else:
            self._begin(at, mapping, valueset_name(mapping.valueset))
        fields = at.block("fields", mapping.place)
        if not any(field.target.name == "valueset_naam" for field in mapping.field_mappings):
            fields.put("valueset_naam", "''", mapping.place)
        self._fields(fields, "", mapping.field_mappings)

    def _role(self, field: LinkFieldMapping) -> str:
        if isinstance(field.reference, DynamicLinkReference):
            return str(field.type.__name__.lower())
        return reference_role(field.reference, self._session)

    def _begin(self, at: Block, mapping: Any, target: str) -> None:
        condition = expression(mapping.filter, "view" if hasattr(mapping, "view") else "hstg")
        match mapping.source:
            case _ if isinstance(mapping, EntityViewToEntityMapping | EntityViewToLinkMapping):
                at.put("from", {"view": self._view(mapping)}, mapping.place)
            case SorQuery(sql=sql):
                at.put("from", {"query": sql.strip().rstrip(";")}, mapping.place)
                words = selected_words(sql)
                rows = [f"{ALIAS}.{name}" for name in ("_active", "_valid") if name in words or "*" in words]
                condition = " and ".join([*rows, f"({condition})"] if rows and condition else rows or [condition])
            case source:
                at.put("from", str(source), mapping.place)
        at.put("to", target, mapping.place)
        at.put("filter", condition, mapping.place)
        at.put("prefer", expression(mapping.prefer) if mapping.prefer else None, mapping.place)
        at.put("description", mapping.description, mapping.place)

    def _view(self, mapping: Any) -> str:
        source = mapping.view
        if isinstance(source, HubEntityMetaClass):
            return hub_name(source)
        name = str(source).rpartition(".")[2]
        for entity in self._entities:
            if name in (entity.cls_get_view_name(), entity_view(hub_name(entity))):
                return hub_name(entity)
        self._wrong(mapping, f"no entity has the view {name!r}", "name the entity instead of its view")
        return ""

    def _key(self, mapping: SorToEntityMapping) -> str | None:
        if mapping.bk_mapping is not None:
            return expression(mapping.bk_mapping, "view" if hasattr(mapping, "view") else "hstg")
        if not mapping.key_mappings:
            return None
        return _key_by_satellite(mapping)

    def _satellites(self, at: Block, mapping: Any, owner: Any) -> None:
        fields = at.block("fields", mapping.place)
        for part in mapping.sat_mappings.values():
            key = satellite_key(owner, part.sat)
            if key is None:
                field = part.field_mappings[0]
                what = f"{owner.__name__} has no satellite {part.sat.__name__}"
                mend = "map onto the columns of the mapping's own target, or of what it inherits from"
                self._session.wrong(field.place, mapping.name, what, mend)
                continue
            self._fields(fields, key, [*part.field_mappings, *_defaults(part)])
        if not fields.data:
            del at.data["fields"]

    def _fields(self, fields: Block, satellite: str, mapped: list[FieldMapping]) -> None:
        objects: dict[str, list[FieldMapping]] = {}
        for field in mapped:
            name = f"{satellite}.{field.target.name}" if satellite else field.target.name
            name += f"[{field.type}]" if field.type else ""
            if field.target.type == "jsonb":
                objects.setdefault(name, []).append(field)
            elif name in fields.data:
                what = f"{name} is mapped twice"
                self._session.wrong(field.place, field.name, what, "keep one of the two")
            else:
                fields.put(name, self._sql(field), field.place)
        for name, parts in objects.items():
            pairs = ", ".join(f"{literal(_label(part))}, {self._sql(part)}" for part in parts)
            fields.put(name, f"jsonb_build_object({pairs})", parts[0].place)

    def _sql(self, field: FieldMapping) -> str:
        source = field.source
        if isinstance(source, DbFunction) and not source.schema_name:
            known = self._pipe.db_functions.get(source.name)
            source.schema = known.schema if known is not None and known.schema_name else self._pipe.sor
        if isinstance(source, ConstantValue):
            return str(source)
        return expression(sql_of(source))

    def _wrong(self, mapping: Any, what: str, mend: str) -> None:
        self._session.wrong(mapping.place, mapping.name, what, mend)


def _label(field: FieldMapping) -> str:
    return str(getattr(field.source, "name", field.source)).strip()


def _defaults(part: Any) -> list[FieldMapping]:
    """Return constants for the columns of a satellite which have a default value and are not mapped."""
    mapped = {field.target.name for field in part.field_mappings}
    found = []
    for item in part.sat.__cols__:
        if not item.name.startswith("_") and item.name not in mapped and item.default_value not in ("", None, {}):
            field = FieldMapping(ConstantValue(item.default_value), item)
            field.place, field.type = part.place, part.type
            found.append(field)
    return found


def _key_by_satellite(mapping: SorToEntityMapping) -> str:
    """Return the SQL that finds the business key by columns of satellites: PyELT's map_keys_in_sat."""
    hub = mapping.entity.Hub
    tables: dict[str, TableName] = {}
    conditions = []
    for pair in mapping.key_mappings:
        table = TableName(pair.sat.__dbschema__, pair.sat.__dbname__)
        alias = next((name for name, known in tables.items() if known == table), f"k{len(tables) + 1}")
        tables[alias] = table
        conditions.append(f"{alias}.{column(pair.target.name)}::text = ({on_row(sql_of(pair.source))})::text")
    joins = " ".join(
        f"join {table.schema}.{table.name} {alias} on {alias}._id = h._id and {alias}._active"
        for alias, table in tables.items()
    )
    return f"(select h.bk from {hub.__dbschema__}.{hub.__dbname__} h {joins} where {' and '.join(conditions)} limit 1)"

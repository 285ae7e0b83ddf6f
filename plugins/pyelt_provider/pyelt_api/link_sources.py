"""How a link's references are found: by SQL, by the mapping that fills their entity from the same table, or by a join."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName
from pyelt_provider.pyelt_api.expressions import ALIAS, expression, renamed
from pyelt_provider.pyelt_api.link_mappings import EntityViewToLinkMapping, LinkFieldMapping, SorToLinkMapping
from pyelt_provider.pyelt_api.mappings import SorToEntityMapping
from pyelt_provider.pyelt_api.pipelines import Pipe
from pyelt_provider.pyelt_api.vault import HubEntityMetaClass, LinkReference, root_entity


class LinkSource:
    """What a link mapping reads: its table, and the tables that its references join to it."""

    def __init__(self, pipe: Pipe, mapping: SorToLinkMapping) -> None:
        self._pipe = pipe
        self._mapping = mapping
        self.join = ""
        self.reads: list[str] = []

    def key(self, field: LinkFieldMapping) -> str | None:
        """Return the SQL of a reference's business key, None when nothing says it."""
        if isinstance(self._mapping, EntityViewToLinkMapping):
            view = self._mapping.view
            of_view = field.reference.entity_cls is view if isinstance(view, HubEntityMetaClass) else False
            return expression(field.bk, "view") if field.bk else "bk" if of_view else None
        if field.join:
            return self._joined(field)
        if field.bk:
            return expression(field.bk)
        found = self._entity_mapping(field, str(self._mapping.source))
        return expression(found.bk_mapping) if found is not None and found.bk_mapping is not None else None

    def _joined(self, field: LinkFieldMapping) -> str | None:
        """Join the other staging table with the key that its own mapping gives its rows."""
        name = field.join.split(".")[0].strip()
        alias = f"j{len(self.reads) + 1}"
        table = TableName(self._pipe.sor.name, name)
        condition = renamed(renamed(field.join, name, alias), "hstg", ALIAS)
        found = self._entity_mapping(field, name)
        if field.bk:
            inner, key = table.sql, renamed(renamed(field.bk, name, alias), "hstg", ALIAS)
            active = f" and {alias}._active and {alias}._valid"
        elif found is not None and found.bk_mapping is not None:
            rows = f"from {table.sql} {ALIAS} where {ALIAS}._active and {ALIAS}._valid"
            where = f" and ({expression(found.filter)})" if found.filter else ""
            inner, key, active = (
                f"(select {ALIAS}.*, ({expression(found.bk_mapping)}) as _bk {rows}{where})",
                f"{alias}._bk",
                "",
            )
        else:
            return None
        self.join = f"{self.join} join {inner} {alias} on ({condition}){active}".strip()
        self.reads.append(str(table))
        return key

    def _entity_mapping(self, field: LinkFieldMapping, table: str) -> SorToEntityMapping | None:
        """Return the mapping of a table that fills the entity of a reference."""
        target = field.reference.entity_cls if isinstance(field.reference, LinkReference) else field.type
        candidates = [
            item
            for item in self._pipe.mappings
            if isinstance(item, SorToEntityMapping)
            and isinstance(item.entity, HubEntityMetaClass)
            and str(item.source) == table
            and root_entity(item.entity) is root_entity(target)
        ]
        if field.fk:
            named = [
                item for item in candidates if f"fk_{item.type}{item.entity.Hub.__dbname__}".lower() == field.fk.lower()
            ]
        elif isinstance(field.type, str) and field.type:
            named = [item for item in candidates if item.type == field.type]
        else:
            named = [item for item in candidates if item.entity is target]
        chosen = named or candidates
        keys = {item.bk_mapping for item in chosen}
        return chosen[0] if len(keys) == 1 else None

"""Domain classes become domain documents: one per schema, with every hub and link that mappings or others name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from pyelt_provider.config.build_pipeline import NamedDocument
from pyelt_provider.identifiers import hub_table, satellite_table, snake_case
from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.blocks import Block
from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.ensembles import EnsembleView
from pyelt_provider.pyelt_api.link_mappings import SorToLinkMapping
from pyelt_provider.pyelt_api.mappings import SorToEntityMapping
from pyelt_provider.pyelt_api.names import (
    camelcase_to_underscores,
    link_name,
    model_name,
    satellite_stem,
    subtype,
)
from pyelt_provider.pyelt_api.pipelines import Pipeline, classes_of
from pyelt_provider.pyelt_api.reference_tables import (
    PERIOD_COLUMNS,
    VALUESET_COLUMNS,
    DvPeriodicalValueset,
    DvValueset,
)
from pyelt_provider.pyelt_api.session import Session
from pyelt_provider.pyelt_api.validations import DvValidation
from pyelt_provider.pyelt_api.valueset_mappings import SorToValueSetMapping
from pyelt_provider.pyelt_api.vault import (
    DynamicLinkReference,
    HubEntity,
    HubEntityMetaClass,
    HybridSat,
    Link,
    LinkReference,
    RecordStatusSat,
    Sat,
    is_link,
    root_entity,
    types_of,
)


def hub_name(entity: Any) -> str:
    """Return the name of an entity in our model; its tables are PyELT's."""
    if root_entity(entity) is not entity:
        return str(entity.__name__)
    return model_name(entity.__name__, entity.Hub.__dbname__.removesuffix("_hub"))


def valueset_name(valueset: Any) -> str:
    """Return the name of a valueset in our model."""
    return model_name(valueset.__name__, valueset.__dbname__)


def satellites_of(owner: Any) -> dict[str, Any]:
    """Return the satellites that stand in the class itself, by the names of their inner classes."""
    return {key: item for key, item in vars(owner).items() if isinstance(item, type) and issubclass(item, Sat)}


def satellite_key(owner: Any, satellite: Any) -> str | None:
    """Return the name under which an entity, or one that it inherits from, has the satellite; None when none has it."""
    for base in owner.__mro__:
        for key, item in satellites_of(base).items():
            if item is satellite:
                return key
    return None


class Vault:
    """Everything of the vault that a program registered or mentions, and the documents that say it."""

    def __init__(self, pipeline: Pipeline, session: Session) -> None:
        self._pipeline = pipeline
        self._session = session
        self._domains: dict[str, Block] = {}
        self._valuesets: list[Any] = []
        self.entities: list[Any] = []
        self.links: list[Any] = []
        self._collect()
        self._types = _used_types(pipeline)

    def documents(self) -> list[NamedDocument]:
        """Return a document per schema of the vault."""
        for entity in self.entities:
            self._hub(entity)
        for link in self.links:
            self._link(link)
        for valueset in self._valuesets:
            self._valueset(valueset)
        self._valueset_of_lists()
        for view in self._pipeline.ensemble_views:
            write_ensemble(view, self._domain(view.__dbschema__, view.written_at), self._session)
        for pipe in self._pipeline.pipes.values():
            for validation in pipe.validations:
                if isinstance(validation, DvValidation):
                    self._validation(validation)
        in_order = sorted(self._domains.items(), key=lambda item: (item[0] != "dv", item[0]))  # as files would stand
        return [block.named("" if schema == "dv" else schema) for schema, block in in_order]

    def _collect(self) -> None:
        for module in self._pipeline.domain_modules.values():
            for cls in classes_of(module):
                if isinstance(cls, HubEntityMetaClass) and cls is not HubEntity:
                    self._add_entity(cls)
                elif is_link(cls):
                    self._add_link(cls)
                elif issubclass(cls, DvValueset) and cls not in (DvValueset, DvPeriodicalValueset):
                    _add(self._valuesets, cls)
        for view in self._pipeline.ensemble_views:
            self._add_view(view)
        for mapping in mappings_of(self._pipeline):
            if isinstance(mapping, SorToEntityMapping) and isinstance(mapping.entity, HubEntityMetaClass):
                self._add_entity(mapping.entity)
            elif isinstance(mapping, SorToLinkMapping) and is_link(mapping.target):
                self._add_link(mapping.target)

    def _add_entity(self, entity: Any) -> None:
        for base in reversed(entity.__mro__):
            if isinstance(base, HubEntityMetaClass) and base is not HubEntity:
                _add(self.entities, base)

    def _add_view(self, view: EnsembleView) -> None:
        for entity in view.members().values():
            if isinstance(entity, HubEntityMetaClass):
                self._add_entity(entity)
            else:
                self._add_link(entity)

    def _add_link(self, link: Any) -> None:
        _add(self.links, link)
        for reference in link.Link.cls_get_link_refs().values():
            if isinstance(reference.entity_cls, HubEntityMetaClass):
                self._add_entity(reference.entity_cls)
        for target in dynamic_types(link).values():
            self._add_entity(target)

    @property
    def _main_schema(self) -> str:
        """The schema whose document has what belongs to no vault of its own."""
        return "dv" if "dv" in self._domains else next(iter(self._domains), "dv")

    def _domain(self, schema: str, place: Place) -> Block:
        if schema not in self._domains:
            block = self._domains[schema] = Block(self._session, place)
            block.put("schema", schema, place)
        return self._domains[schema]

    def _hub(self, entity: Any) -> None:
        name, root = hub_name(entity), root_entity(entity)
        hub = (
            self._domain(root.__dbschema__, entity.__place__)
            .block("hubs", entity.__place__)
            .block(name, entity.__place__)
        )
        hub.put("description", described(entity), entity.__place__)
        if entity is not root:
            parent = next(base for base in entity.__mro__[1:] if isinstance(base, HubEntityMetaClass))
            hub.put("extends", hub_name(parent), entity.__place__)
        elif hub_table(name) != entity.Hub.__dbname__:
            what = f"the table {entity.Hub.__dbname__!r} cannot be named after a hub"
            self._session.wrong(entity.__place__, name, what, "give the class a __dbname__ of small letters and '_'")
        written = subtype(entity.__name__)
        hub.put("type", written if written != snake_case(name) else None, entity.__place__)
        hub.put("sources", list(getattr(entity, "__sources__", ())), entity.__place__)
        self._satellites(hub, entity, name, root)

    def _satellites(self, block: Block, entity: Any, name: str, root: Any) -> None:
        for key, satellite in satellites_of(entity).items():
            if issubclass(satellite, RecordStatusSat):
                if isinstance(entity, HubEntityMetaClass):
                    block.block("satellites", satellite.__place__).put(key, "record_status", satellite.__place__)
                continue
            columns = own_columns(satellite, {"type"} if issubclass(satellite, HybridSat) else set())
            if not columns:
                continue  # PyELT made no table for a satellite without columns
            at = block.block("satellites", satellite.__place__).block(key, satellite.__place__)
            types = self._types_of_satellite(satellite) if issubclass(satellite, HybridSat) else []
            stem = satellite_stem(root.__name__, key)
            table = stem if stem != satellite_table(name, key) else None
            description = described(satellite)
            if types or table or description or {"types", "columns"} & {column.name for column in columns}:
                at.put("description", description, satellite.__place__)
                at.put("types", types, satellite.__place__)
                at.put("table", table, satellite.__place__)
                at = at.block("columns", satellite.__place__)
            self._columns(at, columns)

    def _types_of_satellite(self, satellite: Any) -> list[str]:
        declared = [str(value) for value in types_of(satellite)]
        return list(dict.fromkeys([*declared, *self._types.get(satellite, ())]))

    def _columns(self, at: Block, columns: Iterable[Column]) -> None:
        for column in columns:
            codes = getattr(column, "valueset_name", None)
            table = self._table_of_codes(codes) if codes else None
            if table is None:
                at.put(column.name, column.type, column.place)
            else:
                value = {"type": column.type, "valueset": {"table": table, "naam": codes}}
                at.put(column.name, value, column.place)

    def _table_of_codes(self, name: str) -> str | None:
        """Return the valueset that has the list: one of its own name, else the one for all lists; None without any."""
        known = {valueset.__dbname__: valueset_name(valueset) for valueset in self._valuesets}
        found = known.get(camelcase_to_underscores(name)) or known.get("valueset")
        return found or (next(iter(known.values())) if len(known) == 1 else None)

    def valueset_of(self, ref_type: str) -> str:
        """Return the valueset that has a list which no class names; `Valueset`, of all lists, where there is none yet."""
        return self._table_of_codes(ref_type) or "Valueset"

    def _link(self, entity: Any) -> None:
        types = dynamic_types(entity)
        for written, target in types.items():
            self._one_link(entity, f"{link_name(entity.__name__)}_{written}", {written: target})
        if not types:
            self._one_link(entity, link_name(entity.__name__), {})

    def _one_link(self, entity: Any, name: str, dynamic: dict[str, Any]) -> None:
        block = (
            self._domain(entity.__dbschema__, entity.__place__)
            .block("links", entity.__place__)
            .block(name, entity.__place__)
        )
        block.put("description", described(entity), entity.__place__)
        references = block.block("references", entity.Link.__place__)
        for reference in entity.Link.cls_get_link_refs().values():
            if isinstance(reference.entity_cls, HubEntityMetaClass):
                references.put(self._role(reference), hub_name(reference.entity_cls), reference.place)
            else:
                what = f"the reference {reference.role!r} points at no entity"
                self._session.wrong(reference.place, name, what, "name a class that inherits from HubEntity")
        for role, target in dynamic.items():
            references.put(role, hub_name(target), entity.Link.__place__)
        declared = [] if dynamic else [str(value) for value in link_types(entity)]
        used = [] if dynamic else self._types.get(entity, [])
        block.put("types", list(dict.fromkeys([*declared, *used])), entity.Link.__place__)
        has_status = entity.cls_has_record_status_sat() or getattr(entity, "__status__", False)
        block.put("status", True if has_status or getattr(entity, "__driving__", None) else None, entity.__place__)
        block.put("driving", getattr(entity, "__driving__", None), entity.__place__)
        self._satellites(block, entity, name, entity)

    def _role(self, reference: LinkReference) -> str:
        """Return the role by which our name of the column is the one that the program gives."""
        return reference_role(reference, self._session)

    def _valueset(self, valueset: Any) -> None:
        block = self._domain(self._main_schema, valueset.__place__).block("valuesets", valueset.__place__)
        at = block.block(valueset_name(valueset), valueset.__place__)
        is_periodical = issubclass(valueset, DvPeriodicalValueset)
        at.put("description", described(valueset), valueset.__place__)
        at.put("periodical", True if is_periodical else None, valueset.__place__)
        at.put("schema", valueset.__dbschema__ if valueset.__dbschema__ != "valset" else None, valueset.__place__)
        standard = VALUESET_COLUMNS | (PERIOD_COLUMNS if is_periodical else frozenset())
        columns = own_columns(valueset, standard)
        if columns:
            self._columns(at.block("columns", valueset.__place__), columns)

    def _valueset_of_lists(self) -> None:
        """Make the valueset of all lists, where mappings fill lists and the program has no valueset for them."""
        for mapping in mappings_of(self._pipeline):
            is_list = isinstance(mapping, SorToValueSetMapping) and mapping.valueset is None
            if is_list and self._table_of_codes(mapping.ref_type) is None:
                valuesets = self._domain(self._main_schema, mapping.place).block("valuesets", mapping.place)
                valuesets.block("Valueset", mapping.place)

    def _validation(self, validation: DvValidation) -> None:
        tables = {table for table in validation.tables if table is not None}
        name = validation.table.__dbname__ if validation.table is not None else str(validation.tbl or "")
        if len(tables) > 1:
            what = "the condition is about columns of several tables"
            self._session.wrong(validation.place, "validations", what, "write a validation per table")
            return
        schema = getattr(validation.table, "__dbschema__", "") or self._main_schema
        at = self._domain(schema, validation.place).item("validations", validation.place)
        at.put("table", name or None, validation.place)
        at.put("when", validation.sql_condition, validation.place)
        at.put("message", validation.msg or validation.sql_condition, validation.place)


def write_ensemble(view: EnsembleView, domain: Block, session: Session) -> None:
    """Write a view over several entities into the document of its schema."""
    place, name = view.written_at, view.view_name()
    block = domain.block("views", place).block(name, place)
    block.put("description", described(type(view)) if type(view) is not EnsembleView else "", place)
    members = block.block("members", place)
    for alias, entity in view.members().items():
        if isinstance(entity, HubEntityMetaClass):
            members.put(alias, hub_name(entity), place)
        elif dynamic_types(entity):
            what = f"{alias!r} is a link of several types, which is a link per type here"
            session.wrong(place, name, what, "leave it out, or write a datamart over the link that is meant")
        else:
            members.put(alias, link_name(entity.__name__), place)


def reference_role(reference: LinkReference, session: Session) -> str:
    """Return the role of a reference: the name of the attribute, or the middle of the fk column that is given."""
    hub = reference.ref_table.__dbname__
    if not reference.given_fk:
        return reference.role
    middle = reference.given_fk.removeprefix("fk_").removesuffix(hub).removesuffix("_")
    if reference.given_fk not in (f"fk_{hub}", f"fk_{middle}_{hub}"):
        what = f"the column {reference.given_fk!r} cannot be had"
        session.wrong(reference.place, reference.role, what, f"write fk_<role>_{hub}, or leave it out")
        return reference.role
    return middle or hub.removesuffix("_hub")


def dynamic_types(entity: Any) -> dict[str, Any]:
    """Return the entities that a dynamic reference of the link may point at, by PyELT's name of their type."""
    if not any(isinstance(item, DynamicLinkReference) for item in entity.Link.__ordereddict__.values()):
        return {}
    return {item.__name__.lower(): item for item in link_types(entity) if isinstance(item, HubEntityMetaClass)}


def link_types(entity: Any) -> list[Any]:
    """Return the values of the Types of a link; none for links without them."""
    return types_of(entity.Link) if hasattr(entity.Link, "Types") and entity.Link is not Link else []


def own_columns(table: Any, standard: Iterable[str]) -> list[Column]:
    """Return the columns that are the program's: not those that every such table has."""
    taken = set(standard)
    return [column for column in table.__cols__ if not column.name.startswith("_") and column.name not in taken]


def described(cls: Any) -> str:
    """Return the class's own docstring."""
    text = vars(cls).get("__doc__")
    return inspect.cleandoc(text) if text else ""


def mappings_of(pipeline: Pipeline) -> Iterator[Any]:
    """Give the mappings of all pipes."""
    for pipe in pipeline.pipes.values():
        yield from pipe.mappings


def _used_types(pipeline: Pipeline) -> dict[Any, list[str]]:
    """Return the types that mappings use, by satellite and by link: PyELT took any text for one."""
    used: dict[Any, list[str]] = {}
    for mapping in mappings_of(pipeline):
        if isinstance(mapping, SorToLinkMapping) and mapping.type:
            _add(used.setdefault(mapping.target, []), mapping.type)
        if isinstance(mapping, SorToEntityMapping | SorToLinkMapping):
            for part in mapping.sat_mappings.values():
                if part.type:
                    _add(used.setdefault(part.sat, []), part.type)
    return used


def _add(items: list[Any], item: Any) -> None:
    if not any(item is other or (isinstance(item, str) and item == other) for other in items):
        items.append(item)

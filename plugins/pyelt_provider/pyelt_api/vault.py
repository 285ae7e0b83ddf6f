"""``pyelt.datalayers.dv``: hubs with their satellites, links, and the metaclasses that give them names and columns."""

from __future__ import annotations

import copy
from typing import Any

from pyelt_provider.pyelt_api.columns import Column, Columns, FkReference
from pyelt_provider.pyelt_api.names import camelcase_to_underscores, link_stem, satellite_stem, subtype
from pyelt_provider.pyelt_api.tables import Table
from pyelt_provider.pyelt_api.written import here


class LinkReference(FkReference):
    """One end of a link: the entity that it points at."""

    def __init__(self, ref_cls: Any, name: str = "", fk: str = "") -> None:
        is_entity = isinstance(ref_cls, HubEntityMetaClass)
        super().__init__(ref_cls.Hub if is_entity else ref_cls)
        self.entity_cls = ref_cls
        self.sub_entity_type = ref_cls.__subtype__ if is_entity else ""
        self.name = name
        self.fk = fk
        self.given_fk = fk
        self.link: Any = None
        self.role = ""

    @property
    def hub(self) -> Any:
        return self.ref_table


class DynamicLinkReference:
    """The end of a link that points at another entity for each type; the link's Types are those entities."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.link: Any = None
        self.role = ""
        self.place = here()


class OrderedTableMetaClass(type):
    """Gives a table class its columns, inherited ones first: `__cols__`, each under its name and with its table."""

    __cols__: list[Column]
    __dbname__: str
    __dbschema__: str
    __ordereddict__: dict[str, Any]
    __own_schema__: bool
    __place__: Any

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> OrderedTableMetaClass:
        cls = super().__new__(mcs, name, bases, members)
        cls.__place__ = here()
        cls.__own_schema__ = "__dbschema__" in members
        everything: dict[str, Any] = {}
        for base in reversed(cls.__mro__[1:]):
            everything |= vars(base).get("__ordereddict__", {})
        everything |= members
        cls.__ordereddict__ = everything
        if "__dbname__" not in members:
            cls.__dbname__ = camelcase_to_underscores(name)
        cls.__cols__ = []
        for key, member in everything.items():
            if isinstance(member, Column):
                own = copy.copy(member)
                own.name = member.name or key.lower()
                own.table = cls
                cls.__cols__.append(own)
                setattr(cls, key, own)
        if "." not in cls.__qualname__ and any(isinstance(item, LinkReference) for item in members.values()):
            _stand_alone(cls)
        return cls

    def __str__(cls) -> str:
        return cls.__dbname__


class AbstractOrderderTable(Table, metaclass=OrderedTableMetaClass):
    """A table that is described by a class: its columns are the class's attributes, in their order."""

    __dbname__ = ""
    __dbschema__ = ""

    @classmethod
    def cls_get_name(cls) -> str:
        return cls.__dbname__

    @classmethod
    def cls_get_schema(cls, dwh: Any) -> Any:
        return dwh.get_schema(cls.__dbschema__)

    @classmethod
    def cls_get_columns(cls) -> list[Column]:
        return cls.__cols__

    @classmethod
    def cls_get_key(cls) -> list[str]:
        return [column.name for column in cls.__cols__ if column.is_key]


class DvTable(AbstractOrderderTable):
    """The columns that every table of the vault has."""

    _id = Columns.SerialColumn()
    _runid = Columns.FloatColumn()
    _source_system = Columns.TextColumn()
    _valid = Columns.BoolColumn(default_value=True)
    _validation_msg = Columns.TextColumn()
    _insert_date = Columns.DateTimeColumn()


class Hub(DvTable):
    """A hub: the business keys of an entity."""

    type = Columns.TextColumn()
    bk = Columns.TextColumn(unique=True)


class Sat(DvTable):
    """A satellite: an inner class of an entity, with its columns."""

    _id = Columns.IntColumn(pk=True)
    _runid = Columns.FloatColumn(pk=True)
    _finish_date = Columns.TextColumn()
    _active = Columns.BoolColumn(default_value=True, indexed=True)
    _revision = Columns.IntColumn()

    @classmethod
    def cls_get_short_name(cls) -> str:
        return cls.__name__.lower().replace("_sat", "")


class HybridSat(Sat):
    """A satellite with a row per key and type; the types are the values of its inner class Types."""

    class Types:
        """The types, as constants."""

    type = Columns.TextColumn(pk=True)

    @classmethod
    def cls_get_types(cls) -> list[Any]:
        return types_of(cls)


class RecordStatusSat(Sat):
    """A satellite that keeps when a key went and came back."""

    deleted = Columns.DateTimeColumn()


class Link(DvTable):
    """The table of a link: an inner class of a LinkEntity, with a LinkReference per entity."""

    type = Columns.TextColumn()

    @classmethod
    def cls_get_link_refs(cls) -> dict[str, LinkReference]:
        return {key: item for key, item in cls.__ordereddict__.items() if isinstance(item, LinkReference)}

    @classmethod
    def cls_has_record_status_sat(cls) -> bool:
        return any(_is_table(item, RecordStatusSat) for item in vars(cls).values())


class HybridLink(Link):
    """A link with a row per references and type."""

    class Types:
        """The types, as constants or as entities."""

    @classmethod
    def cls_get_types(cls) -> list[Any]:
        return types_of(cls)


def types_of(cls: Any) -> list[Any]:
    """Return the values of a class's Types, inherited ones first, each once."""
    found: list[Any] = []
    for base in reversed(cls.Types.__mro__):
        for key, value in vars(base).items():
            if not key.startswith("__") and not any(value is item or value == item for item in found):
                found.append(value)
    return found


def _show_name(table: Any) -> None:
    """Let programs read the table's name as `name`, unless that is a column of it."""
    if not isinstance(vars(table).get("name"), Column):
        table.name = table.__dbname__


def _is_table(member: Any, kind: type) -> bool:
    return isinstance(member, type) and issubclass(member, kind)


class _EntityMetaClass(type):
    """What hub and link entities have in common: satellites by their table's name, and a place."""

    __sats__: dict[str, Any]
    __own_schema__: bool
    __place__: Any

    def _take_satellites(cls, owner: Any, schema: str) -> None:
        for key, member in vars(cls).items():
            if _is_table(member, Sat):
                member.__dbschema__ = schema
                member.__dbname__ = satellite_stem(owner.__name__, key)
                _show_name(member)
        cls.__sats__ = {
            member.__dbname__: member
            for base in reversed(cls.__mro__)
            for member in vars(base).values()
            if _is_table(member, Sat)
        }


class HubEntityMetaClass(_EntityMetaClass):
    """Gives each entity that inherits from HubEntity itself a hub; those below it share it under a type of their own."""

    Hub: Any
    __dbname__: str
    __dbschema__: str
    __subtype__: str

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> HubEntityMetaClass:
        cls = super().__new__(mcs, name, bases, members)
        cls.__place__ = here()
        cls.__own_schema__ = "__dbschema__" in members
        if not any(isinstance(base, HubEntityMetaClass) for base in bases):
            cls.__sats__ = {}
            return cls  # HubEntity itself
        root = root_entity(cls)
        if root is cls:
            hub = OrderedTableMetaClass("Hub", (Hub,), {})
            stem = members.get("__dbname__") or camelcase_to_underscores(name)
            hub.__dbname__ = f"{stem}_hub"
            _show_name(hub)
            hub.__dbschema__ = cls.__dbschema__
            cls.Hub = hub
            cls.__subtype__ = ""
        else:
            cls.__subtype__ = name.lower().replace("entity", "").replace("hub", "")
        cls._take_satellites(root, root.__dbschema__)
        return cls

    @property
    def bk(cls) -> Any:
        return cls.Hub.bk


def root_entity(cls: Any) -> Any:
    """Return the class that has the hub: the one that inherits from HubEntity itself."""
    for base in cls.__mro__:
        if any(parent is HubEntity for parent in base.__bases__):
            return base
    return cls


class HubEntity(metaclass=HubEntityMetaClass):
    """An entity: a hub with its satellites, which are inner classes."""

    __dbschema__ = "dv"
    __dbname__ = ""
    __subtype__ = ""
    Hub = Hub

    @classmethod
    def cls_get_sats(cls) -> dict[str, Any]:
        return cls.__sats__

    @classmethod
    def cls_get_hub_type(cls) -> str:
        return subtype(cls.__name__)

    @classmethod
    def cls_get_schema(cls, dwh: Any) -> Any:
        return dwh.get_schema(cls.__dbschema__)

    @classmethod
    def cls_get_view_name(cls) -> str:
        return f"{subtype(cls.__name__)}_view"

    @classmethod
    def cls_get_name(cls) -> str:
        return f"{cls.__name__.lower()}_entity"

    @classmethod
    def cls_get_hub_name(cls) -> str:
        name: str = cls.Hub.__dbname__
        return name

    @classmethod
    def cls_get_hub(cls) -> Any:
        return cls.Hub

    @classmethod
    def cls_get_record_status_sat(cls) -> Any:
        return next((sat for sat in cls.__sats__.values() if issubclass(sat, RecordStatusSat)), None)

    @classmethod
    def cls_has_record_status_sat(cls) -> bool:
        return cls.cls_get_record_status_sat() is not None


def _stand_alone(link: Any) -> None:
    """Make a link of a class that is no inner one: so PyELT's older projects wrote them."""
    link.Link = link
    link.__sats__ = {}
    _name_link(link, link.__name__, "dv")
    for key, member in vars(link).items():
        if _is_table(member, Sat):
            member.__dbschema__ = "dv"
            member.__dbname__ = satellite_stem(link.__name__, key)
            _show_name(member)
            link.__sats__[member.__dbname__] = member


def is_link(cls: Any) -> bool:
    """Say whether a class is a link that a program made: a LinkEntity, or a Link with references of its own."""
    if isinstance(cls, LinkEntityMetaClass):
        return cls is not LinkEntity
    return _is_table(cls, Link) and vars(cls).get("Link") is cls


class LinkEntityMetaClass(_EntityMetaClass):
    """Gives the Link of an entity its name and its references their roles."""

    Link: Any
    __dbname__: str
    __dbschema__: str

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> LinkEntityMetaClass:
        cls = super().__new__(mcs, name, bases, members)
        cls.__place__ = here()
        cls.__own_schema__ = "__dbschema__" in members
        if not any(isinstance(base, LinkEntityMetaClass) for base in bases):
            cls.__sats__ = {}
            return cls  # LinkEntity itself
        if "Link" in members:
            _name_link(cls.Link, name, cls.__dbschema__)
        cls._take_satellites(cls, cls.__dbschema__)
        return cls


def _name_link(link: Any, entity: str, schema: str) -> None:
    link.__dbname__ = f"{link_stem(entity)}_link"
    link.__dbschema__ = schema
    _show_name(link)
    for key, member in link.__ordereddict__.items():
        if isinstance(member, LinkReference):
            member.link, member.role = link, key.lower()
            hub = member.ref_table.__dbname__
            member.set_fk_name(f"fk_{hub}" if f"{member.role}_hub" == hub else f"fk_{member.role}_{hub}")
        elif isinstance(member, DynamicLinkReference):
            member.link, member.role = link, key.lower()


class LinkEntity(metaclass=LinkEntityMetaClass):
    """A link between entities, with its satellites; its references stand in its inner class Link."""

    __dbschema__ = "dv"
    __dbname__ = ""
    Link = Link

    @classmethod
    def cls_get_schema(cls, dwh: Any) -> Any:
        return dwh.get_schema(cls.__dbschema__)

    @classmethod
    def cls_get_name(cls) -> str:
        return f"{cls.__name__.lower().replace('_link', '')}_link"

    @classmethod
    def cls_get_sats(cls) -> dict[str, Any]:
        return cls.__sats__

    @classmethod
    def cls_get_record_status_sat(cls) -> Any:
        return next((sat for sat in cls.__sats__.values() if issubclass(sat, RecordStatusSat)), None)

    @classmethod
    def cls_has_record_status_sat(cls) -> bool:
        return cls.cls_get_record_status_sat() is not None

"""``pyelt.datalayers.dv``: views over several entities and the links between them."""

from __future__ import annotations

from typing import Any

from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.names import camelcase_to_underscores
from pyelt_provider.pyelt_api.session import misused
from pyelt_provider.pyelt_api.vault import HubEntityMetaClass, is_link
from pyelt_provider.pyelt_api.written import here


def views_of(module: Any) -> list[EnsembleView]:
    """Return a view of every class for one that the module has, and the views that stand in it already."""
    members = list(vars(module).values())
    classes = [item for item in members if isinstance(item, type) and issubclass(item, EnsembleView)]
    return [cls() for cls in dict.fromkeys(classes) if cls is not EnsembleView] + [
        item for item in members if isinstance(item, EnsembleView)
    ]


class EnsembleView:
    """A view over several entities and the links between them.

    A subclass names them as attributes (alias = entity or link), or adds them in its `__init__`. Without a `name` the view
    is called after its class.
    """

    __dbschema__ = "dv"
    __place__: Any = None
    name = ""

    def __init_subclass__(cls) -> None:
        cls.__place__ = here()
        cls.__own_schema__ = "__dbschema__" in vars(cls)

    __own_schema__ = False

    def __init__(self, name: str = "", entity_and_link_list: list[Any] | None = None) -> None:
        self.name = name
        self.entity_and_link_list = list(entity_and_link_list or [])
        self.entity_dict: dict[str, Any] = {}
        for entity in self.entity_and_link_list:
            self.add_entity_or_link(entity)
        self.place = here()

    @classmethod
    def cls_init(cls) -> None:
        """Do nothing: the view's members are looked at when the project is loaded."""

    def add_entity_or_link(self, entity_or_link: Any, alias: str = "") -> None:
        """Add an entity or a link to the view, under its own name or an alias."""
        if not (isinstance(entity_or_link, HubEntityMetaClass) or is_link(entity_or_link)):
            misused(f"{entity_or_link!r} is neither an entity nor a link", "add classes of the domain")
            return
        name = alias or entity_or_link.cls_get_name()
        if name in self.entity_dict:
            misused(f"the view has {name!r} already", "give an alias that is not taken")
            return
        self.entity_dict[name] = entity_or_link

    def members(self) -> dict[str, Any]:
        """Return the entities and links by alias: those that were added, else the attributes of the class."""
        added: dict[str, Any] = getattr(self, "entity_dict", {})  # a class may leave our __init__ out
        if added:
            return {alias.removesuffix("_entity"): entity for alias, entity in added.items()}
        named: dict[str, Any] = {}
        for base in reversed(type(self).__mro__):
            named |= vars(base)
        return {
            alias: entity
            for alias, entity in named.items()
            if isinstance(entity, HubEntityMetaClass) or is_link(entity)
        }

    @property
    def written_at(self) -> Place:
        """Where the program says the view: at its class, or where one was made without."""
        place: Place = type(self).__place__ or self.place
        return place

    def view_name(self) -> str:
        """Return the name of the view in the warehouse."""
        return self.name or camelcase_to_underscores(type(self).__name__)

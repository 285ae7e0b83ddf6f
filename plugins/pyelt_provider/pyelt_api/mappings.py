"""``pyelt.mappings``: what becomes what, from a source to staging and from there to hubs and valuesets."""

from __future__ import annotations

import copy
from typing import Any

from pyelt_provider.pyelt_api.columns import Column, SqlSnippet, literal
from pyelt_provider.pyelt_api.deliveries import File
from pyelt_provider.pyelt_api.session import misused
from pyelt_provider.pyelt_api.tables import DbFunction, SorQuery, SorTable
from pyelt_provider.pyelt_api.transformations import FieldTransformation
from pyelt_provider.pyelt_api.vault import HubEntity, root_entity
from pyelt_provider.pyelt_api.written import here


class ConstantValue:
    """A value that is the same for every row: text is quoted, unless it has quotes already or another type."""

    def __init__(self, value: Any, type: str = "text", alias: str = "") -> None:  # noqa: A002 - PyELT's name
        self.value = value
        self.type = type
        self.alias = alias
        self.name = str(self)

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return self.value if self.type != "text" or "'" in self.value else literal(self.value)
        return literal(self.value)


class BaseMapping:
    """From a source to a target; `name` says both."""

    def __init__(self, source: Any, target: Any) -> None:
        self.source = source
        self.target = target
        named = target.cls_get_name() if hasattr(target, "cls_get_name") else str(target)
        read = source.__name__ if isinstance(source, type) else str(source)[:80]
        self.name = f"{read} -> {named}"
        self.place = here()

    def __str__(self) -> str:
        return self.name

    def validate(self) -> None:
        """Do nothing: the whole project is checked when it is loaded."""


class FieldMapping(BaseMapping):
    """One field: the expression or column that it comes from, and the column that it fills."""

    def __init__(
        self, source: Any, target: Any, transform_func: FieldTransformation | None = None, ref: str = ""
    ) -> None:
        if transform_func is not None:
            transform_func = copy.copy(transform_func)  # the same steps may be given for several fields
            transform_func.field_name = str(getattr(source, "name", source))
            source = transform_func
        super().__init__(source, Column(target) if isinstance(target, str) else target)
        self.transformation = transform_func
        self.source_type = ""
        self.target_type = ""
        self.ref = ref
        self.type = ""

    @property
    def sql(self) -> str:
        """The SQL that gives the value."""
        return sql_of(self.source)


def sql_of(source: Any) -> str:
    """Return what a program may map (SQL text, constant, transformation, function, column) as SQL text."""
    match source:
        case FieldTransformation():
            return source.get_sql()
        case DbFunction():
            return source.get_sql()
        case SqlSnippet():
            return source.sql
        case list() | tuple():
            return " || '.' || ".join(map(sql_of, source))
        case _:
            return str(source)


class BaseTableMapping(BaseMapping):
    """A mapping with fields; `filter` is an SQL condition on the rows of the source."""

    def __init__(self, source: Any, target: Any, filter: str = "") -> None:  # noqa: A002 - PyELT's name
        super().__init__(source, target)
        self.filter = filter
        self.field_mappings: list[Any] = []
        self.key_mappings: list[Any] = []
        self.validations: list[Any] = []

    def map_field(
        self, source: Any, target: Any = "", transform_func: FieldTransformation | None = None, ref: str = ""
    ) -> None:
        """Map a source onto a column; without a target nothing happens."""
        if is_given(source) and is_given(target):
            self.field_mappings.append(FieldMapping(source, target, transform_func, ref))


def is_given(value: Any) -> bool:
    """Say whether a source or target of a field is given: PyELT passes over fields without one."""
    # Columns make conditions of comparisons, so nothing may be compared with them here.
    return value is not None and not (isinstance(value, str) and not value.strip())


class SourceToSorMapping(BaseTableMapping):
    """A delivery becomes a staging table: all of its columns (`auto_map`), or those that are mapped.

    `delivery`, `deleted_when`, `changed_since`, `wait_for`, `min_rows`, `max_deleted`, `max_rejected` and `description` may be
    set afterwards; they are the keys of a YAML project.
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        auto_map: bool = True,
        filter: str = "",  # noqa: A002 - PyELT's name
        ignore_fields: list[str] | None = None,
    ) -> None:
        super().__init__(source, target, filter)
        if isinstance(source, File):
            self.file_name = source.file_name
        else:
            self.source_table = source
        self.sor_table = target if isinstance(target, str) else target.name
        self.temp_table = f"{self.sor_table.replace('_hstage', '')}_temp"
        self.ignore_fields = [name.lower() for name in ignore_fields or []]
        self.auto_map = auto_map
        self._keys: list[str] | None = None
        self.delivery: str | None = None
        self.deleted_when: str | None = None
        self.changed_since: str | None = None
        self.wait_for: Any = None
        self.min_rows: Any = None
        self.max_deleted: Any = None
        self.max_rejected: Any = None
        self.description = ""

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row: those of the source, unless others are set."""
        if self._keys is None:
            return [name.lower() for name in self.source.key_names]
        return self._keys

    @keys.setter
    def keys(self, names: list[str]) -> None:
        self._keys = [name.lower() for name in names]

    def get_keys(self, alias: str = "") -> str:
        return ",".join(f"{alias}.{key}" if alias else key for key in self.keys)


def staging_source(source: Any, sor: Any) -> Any:
    """Return what a mapping reads: text with SELECT in it is a query, other text the name of a staging table."""
    if not isinstance(source, str):
        return source
    return SorQuery(source, sor) if "SELECT" in source.upper() and " " in source.strip() else SorTable(source, sor)


class KeyMapping:
    """A column of staging that finds the key by a column of a satellite."""

    def __init__(self, source: Any, target: Any) -> None:
        self.source = source
        self.target = target
        self.sat = target.get_table()


class SorSatMapping(BaseTableMapping):
    """The fields of a mapping that go to one satellite, of one type."""

    def __init__(self, source: Any, target: Any, type: str = "") -> None:  # noqa: A002 - PyELT's name
        super().__init__(source, target)
        if type:
            self.name += f"({type})"
        self.type = type
        self.sat = target


class SorToEntityMapping(BaseTableMapping):
    """Rows of staging become keys of an entity's hub and rows of its satellites.

    `prefer` and `description` may be set afterwards; they are the keys of a YAML project.
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        sor: Any = None,
        filter: str = "",  # noqa: A002 - PyELT's name
        type: str = "",  # noqa: A002 - PyELT's name
    ) -> None:
        super().__init__(staging_source(source, sor), target, filter)
        self.entity = target
        is_subtype = isinstance(target, type_of(HubEntity)) and root_entity(target) is not target
        self.type = type or (target.__subtype__ if is_subtype else "")
        self.given_type = type
        self.sat_mappings: dict[str, SorSatMapping] = {}
        self.bk_mapping: str | None = None
        self.prefer: str | None = None
        self.description = ""

    def map_field(
        self,
        source: Any,
        target: Any = None,
        transform_func: FieldTransformation | None = None,
        ref: str = "",
        type: Any = "",  # noqa: A002 - PyELT's name
    ) -> None:
        """Map a source onto a column of a satellite, of a `type` when it is hybrid; onto `bk` it is the business key."""
        if not is_given(source) or not is_given(target):
            return
        if not isinstance(target, Column):
            misused(f"{target!r} is not a column of a satellite", "write Entity.Satellite.column")
            return
        if target.name == "bk":
            self.map_bk(source)
            return
        take_field(self, source, target, transform_func, ref, type)

    def map_bk(self, source: Any) -> None:
        """Say which SQL is the business key; of a list, the parts with dots between them."""
        self.bk_mapping = sql_of(source)

    def map_keys_in_sat(self, source: Any, target: Any) -> None:
        """Find the key by columns of a satellite which another source fills, instead of by a business key."""
        sources = source if isinstance(source, list) else [source]
        targets = target if isinstance(target, list) else [target]
        if len(sources) != len(targets):
            misused(f"{len(sources)} fields are mapped onto {len(targets)} columns", "give as many of both")
        self.key_mappings += [KeyMapping(*pair) for pair in zip(sources, targets, strict=False)]

    def map_fixed_value(self, fixed_value: Any, target_field: Any = None) -> None:
        """Fill a column with the same text in every row."""
        self.map_field(ConstantValue(literal(fixed_value), "sql"), target_field)


def type_of(value: Any) -> Any:
    """Return the class of a value; in the functions here `type` is a parameter of PyELT's."""
    return value.__class__


def take_field(mapping: Any, source: Any, target: Column, transform: Any, ref: str, of_type: Any) -> None:
    """Take a field up into the part of the mapping that fills its satellite, by type."""
    if isinstance(transform, str):
        transform, of_type = None, of_type or transform  # PyELT's documentation gives the type in this place
    satellite = target.get_table()
    if satellite is None:
        misused(f"the column {target.name!r} belongs to no satellite", "write Entity.Satellite.column")
        return
    kind = of_type if isinstance(of_type, str) else str(getattr(of_type, "__name__", of_type)).lower()
    part = SorSatMapping(mapping.source, satellite, kind)
    part = mapping.sat_mappings.setdefault(part.name, part)
    part.map_field(source, target, transform, ref=ref)
    part.field_mappings[-1].type = kind


class EntityViewToEntityMapping(SorToEntityMapping):
    """Rows of an entity's view become keys of another entity."""

    def __init__(self, source: Any, target: Any, filter: str = "") -> None:  # noqa: A002 - PyELT's name
        super().__init__(SorTable(source) if isinstance(source, str) else source, target, filter=filter)
        self.view = source

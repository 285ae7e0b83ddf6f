"""``pyelt.mappings.dv_to_datamart_mappings``: what of the vault becomes a dimension or a fact."""

from __future__ import annotations

from typing import Any

from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.mappings import BaseTableMapping, FieldMapping, is_given, sql_of
from pyelt_provider.pyelt_api.transformations import FieldTransformation
from pyelt_provider.pyelt_api.vault import Hub, HubEntityMetaClass


class DvToDmFieldMapping(FieldMapping):
    """One field of a dimension or fact; without a source it is null. `source_type` is the type of a hybrid satellite."""

    def __init__(self, source: Any, target: Any, source_type: str = "") -> None:
        super().__init__(source, target)
        self.table = target
        self.source_type = source_type


class DvToDimMapping(BaseTableMapping):
    """An entity, or a query on the vault, becomes a dimension: a row per key.

    In PyELT the project filled the dimension itself; on a pipe's `mappings` it is a datamart here, which is built when what
    it reads changed.
    """

    def map_field(
        self,
        source: Any,
        target: Any = "",
        transform_func: FieldTransformation | None = None,
        type: str = "",  # noqa: A002 - PyELT's name
    ) -> None:
        """Map a column of the entity (or of the query) onto one of the dimension; without a source it is null."""
        if transform_func is not None and is_given(source):
            source = FieldMapping(source, target, transform_func).source
        self.field_mappings.append(DvToDmFieldMapping(source if is_given(source) else None, target, type))

    def to_pygram_mapping(self) -> dict[str, str]:
        """Return the source of every column of the dimension by its name, 'null' for those without one."""
        found = {column.name: "null" for column in self.target.__cols__}
        return found | {
            field.target.name: _name(field.source) for field in self.field_mappings if field.source is not None
        }

    def generate_sql(self, dwh: Any = None) -> str:
        """Return PyELT's query of an entity: its hub, and the satellites of which something is mapped."""
        if not isinstance(self.source, HubEntityMetaClass):
            return ""
        joins: dict[tuple[Any, str], str] = {}
        fields = []
        for field in self.field_mappings:
            table = field.source.get_table() if field.source is not None else None
            if table is None:
                fields.append(f"{'NULL' if field.source is None else sql_of(field.source)} AS {field.target.name}")
            elif issubclass(table, Hub):
                fields.append(f"hub.{field.source.name} AS {field.target.name}")
            else:
                alias = joins.setdefault((table, field.source_type), f"sat{len(joins) + 1}")
                fields.append(f"{alias}.{field.source.name} AS {field.target.name}")
        schema = self.source.Hub.__dbschema__
        lines = [f"SELECT {', '.join(fields)} FROM {schema}.{self.source.Hub.__dbname__} AS hub"]
        for (table, of_type), alias in joins.items():
            also = f" AND {alias}.type = '{of_type}'" if of_type else ""
            lines.append(
                f"LEFT OUTER JOIN {table.__dbschema__}.{table.__dbname__} AS {alias} ON {alias}._id = hub._id "
                f"AND {alias}._active{also}"
            )
        return "\n".join(lines)


class DvToFactMapping(BaseTableMapping):
    """A query on the vault becomes a fact. The project fills the fact itself; a datamart does it for a YAML project."""

    def __init__(self, source: Any, target: Any, automap: bool = False) -> None:
        super().__init__(source, target)

    def map_field(
        self, source: Any, target: Any = "", transform_func: FieldTransformation | None = None, ref: str = ""
    ) -> None:
        """Map a column of the query onto a reference or measure of the fact."""
        self.field_mappings.append(DvToDmFieldMapping(source, target))

    def to_pygram_mapping(self) -> dict[str, str]:
        """Return the source of every mapped column of the fact by its name."""
        return {_target_name(field.table): _name(field.source) for field in self.field_mappings}


def _target_name(target: Any) -> str:
    return target.name if isinstance(target, Column) else str(getattr(target, "fk", target))


def _name(source: Any) -> str:
    return str(getattr(source, "name", source))

"""``pyelt.helpers.mappingcreator``: writes the text of mappings for people to fill in."""

from __future__ import annotations

from typing import Any

from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.reference_tables import dimension_name
from pyelt_provider.pyelt_api.vault import HybridSat, RecordStatusSat, types_of


class MappingWriter:
    """Writes Python text with a map_field for every column of a target."""

    @staticmethod
    def create_python_code_mappings(sor_table: Any, entity: Any) -> str:
        """Print and return a function with a mapping of a staging table onto every column of an entity."""
        name = str(sor_table)
        lines = [f"def init_sor_{name}_to_{entity.__name__.lower()}_mappings(sor):", "    mappings = []"]
        fields = [column.name for column in sor_table.columns if not column.name.startswith("_")]
        if fields:
            lines += ["", f"    # {name} has: {', '.join(fields)}"]
        lines += ["", f"    mapping = SorToEntityMapping({name!r}, {entity.__name__}, sor)", "    mapping.map_bk([''])"]
        for satellite in entity.cls_get_sats().values():
            if issubclass(satellite, RecordStatusSat):
                continue  # it fills itself
            lines += ["", f"    # {entity.__name__}.{satellite.__name__}"]
            columns = {key: item for key, item in vars(satellite).items() if isinstance(item, Column)}
            own = [key for key in columns if not key.startswith("_") and (key != "type" or not _is_hybrid(satellite))]
            lines += [_line(entity, satellite, key, columns[key]) for key in own]
        text = "\n".join([*lines, "    mappings.append(mapping)", "    return mappings", ""])
        print(text)
        return text

    @staticmethod
    def create_python_code_dm_mappings(source_schema: str, source_name: str, dm_schema: Any, dim: Any) -> str:
        """Print and return a function with a mapping of a table or view onto every column of a dimension."""
        lines = [f"def init_{source_schema}_{source_name}_to_{dimension_name(dim)}_mappings():"]
        lines.append(f'    source_sql = "SELECT * FROM {source_schema}.{source_name}"')
        lines.append(f"    mapping = DvToDimMapping(source_sql, {dim.__name__})")
        lines += [f'    mapping.map_field("", {dim.__name__}.{column.name})' for column in dim.__cols__]
        text = "\n".join([*lines, "    return mapping", ""])
        print(text)
        return text


def _is_hybrid(satellite: Any) -> bool:
    return issubclass(satellite, HybridSat)


def _line(entity: Any, satellite: Any, key: str, column: Column) -> str:
    target = f"{entity.__name__}.{satellite.__name__}"
    cast = "" if column.type == "text" else f"::{column.type}"
    of_type = ""
    if _is_hybrid(satellite) and types_of(satellite):
        first = next(key for key in vars(satellite.Types) if not key.startswith("__"))
        of_type = f", type={target}.Types.{first}"
    return f'    mapping.map_field("{cast}", {target}.{key}{of_type})'

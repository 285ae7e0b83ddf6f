"""Mappings onto dimensions become the SQL files of datamarts."""

from __future__ import annotations

from typing import Any

from pyelt_provider.config.datamarts import SqlFile
from pyelt_provider.identifiers import TableName, entity_view, quote, snake_case
from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.dimension_mappings import DvToDimMapping, DvToDmFieldMapping, DvToFactMapping
from pyelt_provider.pyelt_api.expressions import is_name, renamed
from pyelt_provider.pyelt_api.mappings import sql_of
from pyelt_provider.pyelt_api.pipelines import Pipeline
from pyelt_provider.pyelt_api.reference_tables import Dim, dimension_name
from pyelt_provider.pyelt_api.session import Session
from pyelt_provider.pyelt_api.vault import Hub, HubEntityMetaClass, HybridSat
from pyelt_provider.pyelt_api.vault_documents import described, hub_name, mappings_of, satellite_key


def mapped_dimensions(pipeline: Pipeline) -> list[Any]:
    """Return the dimensions that mappings of the pipes fill."""
    return [item.target for item in mappings_of(pipeline) if isinstance(item, DvToDimMapping) and _is_dim(item.target)]


def dimension_files(pipeline: Pipeline, session: Session) -> list[SqlFile]:
    """Return the SQL files of the datamarts that the mappings of the pipes describe."""
    files = []
    for mapping in mappings_of(pipeline):
        match mapping:
            case DvToDimMapping() if not _is_dim(mapping.target):
                what = f"{getattr(mapping.target, '__name__', mapping.target)} is no dimension"
                session.wrong(mapping.place, mapping.name, what, "name a class that inherits from Dim")
            case DvToDimMapping():
                files.append(_file(mapping, session))
            case DvToFactMapping():
                what = "a mapping onto a fact says no query that looks its dimensions up"
                mend = f"write datamarts/{dimension_name(mapping.target)}.sql, and take the mapping off the pipe"
                session.wrong(mapping.place, mapping.name, what, mend)
    return files


def _is_dim(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, Dim) and target is not Dim


def _file(mapping: DvToDimMapping, session: Session) -> SqlFile:
    name, dim = dimension_name(mapping.target), mapping.target
    by_target = {field.target.name: field for field in mapping.field_mappings}
    for field in mapping.field_mappings:
        if field.target.name not in {column.name for column in dim.__cols__}:
            what = f"{dim.__name__} has no column {field.target.name!r}"
            session.wrong(field.place, mapping.name, what, "map onto the columns of the dimension")
    is_entity = isinstance(mapping.source, HubEntityMetaClass)
    lines = []
    for column in dim.__cols__:
        field = by_target.get(column.name)
        kind = "integer" if column.type.upper() == "SERIAL" else column.type.lower()
        if field is None or field.source is None:
            if column.is_key and not is_entity:
                what = f"nothing says what the {column.name!r} of a row is"
                mend = f"map a column of the query onto {dim.__name__}.{column.name}"
                session.wrong(mapping.place, mapping.name, what, mend)
            source = "v._id" if column.is_key and is_entity else "null"
        else:
            source = _source(mapping, field, session)
        lines.append(f"({source})::{kind} as {quote(column.name)}")
    if is_entity:
        origin = f"{TableName(mapping.source.Hub.__dbschema__, entity_view(hub_name(mapping.source))).sql} v"
    else:
        origin = f"(\n{str(mapping.source).strip().rstrip(';')}\n) v"
    text = " ".join(described(dim).split())
    header = [f"-- schema: {dim.__dbschema__}"] + [f"-- description: {text}"] * bool(text)
    sql = "\n".join([*header, "select", "    " + ",\n    ".join(lines), f"from {origin}", ""])
    return SqlFile(file=f"datamarts/{name}.sql", stem=name, text=sql, place=session.shown(mapping.place))


def _source(mapping: DvToDimMapping, field: DvToDmFieldMapping, session: Session) -> str:
    """Return the SQL of a field over the row ``v``: of the entity's view, or of the query."""
    source = field.source
    if not isinstance(mapping.source, HubEntityMetaClass) or not isinstance(source, Column) or source.table is None:
        text = sql_of(source)
        return f"v.{quote(text)}" if is_name(text) else renamed(text, "hub", "v")
    table = source.table
    if issubclass(table, Hub):
        return f"v.{quote(source.name)}"
    key = satellite_key(mapping.source, table)
    if key is None:
        what = f"{mapping.source.__name__} has no satellite {table.__name__}"
        session.wrong(field.place, mapping.name, what, "map columns of the mapping's own entity")
        return "null"
    if issubclass(table, HybridSat) and not field.source_type:
        what = f"{table.__name__} has a row per type, and nothing says which is meant"
        session.wrong(
            field.place, mapping.name, what, f"give type=, a type of {mapping.source.__name__}.{table.__name__}"
        )
    of_type = f"{snake_case(field.source_type)}_" if field.source_type else ""
    return f"v.{quote(f'{snake_case(key)}_{of_type}{source.name}')}"

"""Mappings from sources become the staging tables of a pipe's document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.blocks import Block
from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.deliveries import CsvFile, File, FixedLengthFile, SourceQuery, SourceTable
from pyelt_provider.pyelt_api.expressions import column, is_name
from pyelt_provider.pyelt_api.mappings import SourceToSorMapping
from pyelt_provider.pyelt_api.session import Session

_LIMITS = ("min_rows", "max_deleted", "max_rejected")
_MORE = ("delivery", "deleted_when", "changed_since", "wait_for", *_LIMITS, "description")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a pipe reads: its database and that one's schema, where it has one, and the folder of its files."""

    connection: str
    schema: str
    folder: str


def staging_block(block: Block, mapping: SourceToSorMapping, origin: Origin, session: Session) -> None:
    """Write the staging table that a mapping fills."""
    place = mapping.place
    tables = block.block("sor", place)
    if mapping.sor_table in tables.data:
        what = f"two deliveries go to {mapping.sor_table}"
        session.wrong(place, f"sor.{mapping.sor_table}", what, "give each a staging table of its own")
        return
    table = tables.block(mapping.sor_table, place)
    source = mapping.source
    match source:
        case CsvFile() | FixedLengthFile():
            _file(table, mapping, source, origin.folder, session)
        case SourceTable():
            _database(table, mapping, source, origin)
        case _:
            what = f"{source!r} is no delivery"
            session.wrong(place, f"sor.{mapping.sor_table}", what, "give a CsvFile, a SourceTable or a SourceQuery")
    new_names = dict(_mapped(mapping))
    table.put("key", [new_names.get(key, key) for key in mapping.keys], getattr(source, "place", place))
    if not mapping.keys and isinstance(source, File | SourceTable):
        at = f"sor.{mapping.sor_table}"
        session.wrong(
            source.place, at, "nothing says which columns identify a row", "call set_primary_key([...]) on it"
        )
        table.put("key", ["_"], source.place)
        table.spot.removed.add("key")
    table.put("ignore", mapping.ignore_fields, place)
    for name in _MORE:
        table.put(name, getattr(mapping, name), place)


def _mapped(mapping: SourceToSorMapping) -> list[tuple[str, str]]:
    """Return (name in the source, name in staging) of the fields that the program maps itself."""
    return [(_name(field.source), field.target.name) for field in mapping.field_mappings]


def _name(source: Any) -> str:
    if isinstance(source, Column):
        return source.name
    text = str(source).strip()
    return text.lower() if is_name(text) else text


def _file(
    table: Block, mapping: SourceToSorMapping, source: CsvFile | FixedLengthFile, source_path: str, session: Session
) -> None:
    place: Place = source.place
    mapped = _mapped(mapping)
    path = _below(mapping.file_name, source_path)
    if mapping.filter:
        what = "a file has no filter"
        session.wrong(
            mapping.place, f"sor.{mapping.sor_table}", what, "give the filter to the mappings that read the table"
        )
    if isinstance(source, FixedLengthFile):
        table.put("fixed_width", path, place)
        renamed, start, places = dict(mapped), 1, {}
        for item in source.import_def:
            name = Column.clear_name(str(item[0]))
            if mapping.auto_map or name in renamed:
                places[renamed.get(name, name)] = [start, int(item[1])]
            start += int(item[1])
        table.put("columns", places, place)
        table.put("skip_lines", getattr(source, "skip_lines", 0) or None, place)
        table.put("strip", getattr(source, "strip", None), place)
    else:
        table.put("csv", path, place)
        table.put("delimiter", source.delimiter, place)
        table.put("quote", source.quote, place)
        for name in ("header", "escape", "null"):
            table.put(name, getattr(source, name, None), place)
        table.put("columns", list(getattr(source, "names", ())), place)
        table.put("clean_names", True, place)
        table.put("rename", {old: new for old, new in mapped if old != new}, mapping.place)
        if not mapping.auto_map:
            table.put("take", [new for _, new in mapped], mapping.place)
    encoding = source.encoding.lower().replace("_", "-")
    if encoding == "ascii":
        encoding = "iso-8859-1"  # as PyELT read such files: what is not ASCII in them is Latin
    table.put("encoding", encoding if encoding not in ("utf8", "utf-8") else None, place)


def _below(path: str, source_path: str) -> str:
    """Return the path below the pipe's folder, where the program put that folder before it."""
    folder = source_path.rstrip("/")
    return path.removeprefix(f"{folder}/") if folder and not path.startswith("/") else path


def _database(table: Block, mapping: SourceToSorMapping, source: SourceTable, origin: Origin) -> None:
    mapped = _mapped(mapping)
    condition = _condition(mapping.filter)
    is_plain = all(old == new for old, new in mapped)
    connection = source.db.conn_string if source.db is not None else origin.connection
    of_database = source.db.default_schema.name if source.db is not None else ""
    is_other = connection != origin.connection
    default = of_database if is_other else origin.schema
    schema = str(getattr(source.schema, "name", source.schema) or of_database)
    name = f"{schema}.{source.name}" if schema and (schema != default or not is_plain) else source.name
    if isinstance(source, SourceQuery) and is_plain and not condition and mapping.auto_map:
        table.put("query", source.sql, source.place)
    elif isinstance(source, SourceQuery) or not is_plain:
        inner = f"(\n{source.sql}\n)" if isinstance(source, SourceQuery) else name
        fields = [
            f"{column(old) if is_name(old) else old} as {column(new)}"
            for old, new in mapped
            if not mapping.auto_map or old != new
        ]
        chosen = ", ".join(["q.*", *fields] if mapping.auto_map else fields)
        where = f"\nwhere {condition}" if condition else ""
        table.put("query", f"select {chosen}\nfrom {inner} q{where}", source.place)
    else:
        table.put("table", name, source.place)
        if not mapping.auto_map:
            table.put("columns", [new for _, new in mapped], mapping.place)
        table.put("filter", condition, mapping.place)
    if is_other:
        table.put("source_connection", connection, source.place)
        if "table" in table.data:
            table.put("default_schema", default, source.place)


def _condition(text: str) -> str:
    bare = text.strip()
    return bare[len("where ") :].strip() if bare.lower().startswith("where ") else bare

"""A pipe of a program becomes a pipe's document, and its database functions files of the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyelt_provider.config.build_pipeline import NamedDocument
from pyelt_provider.config.datamarts import SqlFile
from pyelt_provider.model.pipe import PROGRAM_HOOK
from pyelt_provider.model.place import NOWHERE, Place
from pyelt_provider.pyelt_api.blocks import Block
from pyelt_provider.pyelt_api.deliveries import File, SourceTable
from pyelt_provider.pyelt_api.dimension_mappings import DvToDimMapping, DvToFactMapping
from pyelt_provider.pyelt_api.expressions import expression
from pyelt_provider.pyelt_api.link_mappings import SorToLinkMapping
from pyelt_provider.pyelt_api.mapping_documents import MappingWriter
from pyelt_provider.pyelt_api.mappings import SorToEntityMapping, SourceToSorMapping
from pyelt_provider.pyelt_api.pipelines import Pipe
from pyelt_provider.pyelt_api.session import Session
from pyelt_provider.pyelt_api.staging_documents import Origin, staging_block
from pyelt_provider.pyelt_api.validations import DvValidation, SorValidation
from pyelt_provider.pyelt_api.valueset_mappings import SorToValueSetMapping
from pyelt_provider.pyelt_api.vault_documents import Vault

_LIMITS = ("min_rows", "max_deleted", "max_rejected")
_CONFIG = ("description", "active", "schedule", "schedule_interval", "source_conn_id", "sor_schema", *_LIMITS)


def pipe_document(
    pipe: Pipe, vault: Vault, session: Session, more_sql: Sequence[str] = ()
) -> tuple[NamedDocument, list[SqlFile]]:
    """Return the document of a pipe and the files of its functions; `more_sql` runs with the pipe's own extra SQL."""
    block = Block(session, pipe.place)
    origin = _config(block, pipe)
    writer = MappingWriter(pipe, block, vault, session)
    for mapping in pipe.mappings:
        match mapping:
            case SourceToSorMapping():
                staging_block(block, mapping, origin, session)
            case SorToEntityMapping():
                writer.entity(mapping)
            case SorToLinkMapping():
                writer.link(mapping)
            case SorToValueSetMapping():
                writer.valueset(mapping)
            case DvToDimMapping() | DvToFactMapping():
                pass  # a datamart's
            case _:
                place = getattr(mapping, "place", pipe.place)
                session.wrong(place, pipe.source_system, f"{mapping!r} is no mapping", "append mappings of PyELT only")
    for validation in pipe.validations:
        _validation(block, validation, pipe, session)
    files = _functions(block, pipe, session)
    _extra_sql(block, pipe, more_sql)
    for kind in ("before_sor", "after_sor"):
        functions = getattr(pipe, f"run_{kind}")
        targets = [
            f"{PROGRAM_HOOK}{pipe.source_system}.{kind}.{number}:{getattr(function, '__name__', 'function')}"
            for number, function in enumerate(functions)
        ]
        block.put(kind, targets, pipe.place)
    return block.named(pipe.source_system), files


def _config(block: Block, pipe: Pipe) -> Origin:
    """Write what the pipe's config says; keys that are the program's own are left to it. Returns where it reads."""
    config = pipe.config
    for key in _CONFIG:
        block.put(key, config.get(key), pipe.place)
    block.put("description", pipe.description, pipe.place)
    sources = [mapping.source for mapping in pipe.mappings if isinstance(mapping, SourceToSorMapping)]
    databases = [source.db for source in sources if isinstance(source, SourceTable) and source.db is not None]
    connection = config.get("source_connection") or config.get("connection_string")
    if not connection and databases:
        connection = databases[0].conn_string  # tables of others say theirs themselves
    own = [database.default_schema.name for database in databases if database.conn_string == connection]
    schema = str(config.get("default_schema") or next(iter(own), "")) if connection else ""
    if connection:
        block.put("source_connection", connection, pipe.place)
        block.put("default_schema", schema, pipe.place)
        if not any(isinstance(source, File) for source in sources):
            return Origin(connection=str(connection), schema=schema, folder="")
    folder = str(config.get("source_path") or config.get("data_path") or "")
    block.put("source_path", folder or ("." if connection else None), pipe.place)
    return Origin(connection=str(connection or ""), schema=schema, folder=folder)


def _validation(block: Block, validation: Any, pipe: Pipe, session: Session) -> None:
    if isinstance(validation, DvValidation):
        return  # the domain's
    if not isinstance(validation, SorValidation):
        session.wrong(
            pipe.place, pipe.source_system, f"{validation!r} is no validation", "append SorValidation objects"
        )
        return
    at = block.item("validations", validation.place)
    keys = [part.strip().lower() for key in validation.check_for_duplicate_keys for part in str(key).split(",")]
    at.put("table", str(validation.tbl or ""), validation.place)
    at.put("unique", keys, validation.place)
    at.put("when", expression(validation.sql_condition), validation.place)
    at.put("message", validation.msg or validation.sql_condition or f"duplicate {', '.join(keys)}", validation.place)


def _functions(block: Block, pipe: Pipe, session: Session) -> list[SqlFile]:
    files = []
    for function in pipe.db_functions.values():
        if not function.schema_name:
            function.schema = pipe.sor
        name = f"{pipe.source_system}.{function.schema_name}.{function.name}.sql"
        at = session.shown(function.place)
        files.append(SqlFile(file=f"functions/{name}", stem=function.name, text=function.to_create_sql(), place=at))
    block.put("functions", [file.file.removeprefix("functions/") for file in files], pipe.place)
    return files


def _extra_sql(block: Block, pipe: Pipe, more_sql: Sequence[str]) -> None:
    number = 0
    for entry in (*more_sql, *pipe.extra_ddl_statements):
        item, place = entry if isinstance(entry, tuple) and isinstance(entry[-1], Place) else (entry, pipe.place)
        active, sql = (bool(item[0]), item[1]) if isinstance(item, list | tuple) else (True, item)
        if not active:
            continue
        number += 1
        at = block.item("extra_sql", place if place != NOWHERE else pipe.place)
        at.put("name", f"extra {number}", place)
        at.put("sql", str(sql).strip(), place)

"""A program that was loaded becomes the documents of a project, as if somebody had written the YAML files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyelt_provider.config.build_pipeline import NamedDocument
from pyelt_provider.config.datamarts import SqlFile
from pyelt_provider.config.dictionaries import own_schedule, plain
from pyelt_provider.config.keys import key_names, other_names
from pyelt_provider.config.pipeline_file import PipelineFile
from pyelt_provider.config.spots import Cursor, Spot
from pyelt_provider.config.yaml_text import Document
from pyelt_provider.pyelt_api.blocks import Block
from pyelt_provider.pyelt_api.dimension_documents import dimension_files, mapped_dimensions
from pyelt_provider.pyelt_api.loading import Program
from pyelt_provider.pyelt_api.pipe_documents import pipe_document
from pyelt_provider.pyelt_api.pipelines import classes_of
from pyelt_provider.pyelt_api.reference_tables import Dim, DmReference, Fact, dimension_name
from pyelt_provider.pyelt_api.vault_documents import Vault

_LOG_PATHS = ("log_path", "ddl_log_path", "sql_log_path")
"""PyELT's lie below the project's folder, also where they begin with a slash."""


@dataclass(frozen=True, slots=True)
class ProgramDocuments:
    """The documents that a program is, and the SQL files of its database functions and dimensions."""

    pipeline: Document
    domains: list[NamedDocument]
    pipes: list[NamedDocument]
    functions: list[SqlFile]
    datamarts: list[SqlFile]


def program_documents(program: Program, written: Document | None) -> ProgramDocuments:
    """Return the documents of a program; what `written` (pipeline.yaml) says counts before its general_config."""
    session, pipeline = program.session, program.pipeline
    vault = Vault(pipeline, session)
    domains = vault.documents()
    general = _general(program, written)
    pipes: list[NamedDocument] = []
    functions: list[SqlFile] = []
    tables = list(_datamart_sql(program))
    for pipe in pipeline.pipes.values():
        named, files = pipe_document(pipe, vault, session, tables)
        tables = []
        assert named.document is not None
        data = named.document.data
        if " " in (text := str(data.get("schedule", "")).strip()) or text.startswith("@"):
            data["schedule_interval"] = data.pop("schedule")
        own_schedule(general, named.name, named.document)
        pipes.append(named)
        functions += files
    return ProgramDocuments(general, domains, pipes, functions, dimension_files(pipeline, session))


def _general(program: Program, written: Document | None) -> Document:
    """Return the pipeline's document: the keys of the file, then those of the program that are keys of ours."""
    session, pipeline = program.session, program.pipeline
    block = Block(session, pipeline.place)
    known = {*key_names(PipelineFile), *other_names(PipelineFile)}
    config = {key: value for key, value in pipeline.config.items() if key in known}
    cursor = Cursor(block.spot.file or "", block.spot, "general_config", session.problems)
    for key, value in plain(config, cursor).items():
        if key in _LOG_PATHS and isinstance(value, str):
            value = str(session.roots[0] / value.strip("/")) if value and session.roots else value
        block.put(key, value if value != "" else None, pipeline.place)
    if written is None:
        return block.document()
    names = other_names(PipelineFile)
    taken = {names.get(key, key) for key in written.data}
    data = {key: value for key, value in block.data.items() if names.get(key, key) not in taken} | written.data
    spots: Any = {**{key: spot for key, spot in block.spot.children.items() if key in data}, **written.spot.children}
    return Document(written.file, data, Spot(written.spot.line, spots), written.path)


def _datamart_sql(program: Program) -> list[str]:
    """Return the SQL that makes the tables of dimensions and facts, and adds columns that came later."""
    found = []
    mapped = mapped_dimensions(program.pipeline)  # those are datamarts
    for schema, module in program.pipeline.datamart_modules.items():
        classes = [cls for cls in classes_of(module) if issubclass(cls, Dim | Fact) and cls not in (Dim, Fact, *mapped)]
        for cls in sorted(classes, key=lambda item: issubclass(item, Fact)):
            table = f"{schema}.{dimension_name(cls)}"
            columns = [f"{item.name} {item.type.lower()}{' primary key' * item.is_key}" for item in cls.__cols__]
            for name, item in cls.__ordereddict__.items():
                if isinstance(item, DmReference):
                    columns.append(f"{item.fk or f'fk_{name.lower()}'} integer")
            lines = [f"create schema if not exists {schema}", f"create table if not exists {table} ()"]
            lines += [f"alter table {table} add column if not exists {column}" for column in columns]
            found.append(";\n".join(lines))
    return found

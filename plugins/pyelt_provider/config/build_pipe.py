"""pipes/*.yaml -> Pipe: its source, its functions, extra SQL and hooks; staging and mappings come from their modules."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

from pyelt_provider.config.build_mappings import MappingNames, build_entities, build_links, build_valuesets
from pyelt_provider.config.build_staging import build_validations, fk_column
from pyelt_provider.config.connection_text import check_connection
from pyelt_provider.config.pipe_context import PipeContext
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor, Spot, nearest
from pyelt_provider.config.sql_text import function_names
from pyelt_provider.config.template_text import check_path
from pyelt_provider.model.mapping import EntityMapping, LinkMapping, MissingReference
from pyelt_provider.model.pipe import PROGRAM_HOOK, DatabaseFunction, ExtraSql, Hook, Pipe
from pyelt_provider.model.source import DatabaseSource, FileSource
from pyelt_provider.model.staging import CsvFile, FixedWidthFile, StagingTable


def build_pipe(pipe: PipeContext, functions: dict[str, DatabaseFunction], schedules: list[str]) -> Pipe:
    """Return the pipe; its staging tables and the vault must be in the context already."""
    content, cursor = pipe.content, pipe.cursor
    if content.schedule is not None and content.schedule not in schedules:
        at = cursor / "schedule"
        mend = nearest(content.schedule, schedules)
        if not schedules:
            mend = "name it under schedules: in pipeline.yaml, such as schedules: {monthly: 0 3 1 * *}"
        at.wrong(f"there is no schedule {content.schedule!r}", mend)
    names = MappingNames()
    entities = build_entities(pipe, names)
    links = build_links(pipe, entities, names)
    _check_fk_columns(pipe, entities, links)
    valuesets = build_valuesets(pipe, names)
    return Pipe(
        name=pipe.name,
        sor_schema=pipe.sor_schema,
        source=_source(pipe),
        description=content.description,
        active=content.active,
        schedule=content.schedule,
        tables=tuple(_with_fk_columns(staging, entities, pipe) for staging in pipe.stagings.values()),
        validations=build_validations(pipe),
        entities=entities,
        links=links,
        valuesets=valuesets,
        functions=_functions(pipe, functions),
        extra_sql=_extra_sql(pipe),
        before_sor=_hooks(content.before_sor, cursor / "before_sor", pipe.folder),
        after_sor=_hooks(content.after_sor, cursor / "after_sor", pipe.folder),
        limits=pipe.limits,
        place=cursor.place,
    )


def _source(pipe: PipeContext) -> FileSource | DatabaseSource:
    """Return the pipe's own source: its database where it has one, also when it has files beside it."""
    content, cursor = pipe.content, pipe.cursor
    if content.source_connection is not None:
        check_connection(content.source_connection, cursor / "source_connection")
        reads_files = any(isinstance(table.source, CsvFile | FixedWidthFile) for table in pipe.stagings.values())
        if content.source_path is not None and not reads_files and not _lost_a_table(pipe):
            what = "the pipe has source_connection (a database) and no file, so 'source_path' has no effect"
            (cursor / "source_path").wrong(what, "leave one of the two out")
    elif content.default_schema is not None and "source_connection" not in cursor.spot.removed:
        what = "'default_schema' has no effect without a source database"
        (cursor / "default_schema").wrong(what, "give the pipe a source_connection, or leave it out")
    if content.source_conn_id is not None and "://" not in (content.source_path or ""):
        what = "'source_conn_id' has no effect on a local folder"
        (cursor / "source_conn_id").wrong(
            what, "leave it out, or write source_path as a URL such as s3://bucket/folder"
        )
    check_path(content.source_path, cursor / "source_path")
    return pipe.database or pipe.files


def _lost_a_table(pipe: PipeContext) -> bool:
    """Say whether a staging table was taken out, or its source: then nobody knows whether it was a file."""
    tables = pipe.cursor / "sor"
    return (
        "sor" in pipe.cursor.spot.removed
        or bool(tables.spot.removed)
        or any((tables / name).spot.removed & {"csv", "fixed_width"} for name in pipe.stagings)
    )


def _check_fk_columns(pipe: PipeContext, entities: tuple[EntityMapping, ...], links: tuple[LinkMapping, ...]) -> None:
    """Report fk columns that no mapping of their table would ever fill."""
    if any(key in pipe.cursor.spot.removed or (pipe.cursor / key).spot.removed for key in ("entities", "links", "sor")):
        return
    hubs = {(item.source.staging, item.hub) for item in entities}
    by_link = {(item.source.staging, item.link): item for item in links}
    for staging in pipe.stagings.values():
        for column, target in staging.fk_columns:
            at = pipe.cursor / "sor" / staging.name / "fk_columns" / column
            if target in pipe.vault.hubs and (staging.name, target) not in hubs:
                at.wrong(
                    f"no mapping of {staging.name} fills {target}", "map the table onto it, or leave the column out"
                )
            elif target in pipe.vault.links:
                link = by_link.get((staging.name, target))
                if link is None:
                    what = f"no mapping of {staging.name} fills {target}"
                    at.wrong(what, "map the table onto it, or leave the column out")
                elif link.source.join is not None and link.missing_reference is MissingReference.WAIT:
                    what = f"with its join the mapping {link.name!r} lets references wait, not rows"
                    at.wrong(
                        what, "write missing_reference: create_hub or reject at the mapping, or leave the column out"
                    )


def _with_fk_columns(staging: StagingTable, entities: tuple[EntityMapping, ...], pipe: PipeContext) -> StagingTable:
    if not pipe.always_fk_columns:
        return staging
    mapped = [item.hub for item in entities if item.source.staging == staging.name]
    columns = {fk_column(pipe.vault.hubs[hub]): hub for hub in mapped if hub in pipe.vault.hubs}
    return replace(staging, fk_columns=tuple((columns | dict(staging.fk_columns)).items()))


def _functions(pipe: PipeContext, known: dict[str, DatabaseFunction]) -> tuple[DatabaseFunction, ...]:
    found = []
    for index, file in enumerate(pipe.content.functions):
        name = file.removeprefix("functions/")
        if name in known:
            found.append(known[name])
        else:
            (pipe.cursor / "functions" / index).unknown("file", name, known, "functions/")
    return tuple(found)


def build_function(name: str, file: str, text: str, cursor: Cursor) -> DatabaseFunction:
    """Return the database function of a file; report a file that does not create exactly one."""
    names = function_names(text)
    if len(names) != 1:
        what = "the file creates no function" if not names else f"the file creates {len(names)} functions"
        cursor.wrong(what, "write one: create or replace function ...")
    return DatabaseFunction(name=names[0] if names else name, sql=text.strip(), file=file, place=cursor.place)


def _extra_sql(pipe: PipeContext) -> tuple[ExtraSql, ...]:
    found: dict[str, ExtraSql] = {}
    for index, written in enumerate(pipe.content.extra_sql):
        cursor = pipe.cursor / "extra_sql" / index
        if (written.sql is None) == (written.file is None) and not cursor.spot.removed:
            cursor.wrong("extra SQL is given by exactly one of sql and file", "write sql: or file:")
        if written.name in found and written.name != MISSING:
            (cursor / "name").wrong(f"another extra SQL is named {written.name!r} already", "rename one of them")
        sql = written.sql or ""
        if written.file is not None:
            sql = _text_of(written.file, cursor / "file", pipe.folder)
        found[written.name] = ExtraSql(name=written.name, sql=sql, file=written.file, place=cursor.place)
    return tuple(found.values())


def _text_of(name: str, cursor: Cursor, folder: Path | None) -> str:
    path = project_file(name, cursor, folder)
    if path is None:
        return ""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        cursor.wrong(f"the file {name} cannot be read as UTF-8 text", "check its permissions and its encoding")
        return ""


def project_file(name: str, cursor: Cursor, folder: Path | None) -> Path | None:
    """Return a file below the project folder; report one that is not there, with the nearest that is."""
    if folder is None:
        cursor.wrong(
            f"the file {name!r} cannot be found: the config stands in no folder", "give folder= where it stands"
        )
        return None
    if "\x00" in name:
        cursor.wrong("the name of the file has a NUL character in it", "write the name of a file of the project")
        return None
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        cursor.wrong(f"the file {name!r} is outside the project folder", "put it into the project folder")
        return None
    if not path.is_file():
        near = [str(p.relative_to(folder)) for p in sorted(folder.rglob(f"*{path.suffix}")) if p.is_file()][:200]
        cursor.unknown("file", name, near)
        return None
    return path


def _hooks(targets: list[str], above: Cursor, folder: Path | None) -> tuple[Hook, ...]:
    hooks = []
    for index, target in enumerate(targets):
        cursor = above / index
        module, colon, function = target.rpartition(":")
        if target.startswith(PROGRAM_HOOK) and not cursor.file.endswith((".yaml", ".yml")):
            pass  # a function that is there already
        elif not colon or not function.isidentifier():
            cursor.wrong(f"{target!r} does not name a function", "write file.py:function or package.module:function")
        elif module.endswith(".py"):
            path = project_file(module, cursor, folder)
            if path is not None:
                _check_function(path, module, function, cursor)
        elif not all(part.isidentifier() for part in module.split(".")):
            cursor.wrong(f"{module!r} is not the name of a module", "write file.py:function or package.module:function")
        hooks.append(Hook(target=target, place=cursor.place))
    return tuple(hooks)


def _check_function(path: Path, file: str, function: str, cursor: Cursor) -> None:
    """Report a Python file that is broken or does not define the function; the file is not executed."""
    try:
        tree = ast.parse(path.read_bytes(), filename=file)
    except SyntaxError as error:
        at = Cursor(file, Spot(error.lineno or 1), "", cursor.problems)
        at.wrong(f"this is not Python: {error.msg}", "mend the line")
        return
    names: list[str] = []
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.alias(asname=str(name))
                | ast.alias(name=name)
                | ast.Name(id=name, ctx=ast.Store())
            ):
                names.append(name)
    if function not in names:
        cursor.unknown("function", function, [n.name for n in tree.body if isinstance(n, ast.FunctionDef)], file)

"""All files of a project -> Pipeline. Whatever is wrong anywhere is collected, and raised at the end all at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pyelt_provider.config import pipeline_file as keys
from pyelt_provider.config.build_domain import DomainSource, build_domains
from pyelt_provider.config.build_pipe import build_function, build_pipe
from pyelt_provider.config.build_staging import build_stagings, limits_of
from pyelt_provider.config.connection_text import check_connection
from pyelt_provider.config.datamarts import SqlFile, build_datamarts
from pyelt_provider.config.domain_file import DomainFile
from pyelt_provider.config.environment_text import with_environment
from pyelt_provider.config.physical_names import Names, fits
from pyelt_provider.config.pipe_context import PipeContext
from pyelt_provider.config.pipe_file import PipeFile
from pyelt_provider.config.schedules import build_schedule, check_timezone
from pyelt_provider.config.shapes import MISSING, checked_against
from pyelt_provider.config.spots import Cursor, Problems, Spot
from pyelt_provider.config.template_text import check_path
from pyelt_provider.config.vault import Vault
from pyelt_provider.config.yaml_text import Document
from pyelt_provider.errors import ConfigError
from pyelt_provider.identifiers import checked
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Domain
from pyelt_provider.model.pipe import DatabaseFunction, Pipe
from pyelt_provider.model.pipeline import (
    AirflowSettings,
    EmailSettings,
    LogPaths,
    OnErrors,
    Pipeline,
    Schedule,
)

_STAGE_IDS = ("prepare", "ddl_valset", "ddl_dv", "ddl_dm", "etl_dm", "close")
_BOOKKEEPING = ("runs", "currentversion", "stages", "attempts", "steps", "positions", "mapping_states", "journal")


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A document of a pipe or a domain, with the name that its file gives it; None where it could not be read."""

    name: str
    document: Document | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything that a project says, as it was read: documents, SQL files, its folder and the environment."""

    name: str
    pipeline: Document | None
    domains: list[NamedDocument]
    pipes: list[NamedDocument]
    datamarts: list[SqlFile]
    functions: list[SqlFile]
    folder: Path | None
    environment: Mapping[str, str]
    is_python: bool = False


def build_pipeline(project: Project, problems: Problems) -> Pipeline:
    """Return the pipeline that the project describes; raise ConfigError with all problems, those of `problems` included."""
    content = checked_against(keys.PipelineFile, project.pipeline, problems) if project.pipeline else None
    top = project.pipeline.cursor(problems) if project.pipeline else Cursor("", Spot(0), "", problems)
    vault, names = Vault(), Names()
    domains = _domains(project, vault, names, problems)
    sys_schema, datamart_schema = (content.sys_schema, content.datamart_schema) if content else ("sys", "dm")
    _reserve(top, sys_schema, datamart_schema, names)
    functions = {
        file.file.split("/", 1)[-1]: build_function(file.stem, file.file, file.text, file.cursor(problems))
        for file in project.functions
    }
    schedules = list(content.schedules) if content else []
    pipes, complete = _pipes(
        project, content, vault, names, functions, schedules, [domain.schema for domain in domains], problems
    )
    datamarts = build_datamarts(
        project.datamarts, datamart_schema, schedules, names, vault.whole and complete, problems
    )
    used = {function.file for pipe in pipes for function in pipe.functions}
    unused = tuple(function for function in functions.values() if function.file not in used)
    _check_sources(domains, [pipe.name for pipe in pipes], complete, project, problems)
    pipeline = _pipeline(project, content, top) if content is not None else None
    if problems or pipeline is None:
        raise ConfigError(problems.sorted())
    return replace(pipeline, domains=domains, pipes=pipes, functions=unused, datamarts=datamarts)


def _domains(project: Project, vault: Vault, names: Names, problems: Problems) -> tuple[Domain, ...]:
    sources: list[DomainSource] = []
    schemas: dict[str, str] = {}
    for number, named in enumerate(project.domains):
        document = named.document
        content = checked_against(DomainFile, document, problems) if document is not None else None
        if document is None or content is None:
            vault.whole = False
            continue
        cursor = document.cursor(problems)
        schema = content.vault_schema or named.name or "dv"
        _check_schema(schema, cursor / "schema")
        _check_schema(content.valueset_schema, cursor / "valueset_schema")
        if schema in schemas:
            what = f"the vault schema {schema!r} is that of {schemas[schema] or 'another domain'} too"
            (cursor / "schema").wrong(what, "give each domain file a schema of its own")
        schemas.setdefault(schema, document.file)
        sources.append(DomainSource(content, cursor, schema, number))
    return build_domains(sources, vault, names)


def _reserve(top: Cursor, sys_schema: str, datamart_schema: str, names: Names) -> None:
    """Take the names of the tables that we make ourselves."""
    quiet = Cursor("", Spot(0), "", Problems())
    _check_schema(sys_schema, top / "sys_schema")
    _check_schema(datamart_schema, top / "datamart_schema")
    for name in _BOOKKEEPING:
        names.claim(quiet, "the bookkeeping", sys_schema, checked, name)
    if sys_schema == datamart_schema:
        written = "datamart_schema" if "datamart_schema" in top.spot.children else "sys_schema"
        (top / written).wrong("the bookkeeping and the datamarts have the same schema", "rename one of them")


def _check_schema(schema: str, cursor: Cursor) -> None:
    if schema == MISSING:
        return
    fits(cursor, checked, schema)
    if schema.startswith("pg_") or schema in ("information_schema", "pg_catalog"):
        cursor.wrong(f"the schema {schema!r} is PostgreSQL's own", "give it another name")


def _pipes(
    project: Project,
    content: keys.PipelineFile | None,
    vault: Vault,
    names: Names,
    functions: dict[str, DatabaseFunction],
    schedules: list[str],
    vault_schemas: list[str],
    problems: Problems,
) -> tuple[tuple[Pipe, ...], bool]:
    """Return the pipes, and whether all of them could be read. All staging tables are known before any mapping is read."""
    contexts: list[PipeContext] = []
    first: dict[str, str] = {}
    complete = content is not None
    taken = dict.fromkeys(vault_schemas, "the vault")
    if content is not None:
        taken |= {content.sys_schema: "the bookkeeping", content.datamart_schema: "the datamarts"}
    for named in project.pipes:
        document = named.document
        checked_content = checked_against(PipeFile, document, problems) if document is not None else None
        if document is None or checked_content is None:
            complete = False
            continue
        cursor = document.cursor(problems)
        if document.file.endswith((".yaml", ".yml")) and not document.data and not cursor.spot.removed:
            cursor.wrong("the file is empty, so the pipe loads nothing", "write what it reads, or take the file away")
        written = with_environment(checked_content, cursor, project.environment)
        name = written.pipe or named.name
        _check_pipe_name(name, cursor / "pipe", first)
        complete &= not cursor.spot.removed and not (cursor / "sor").spot.removed
        schema = written.sor_schema or f"sor_{name.lower().replace('-', '_')}"
        _check_schema(schema, cursor / "sor_schema")
        context = PipeContext(
            name=name,
            content=written,
            cursor=cursor,
            sor_schema=schema,
            folder=project.folder,
            environment=project.environment,
            vault=vault,
            names=names,
            create_views=content.create_views if content is not None else True,
            always_fk_columns=project.is_python and not document.file.endswith((".yaml", ".yml")),
            limits=limits_of(written).or_else(limits_of(content)),
        )
        if schema in taken:
            what = f"the schema {schema!r} is that of {taken[schema]}: rows that are rejected would mix"
            at = cursor / "sor_schema" if "sor_schema" in written.model_fields_set else cursor
            at.wrong(what, "give the staging tables a schema of their own")
        build_stagings(context)
        contexts.append(context)
    known = [*schedules, *((content and project.pipeline and _removed(project.pipeline, "schedules")) or [])]
    return tuple(build_pipe(context, functions, known) for context in contexts), complete


def _removed(document: Document, key: str) -> list[str]:
    return [str(name) for name in document.spot.at(key).removed]


def _check_pipe_name(name: str, cursor: Cursor, first: dict[str, str]) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,40}", name):
        what = f"{name!r} cannot be the name of a pipe"
        cursor.wrong(what, "begin with a letter, then at most 40 letters, digits, '_' and '-'")
    elif name in _STAGE_IDS:
        cursor.wrong(f"{name!r} is the name of a stage", "give the pipe another name")
    if name in first:
        where = f" in {first[name]}" if first[name] else ""
        cursor.wrong(f"there is a pipe {name!r}{where} already", "rename one of them")
    first.setdefault(name, str(cursor.place) if cursor.file else "")


def _check_sources(
    domains: tuple[Domain, ...], pipes: list[str], complete: bool, project: Project, problems: Problems
) -> None:
    """Report hubs whose order of sources names a pipe that is not there."""
    by_file = {named.document.file: named.document for named in project.domains if named.document}
    for domain in domains if complete else ():
        for hub in domain.hubs:
            document = by_file.get(hub.place.file) or next(iter(by_file.values()))
            cursor = document.cursor(problems) / "hubs" / hub.name / "sources"
            for index, source in enumerate(hub.sources):
                if source not in pipes:
                    (cursor / index).unknown("pipe", source, pipes)


def _pipeline(project: Project, written: keys.PipelineFile, top: Cursor) -> Pipeline:
    content = with_environment(written, top, project.environment)
    name = content.pipeline or project.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}", name):
        what = f"{name!r} cannot be the name of a pipeline"
        (top / "pipeline").wrong(what, "use letters, digits, '_', '-' and '.', at most 100")
    _check_airflow_texts(content, top)
    for key in ("data_root", "datatransfer_path", "log_path", "ddl_log_path", "sql_log_path"):
        check_path(getattr(content, key), top / key)
    check_connection(content.conn_dwh, top / "conn_dwh", "postgresql")
    check_timezone(content.timezone, top / "timezone")
    if content.end_date is not None and content.end_date < content.start_date:
        what = f"the end {content.end_date} comes before the start {content.start_date}"
        (top / "end_date").wrong(what, "write a later day")
    if not timedelta(milliseconds=1) <= content.lock_timeout <= timedelta(days=24):
        what = f"{content.lock_timeout.total_seconds():g} seconds are no time to wait for a lock"
        (top / "lock_timeout").wrong(what, "write at most 24d; PostgreSQL takes 0 for waiting without end")
    return Pipeline(
        name=name,
        warehouse=ConnectionRef(content.conn_dwh),
        description=content.description,
        schedule=build_schedule(content.schedule, top / "schedule"),
        schedules=_schedules(content, top / "schedules"),
        timezone=content.timezone,
        start_date=content.start_date,
        data_root=content.data_root,
        transfer_path=content.datatransfer_path,
        create_views=content.create_views,
        on_errors=OnErrors(content.on_errors),
        debug=content.debug,
        ask_confirm_on_db_changes=content.ask_confirm_on_db_changes,
        sys_schema=content.sys_schema,
        datamart_schema=content.datamart_schema,
        email=_email(content.email_settings, top / "email_settings"),
        airflow=AirflowSettings(
            owner=content.owner,
            tags=tuple(content.tags),
            catchup=content.catchup,
            max_active_runs=content.max_active_runs,
            retries=content.retries,
            retry_delay=content.retry_delay,
            pool=content.pool,
            execution_timeout=content.execution_timeout,
            dagrun_timeout=content.dagrun_timeout,
            end_date=content.end_date,
            queue=content.queue,
        ),
        logs=LogPaths(log=content.log_path, ddl=content.ddl_log_path, sql=content.sql_log_path),
        lock_timeout=content.lock_timeout,
        work_memory_mb=content.work_memory_mb,
        project_folder=str(project.folder.resolve()) if project.folder is not None else "",
        python=content.python,
        place=top.place,
    )


def _schedules(content: keys.PipelineFile, cursor: Cursor) -> tuple[tuple[str, Schedule], ...]:
    schedules = []
    for name, written in content.schedules.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            what = f"{name!r} cannot be a part of a DAG's name"
            (cursor / name).wrong(what, "use letters, digits, '_' and '-'")
        schedule = build_schedule(written, cursor / name)
        if schedule is not None:
            schedules.append((name, schedule))
    return tuple(schedules)


def _email(written: keys.EmailKeys | None, cursor: Cursor) -> EmailSettings | None:
    if written is None:
        return None
    to = written.to if isinstance(written.to, list) else re.split(r"[;,]", written.to)
    receivers = tuple(part.strip() for part in to if part.strip())
    for receiver in receivers or ("",):
        if "@" not in receiver and receiver != MISSING:
            (cursor / "to").wrong(f"{receiver!r} is not a mail address", "such as night@clinic.example")
    for key, text in (("to", " ".join(receivers)), ("from", written.sender or ""), ("subject", written.subject)):
        if MISSING not in text and any(ord(character) < 32 for character in text):
            (cursor / key).wrong("a header of a mail has one line", "leave line ends and tabs out")
    return EmailSettings(
        to=receivers,
        sender=written.sender,
        subject=written.subject,
        message=written.msg,
        send_mail_before_run=written.send_mail_before_run,
        send_log_mail_after_run=written.send_log_mail_after_run,
        conn_id=written.conn_id,
    )


def _check_airflow_texts(content: keys.PipelineFile, top: Cursor) -> None:
    """Report what Airflow's metadata database has no room for: there it would be an error without a place."""
    texts = [(top / "tags" / index, tag, 100) for index, tag in enumerate(content.tags)]
    texts += [(top / key, getattr(content, key) or "", 250) for key in ("owner", "pool", "queue")]
    for cursor, text, most in texts:
        if len(text) > most:
            cursor.wrong(f"the text has {len(text)} characters, and Airflow keeps {most}", "shorten it")

"""Python dicts in PyELT's keys -> Pipeline, through the same models and the same checks as YAML files."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from pyelt_provider.config.build_pipeline import NamedDocument, Project, build_pipeline
from pyelt_provider.config.project_files import sql_files
from pyelt_provider.config.spots import Cursor, Problems, Spot
from pyelt_provider.config.words import described
from pyelt_provider.config.yaml_text import MAX_DEPTH, Document
from pyelt_provider.model.pipeline import Pipeline

Dicts = Mapping[str, Any]


def pipeline_from_dicts(
    general_config: Dicts,
    pipes: Mapping[str, Dicts] | Sequence[Dicts],
    domain: Dicts | Sequence[Dicts] | None = None,
    *,
    name: str = "pyelt",
    folder: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Pipeline:
    """Return the pipeline that dicts describe; their keys are those of the YAML files, or PyELT's older names of them.

    `pipes` is a dict per pipe name, or a list of dicts with the key ``pipe``. `folder` is where functions/, datamarts/
    and hook files stand. The dicts are copied: nothing is shared between pipes. Raises ConfigError with all problems.
    """
    problems = Problems()
    place = Path(folder) if folder is not None else None
    documents = documents_of(general_config, pipes, domain, problems)
    return build_pipeline(
        Project(
            name=name,
            pipeline=documents[0],
            pipes=documents[1],
            domains=documents[2],
            datamarts=sql_files(place, "datamarts", problems) if place else [],
            functions=sql_files(place, "functions", problems) if place else [],
            folder=place,
            environment=os.environ if environment is None else environment,
            is_python=True,
        ),
        problems,
    )


def documents_of(
    general_config: Dicts,
    pipes: Mapping[str, Dicts] | Sequence[Dicts],
    domain: Dicts | Sequence[Dicts] | None,
    problems: Problems,
    file: str = "",
    spots: Mapping[str, Spot] | None = None,
) -> tuple[Document, list[NamedDocument], list[NamedDocument]]:
    """Return the dicts as documents: the pipeline's, those of the pipes, those of the domains.

    `spots` are the lines of the dicts in `file`: under ``general_config``, under ``pipes.<name>`` and under ``domain``.
    """
    known = spots or {}

    def document(data: Dicts, path: str) -> Document:
        spot = known.get(path, Spot(1 if file else 0))
        shown = "" if file and known else path
        cursor = Cursor(file, spot, shown, problems)
        if not isinstance(data, Mapping):
            cursor.wrong(f"this is {described(data)}, not a dict", "write a dict with the keys of the file")
            return Document(file, {}, spot, shown)
        return Document(file, plain(data, cursor), spot, shown)

    items = pipes.items() if isinstance(pipes, Mapping) else [(_name_of(item), item) for item in pipes]
    named = [(str(name), item) for name, item in items]
    general = document(general_config, "general_config")
    pipe_documents = [NamedDocument(pipe, document(data, f"pipes.{pipe}")) for pipe, data in named]
    for item in pipe_documents:
        if item.document is not None:
            own_schedule(general, item.name, item.document)
    domains: Sequence[Dicts] = [domain] if isinstance(domain, Mapping) else domain or []
    domain_documents = [
        NamedDocument("", document(data, "domain" if len(domains) == 1 else f"domain.{number}"))
        for number, data in enumerate(domains, start=1)
    ]
    return general, pipe_documents, domain_documents


def _name_of(pipe: Dicts) -> str:
    if not isinstance(pipe, Mapping):
        return "pipe"
    return str(pipe.get("pipe") or str(pipe.get("sor_schema", "")).removeprefix("sor_"))


def own_schedule(general: Document, pipe: str, document: Document) -> None:
    """Turn a pipe's own cron text (PyELT's schedule_interval) into a schedule of the pipeline with a stable name.

    A preset's name is its word (@monthly -> monthly), another text is named after the pipe.
    """
    text = document.data.get("schedule_interval")
    if not isinstance(text, str) or not re.match(r"@|\S+\s+\S", text):
        return
    del document.data["schedule_interval"]
    if text in (general.data.get("schedule"), general.data.get("schedule_interval")):
        return
    name = text[1:] if text.startswith("@") else pipe
    schedules = general.data.setdefault("schedules", {})
    if isinstance(schedules, dict) and schedules.setdefault(name, text) == text:
        document.data["schedule"] = name
        if "schedule_interval" in document.spot.children:
            document.spot.children["schedule"] = document.spot.children.pop("schedule_interval")


def plain(value: Any, cursor: Cursor, depth: int = 0) -> Any:
    """Return a copy of the value made of dicts, lists and scalars, as a YAML file would give it; report what is none."""
    if depth > MAX_DEPTH:
        cursor.wrong("dicts and lists are nested too deep, or in themselves", "no key of ours needs that")
        return None
    match value:
        case Mapping():
            copied = {}
            for key, item in value.items():
                # PyELT's configs write '' and None for what is not there.
                if item is None or (isinstance(item, str) and not item):
                    continue
                name = key if isinstance(key, str) else str(key)
                if not isinstance(key, str):
                    cursor.wrong(f"the key {name} is no text", f'write "{name}"')
                copied[_text(name, cursor)] = plain(item, cursor / name, depth + 1)
            return copied
        case list() | tuple():
            return [plain(item, cursor / index, depth + 1) for index, item in enumerate(value)]
        case set() | frozenset():
            return sorted((plain(item, cursor, depth + 1) for item in value), key=str)
        case PurePath():
            return _text(str(value), cursor)
        case datetime.datetime() if (value.hour, value.minute, value.second) == (0, 0, 0):
            return value.date()
        case str():
            return _text(str(value), cursor)
        case _:
            return value


def _text(text: str, cursor: Cursor) -> str:
    """Return the text without what PostgreSQL cannot store; report it."""
    if "\x00" in text:
        cursor.wrong("a text has a NUL character in it", "PostgreSQL cannot store that: leave it out")
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        cursor.wrong("a text has half of a surrogate pair in it", "that is no character: leave it out")
        return text.encode(errors="replace").decode()
    return text

"""A program's documents as the files of a YAML project that gives the identical plan; comments go along where they can."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pyelt_provider.config.build_pipeline import NamedDocument, Project
from pyelt_provider.config.domain_file import DomainFile
from pyelt_provider.config.environment_text import environment_keys
from pyelt_provider.config.keys import key_names, other_names
from pyelt_provider.config.pipe_file import PipeFile, SorKeys
from pyelt_provider.config.pipeline_file import PipelineFile
from pyelt_provider.config.spots import Key, Spot
from pyelt_provider.config.yaml_text import Document
from pyelt_provider.config.yaml_writing import yaml_text
from pyelt_provider.errors import PyeltError
from pyelt_provider.model.connection import has_url_password, masked
from pyelt_provider.model.pipe import PROGRAM_HOOK
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.pyelt_api.comments import ProgramComments

_BELOW_PROJECT = ("data_root", "datatransfer_path")
_HOOKS = ("before_sor", "after_sor")


@dataclass(frozen=True, slots=True)
class Conversion:
    """The files of the YAML project by their paths, what is to be told, and the variables that its texts need.

    `secrets` are the values of those variables: they are for the check that the plan is the same, and never shown.
    """

    files: Mapping[str, str]
    notes: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def converted(project: Project, pipeline: Pipeline, target: Path, pipe: str | None = None) -> Conversion:
    """Return the project as files for the folder `target`; with `pipe` only that pipe's files, for a folder that has the rest."""
    assert project.pipeline is not None and project.folder is not None
    return _Converter(project, pipeline, target).files(pipe)


class _Converter:
    def __init__(self, project: Project, pipeline: Pipeline, target: Path) -> None:
        assert project.pipeline is not None and project.folder is not None
        self._project, self._pipeline, self._target = project, pipeline, target
        self._folder = project.folder.resolve()
        written = str(project.pipeline.data.get("python_path", "."))
        self._root = (self._folder / written).resolve()
        self._comments = ProgramComments(tuple(dict.fromkeys((self._root, self._folder))))
        self._notes: list[str] = []
        self._secrets: dict[str, str] = {}

    def files(self, only: str | None) -> Conversion:
        found: dict[str, str] = {}
        names = [named.name for named in self._project.pipes]
        if only is None:
            found["pipeline.yaml"] = self._pipeline_file()
            for named in self._project.domains:
                schema = named.name if named.name != "dv" else ""
                found[f"domain_{schema}.yaml" if schema else "domain.yaml"] = self._file(named.document, DomainFile)
        for named in self._project.pipes:
            if only in (None, named.name):
                found[f"pipes/{named.name}.yaml"] = self._pipe_file(named)
        for file in (*self._project.functions, *self._project.datamarts):
            owner = file.file.partition("/")[2].partition(".")[0]
            if only is None or (owner == only and owner in names and file in self._project.functions):
                found[file.file] = file.text if file.text.endswith("\n") else f"{file.text}\n"
        return Conversion(found, tuple(self._notes), self._secrets)

    def _pipeline_file(self) -> str:
        document = self._project.pipeline
        assert document is not None
        data = {"pipeline": self._pipeline.name, **document.data}
        if any(_program_hooks(named) for named in self._project.pipes):
            if self._root != self._target:
                data["python_path"] = os.path.relpath(self._root, self._target)
        else:
            data = {key: value for key, value in data.items() if key not in ("python", "python_path")}
        moved = other_names(PipelineFile)
        for key in list(data):
            if moved.get(key, key) in _BELOW_PROJECT and isinstance(data[key], str):
                data[key] = self._moved(data[key])
        if "data_root" not in {moved.get(key, key) for key in data} and self._target != self._folder:
            data["data_root"] = self._moved(".")
        return self._file(replace(document, data=data), PipelineFile)

    def _moved(self, path: str) -> str:
        """Return a path below the project folder as it is to be written in the new one."""
        if path.startswith(("/", "$", "{", "~")) or "://" in path or self._target == self._folder:
            return path
        return os.path.relpath(self._folder / path, self._target)

    def _pipe_file(self, named: NamedDocument) -> str:
        document = named.document
        assert document is not None
        data = {"pipe": named.name, **document.data}
        hooks = _program_hooks(named)
        for key, targets in hooks.items():
            data[key] = [target for target in data[key] if target not in targets]
            if not data[key]:
                del data[key]
            names = ", ".join(target.rpartition(":")[2] for target in targets)
            at = document.spot.at(key)
            self._notes.append(
                f"{at.file or document.file}:{at.line}: {names} ({key} of {named.name}) stays in the program, which "
                "pipeline.yaml still names; write it as a hook (file.py:function) to do without the program"
            )
        data["sor"] = self._staging(named.name, data.get("sor", {}))
        return self._file(replace(document, data=data), PipeFile)

    def _staging(self, pipe: str, tables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the staging tables with the fk columns that a program's tables always have."""
        known = {table.name: table for table in self._pipeline.pipe(pipe).tables}
        found = {}
        for name, table in tables.items():
            columns = dict(known[name].fk_columns) if name in known else {}
            found[name] = {**table, "fk_columns": columns} if columns else table
        return found

    def _file(self, document: Document | None, model: type[BaseModel]) -> str:
        assert document is not None
        ours = other_names(model)
        names = key_names(model)
        whole = self._without_secrets(document.data, document.spot, document.file, model)
        data = {ours.get(key, key): value for key, value in whole.items()}
        spots = {ours.get(str(key), key): child for key, child in document.spot.children.items()}
        ordered = {key: data[key] for key in sorted(data, key=lambda key: names.index(key) if key in names else 99)}
        return yaml_text(ordered, Spot(document.spot.line, spots), document.file, self._comments)

    def _without_secrets(self, value: Any, spot: Spot, file: str, model: type[BaseModel], *path: Key) -> Any:
        """Return the value with variables in the place of texts with a password; `path` leads to it from the top."""
        parts: Iterable[tuple[Any, Any]] = ()
        match value:
            case str():
                return self._text(value, f"{file}:{spot.line}", model, path)
            case dict():
                parts = value.items()
            case list():
                parts = enumerate(value)
            case _:
                return value
        found = {
            key: self._without_secrets(part, spot.at(key), spot.at(key).file or file, model, *path, key)
            for key, part in parts
        }
        return found if isinstance(value, dict) else list(found.values())

    def _text(self, value: str, place: str, model: type[BaseModel], path: tuple[Key, ...]) -> str:
        key = str(path[-1])
        keys = model if len(path) == 1 else SorKeys if path[0] == "sor" and len(path) == 3 else None
        if keys is not None and key in environment_keys(keys) and masked(value) != value:
            name = f"PYELT_{re.sub('[^A-Z0-9]', '_', self._pipeline.name.upper())}_{key.upper()}"
            while self._secrets.get(name, value) != value:
                name += "_2"
            self._secrets[name] = value
            what = f"set the environment variable {name} to it, or name an Airflow connection"
            self._notes.append(f"{key} has a password: {what}")
            return f"${{{name}}}"
        if has_url_password(value):
            raise PyeltError(
                f"{place}: {'.'.join(map(str, path))} has a URL with a password in it, which is not written into a file; "
                "name an Airflow connection instead"
            )
        return value


def _program_hooks(named: NamedDocument) -> dict[str, list[str]]:
    data = named.document.data if named.document is not None else {}
    found = {key: [target for target in data.get(key, ()) if str(target).startswith(PROGRAM_HOOK)] for key in _HOOKS}
    return {key: targets for key, targets in found.items() if targets}

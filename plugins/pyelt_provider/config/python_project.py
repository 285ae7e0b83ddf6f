"""pipeline.yaml with `python:` -> the project that the program describes, through the same checks as YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyelt_provider.config.build_pipeline import NamedDocument, Project
from pyelt_provider.config.datamarts import SqlFile
from pyelt_provider.config.environment_text import expanded
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor, Problems, Spot
from pyelt_provider.config.yaml_text import Document, read_yaml
from pyelt_provider.errors import ConfigError, PyeltError
from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.loading import Program, load_program
from pyelt_provider.pyelt_api.program_documents import program_documents


def with_program(project: Project, problems: Problems) -> Project:
    """Return the project with what its program says; pipes and domains of YAML files count before its own."""
    assert project.pipeline is not None
    program = _load(project.pipeline, project.folder, project.environment, problems)
    if program is None:
        raise ConfigError(problems.sorted())
    return with_documents(project, program, problems)


def with_documents(project: Project, program: Program, problems: Problems) -> Project:
    """Return the project with what a program registered, whose own problems are added to the others."""
    for problem in program.session.problems.sorted():
        problems.add(problem)
    program.session.problems = problems
    said = program_documents(program, project.pipeline)
    domains = {_schema(named) for named in project.domains}
    files = {function.file for function in project.functions}
    models = {model.file for model in project.datamarts}
    written = {_name(named): named for named in project.pipes}
    for named in said.pipes:
        if named.name in written:
            written[named.name] = _with_program_hooks(written[named.name], named)
    return replace(
        project,
        pipeline=said.pipeline,
        domains=[*(named for named in said.domains if _schema(named) not in domains), *project.domains],
        pipes=[*(named for named in said.pipes if named.name not in written), *written.values()],
        functions=[*(file for file in said.functions if _is_needed(file, files, written)), *project.functions],
        datamarts=[*(file for file in said.datamarts if file.file not in models), *project.datamarts],
        is_python=True,
    )


def _is_needed(function: SqlFile, files: set[str], written: Mapping[str, NamedDocument]) -> bool:
    """A function of a program's pipe goes with that pipe."""
    return function.file not in files and function.file.partition("/")[2].partition(".")[0] not in written


def _schema(named: NamedDocument) -> str:
    data = named.document.data if named.document is not None else {}
    return str(data.get("schema") or named.name or "dv")


def _name(named: NamedDocument) -> str:
    data = named.document.data if named.document is not None else {}
    return str(data.get("pipe") or named.name)


def _with_program_hooks(written: NamedDocument, said: NamedDocument) -> NamedDocument:
    """Return a pipe's file, which counts before the program's pipe of its name, with the functions registered on that."""
    document, program = written.document, said.document
    if document is None or program is None:
        return written
    kept = [key for key in ("before_sor", "after_sor") if key in program.data and key not in document.data]
    data = document.data | {key: program.data[key] for key in kept}
    children = document.spot.children | {key: program.spot.children[key] for key in kept}
    spot = replace(document.spot, children=children)
    return NamedDocument(written.name, replace(document, data=data, spot=spot))


def program_of(folder: Path, environment: Mapping[str, str]) -> Program:
    """Load the program of a project folder; raises ConfigError when there is none or it fails."""
    problems = Problems()
    document = read_yaml(folder / "pipeline.yaml", "pipeline.yaml", problems)
    program = _load(document, folder, environment, problems) if document is not None else None
    if program is None:
        raise ConfigError(problems.sorted())
    return program


def _load(
    document: Document, folder: Path | None, environment: Mapping[str, str], problems: Problems
) -> Program | None:
    top = document.cursor(problems)
    target, path = document.data.get("python"), document.data.get("python_path", ".")
    at = top / "python"
    if not isinstance(target, str) or not _is_target(target):
        mend = "write package.module:function, or package.module for a script"
        at.wrong(f"{target!r} does not name a program", mend)
        return None
    here = (folder or Path()).resolve()
    text = expanded(str(path), top / "python_path", environment)
    if text == MISSING:
        return None
    root = (here / text).resolve()
    if not root.is_dir():
        (top / "python_path").wrong(f"there is no folder {path}", "name the folder that has the program's packages")
        return None
    roots = (root,) if root == here else (root, here)
    quiet = Cursor("", Spot(0), "", Problems())  # what is wrong with it is told when the document is checked
    general: dict[str, Any] = {
        key: expanded(value, quiet, environment) if isinstance(value, str) and "${" in value else value
        for key, value in document.data.items()
        if key not in ("python", "python_path")
    }
    try:
        program = load_program(target, roots, general, Place(at.file, at.spot.line))
    except ConfigError as error:
        for problem in error.problems:
            problems.add(problem)
        return None
    except PyeltError as error:
        what, _, mend = str(error).partition("; ")
        at.wrong(what, mend)
        return None
    return program


def _is_target(text: str) -> bool:
    module, colon, name = text.partition(":")
    parts = [*module.split("."), *(name.split(".") if colon else [])]
    return all(part.isidentifier() for part in parts)

"""A project folder -> Pipeline. Reads the project's own files and nothing else: no delivery, no database, no network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pyelt_provider.config.build_pipeline import NamedDocument, Project, build_pipeline
from pyelt_provider.config.project_files import (
    PIPELINE_FILES,
    PYTHON_FILES,
    check_strays,
    first_of,
    read_domains,
    sql_files,
    yaml_files,
)
from pyelt_provider.config.python_module import read_module
from pyelt_provider.config.python_project import with_documents, with_program
from pyelt_provider.config.spots import Problems
from pyelt_provider.config.yaml_text import read_yaml
from pyelt_provider.errors import ConfigError, Problem
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.pyelt_api.loading import Program


def read_pipeline(folder: Path, environment: Mapping[str, str] | None = None) -> Pipeline:
    """Return the pipeline that the files of a project folder describe.

    A folder with pipeline.yaml is read as YAML, and the program that it names under `python` is run until it has registered
    everything; one with config.py is read as Python dicts in PyELT's keys. ``${VAR}`` comes from `environment` (the
    process's own by default). Raises ConfigError with every problem of all files.
    """
    folder = Path(folder)
    if environment is None:
        environment = os.environ
    problems = Problems()
    if not folder.is_dir():
        raise ConfigError(
            (Problem(str(folder), 1, "", "there is no such folder", "name a folder with a pipeline.yaml"),)
        )
    path = first_of(folder, PIPELINE_FILES)
    if path is None and (module := first_of(folder, PYTHON_FILES)) is not None:
        return build_pipeline(read_module(module, folder, environment, problems), problems)
    if path is None:
        file, mend = PIPELINE_FILES[0], "a project begins with it: write the keys pipeline and conn_dwh into it"
        problems.add(Problem(file, 1, "", f"the file is missing in {folder.name or folder}", mend))
        raise ConfigError(problems.sorted())
    return build_pipeline(_whole(folder, path, environment, problems), problems)


def read_project(folder: Path, environment: Mapping[str, str]) -> Project:
    """Return what the files of a project folder with pipeline.yaml say, with its program, before it becomes a model."""
    problems = Problems()
    path = first_of(folder, PIPELINE_FILES)
    if path is None:
        mend = "name a folder whose pipeline.yaml says python:, or package.module:function"
        raise ConfigError((Problem(str(folder), 1, "", "there is no pipeline.yaml", mend),))
    project = _whole(folder, path, environment, problems)
    if problems:
        raise ConfigError(problems.sorted())
    return project


def _whole(folder: Path, path: Path, environment: Mapping[str, str], problems: Problems) -> Project:
    project = _files(folder, path, environment, problems)
    check_strays(folder, problems)
    if project.pipeline is not None and "python" in project.pipeline.data:
        project = with_program(project, problems)
    if not project.pipes:
        problems.add(
            Problem("pipes", 1, "", "the project has no pipe", "write one file per source system, pipes/<name>.yaml")
        )
    return project


def pipeline_of_program(program: Program, folder: Path, environment: Mapping[str, str]) -> Pipeline:
    """Return the pipeline that a program has put together so far, with what the files of a folder say beside it.

    A pipeline.yaml there may name the pipeline and its warehouse; `python` in it is not looked at. Raises ConfigError.
    """
    problems = Problems()
    project = _files(folder, first_of(folder, PIPELINE_FILES), environment, problems)
    return build_pipeline(with_documents(project, program, problems), problems)


def _files(folder: Path, path: Path | None, environment: Mapping[str, str], problems: Problems) -> Project:
    """Return what the files of a folder say; `path` is its pipeline.yaml."""
    return Project(
        name=folder.resolve().name,
        pipeline=read_yaml(path, path.name, problems) if path is not None else None,
        domains=read_domains(folder, problems),
        pipes=[
            NamedDocument(file.stem, read_yaml(file, f"pipes/{file.name}", problems))
            for file in yaml_files(folder / "pipes")
        ],
        datamarts=sql_files(folder, "datamarts", problems),
        functions=sql_files(folder, "functions", problems),
        folder=folder,
        environment=environment,
    )

"""config.py of a project: a Python module with dicts in PyELT's keys, and the line of every value in its literals."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyelt_provider.config.build_pipeline import Project
from pyelt_provider.config.dictionaries import documents_of
from pyelt_provider.config.project_files import read_domains, sql_files
from pyelt_provider.config.spots import Problems, Spot, nearest
from pyelt_provider.errors import ConfigError, Problem
from pyelt_provider.model.connection import masked


def read_module(path: Path, folder: Path, environment: Mapping[str, str], problems: Problems) -> Project:
    """Execute the module and return what it says as a project; raise ConfigError when it cannot be executed.

    It has a dict `general_config`; the pipes are the dict (or list) `pipes`, or every dict ``<name>_config``; the
    domain is the dict `domain`, the list `domains`, or the folder's domain.yaml.
    """
    source = path.read_bytes()
    file = path.name
    values = _executed(source, path, file)
    lines = _lines(ast.parse(source))
    general = values.get("general_config")
    if not isinstance(general, dict):
        names = [name for name, value in values.items() if isinstance(value, dict) and not name.startswith("_")]
        what = "the module has no dict general_config"
        raise ConfigError((Problem(file, 1, "", what, nearest("general_config", names) if names else ""),))
    pipes, pipe_lines = _pipes(values, lines)
    domain = values.get("domain", values.get("domains"))
    many = list(domain) if isinstance(domain, list | tuple) else [domain] if isinstance(domain, dict) else []
    spots = {"general_config": lines.get("general_config", Spot(1))}
    spots |= {f"pipes.{name}": spot for name, spot in pipe_lines.items()}
    if len(many) == 1:
        spot = lines.get("domain") or lines.get("domains", Spot(1)).at(0)
        spots["domain"] = spot
    for number in range(len(many)):
        spots[f"domain.{number + 1}"] = lines.get("domains", Spot(1)).at(number)
    documents = documents_of(general, pipes, many, problems, file, spots)
    return Project(
        name=folder.resolve().name,
        pipeline=documents[0],
        pipes=documents[1],
        domains=documents[2] or read_domains(folder, problems),
        datamarts=sql_files(folder, "datamarts", problems),
        functions=sql_files(folder, "functions", problems),
        folder=folder,
        environment=environment,
        is_python=True,
    )


def _executed(source: bytes, path: Path, file: str) -> dict[str, Any]:
    values: dict[str, Any] = {"__name__": f"pyelt_config_{path.parent.name}", "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), values)
    except SyntaxError as error:
        raise ConfigError(
            (Problem(file, error.lineno or 1, "", f"this is not Python: {error.msg}", "mend it"),)
        ) from error
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = (frames[-1].lineno or 1) if frames else 1
        what = masked(f"the module fails: {type(error).__name__}: {error}")
        raise ConfigError((Problem(file, line, "", what, "a config module only assigns dicts"),)) from error
    return values


def _pipes(values: dict[str, Any], lines: dict[str, Spot]) -> tuple[dict[str, Any], dict[str, Spot]]:
    given = values.get("pipes")
    if isinstance(given, dict):
        spot = lines.get("pipes", Spot(1))
        return given, {str(name): spot.at(str(name)) for name in given}
    if isinstance(given, list | tuple):
        named = {str(item.get("pipe", f"pipe{n}")): item for n, item in enumerate(given) if isinstance(item, dict)}
        spot = lines.get("pipes", Spot(1))
        return named, {name: spot.at(number) for number, name in enumerate(named)}
    found = {
        name.removesuffix("_config").removeprefix("pipe_"): (value, lines.get(name, Spot(1)))
        for name, value in values.items()
        if name.endswith("_config") and name != "general_config" and isinstance(value, dict)
    }
    return {name: item[0] for name, item in found.items()}, {name: item[1] for name, item in found.items()}


def _lines(tree: ast.Module) -> dict[str, Spot]:
    """Return the lines of the values of all names that the module assigns."""
    known: dict[str, Spot] = {}
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                known[name] = _spot(value, known)
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))]):
                if name in known:
                    known[name].children[key] = _spot(node.value, known)
    return known


def _spot(node: ast.expr, known: dict[str, Spot]) -> Spot:
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    spot = Spot(node.lineno)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            inner = _spot(value, known)
            if isinstance(key, ast.Constant):
                spot.children[str(key.value)] = Spot(key.lineno, inner.children)
            elif key is None:
                spot.children.update(inner.children)
    elif isinstance(node, ast.List | ast.Tuple):
        spot.children.update({index: _spot(item, known) for index, item in enumerate(node.elts)})
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        spot.children.update(
            {k.arg: Spot(k.value.lineno, _spot(k.value, known).children) for k in node.keywords if k.arg}
        )
    return spot

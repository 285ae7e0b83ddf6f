"""The floors of docs/architecture.md: a module imports from its own floor and from those below, and Airflow comes late."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from docs.documents import ROOT

PACKAGE = ROOT / "plugins" / "pyelt_provider"
BESIDE = {"sample", "embedded", "demo", "__init__"}
"""Not part of the building: the sample's deliveries, a PostgreSQL without installing one, and the demo."""


def floors() -> dict[str, int]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = {}
    for number, cell in re.findall(r"^\| (\d) \| ([^|]+) \|", text, re.MULTILINE):
        found |= {name.strip("/"): int(number) for name in re.findall(r"`([\w/]+)`", cell)}
    return found


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in BESIDE:
            yield part, path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_every_part_of_the_package_has_a_floor() -> None:
    assert {part for part, _ in modules()} == set(floors())


def test_nothing_imports_from_a_floor_above() -> None:
    known = floors()
    upwards = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for part, path in modules()
        for name in imports(path)
        if name.startswith("pyelt_provider.") and known.get(name.split(".")[1], 0) > known[part]
    ]
    assert upwards == []


def circle(uses: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def uses_of(depth: int, folder: Path = PACKAGE) -> dict[str, set[str]]:
    """What imports what, by the first `depth` parts of a module's name."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        names = ("pyelt_provider", *path.relative_to(PACKAGE).with_suffix("").parts)
        own = ".".join(names[:depth])
        targets = {".".join(name.split(".")[:depth]) for name in imports(path) if name.startswith("pyelt_provider.")}
        found.setdefault(own, set()).update(targets - {own})
    return found


def test_no_two_modules_import_each_other_not_even_by_a_detour() -> None:
    assert circle(uses_of(depth=9)) == []


def test_the_folders_of_statements_import_in_one_direction() -> None:
    assert circle(uses_of(3, PACKAGE / "statements")) == []


def test_the_floors_below_the_sixth_know_no_airflow() -> None:
    known = floors()
    found = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for part, path in modules()
        for name in imports(path)
        if known[part] < 6 and name.split(".")[0] == "airflow"
    ]
    assert found == []


def test_only_the_execution_floor_and_what_stands_beside_touches_the_driver() -> None:
    found = {
        part for part, path in modules() for name in imports(path) if name.split(".")[0] in ("psycopg2", "psycopg")
    }
    assert found <= {"execution", "sources", "orchestration"}

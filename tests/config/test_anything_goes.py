"""Whatever stands in the files of a project: it is a pipeline, or problems with places; never any other error."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.projects import write_project
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError

CLINIC = Path(__file__).parents[2] / "configs" / "clinic"
VALUES: list[Any] = [
    None, True, 0, -1, 3.5, "", "x", "a.b", "Patient", "x" * 80, "\x00", "{{", "${X}", "'", [], ["x"], [None], [[]],
    {}, {"x": "y"}, {"x": None}, {"types": ["a"]}, {"columns": {}}, {"table": "x"}, {"entity": 5}, 10**30,
]  # fmt: skip


def parts(data: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in the data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [pair for key, value in inner for pair in ((data, key), *parts(value))]


def broken(data: Any, chance: random.Random) -> Any:
    for _ in range(chance.randint(1, 6)):
        places = parts(data)
        if not places:
            break
        container, key = chance.choice(places)
        match chance.randint(0, 3):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[str(key)[:-1] + chance.choice("xyz_ .é")] = container.pop(key)
            case 2 if isinstance(container, list):
                container.append(copy.deepcopy(container[0]))
            case _:
                container[key] = copy.deepcopy(chance.choice(VALUES))
    return data


@pytest.mark.parametrize("seed", range(150))
def test_a_broken_project_is_told_and_never_crashes(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    files = {
        str(path.relative_to(CLINIC)): path.read_text() for path in CLINIC.rglob("*") if path.suffix in (".sql", ".py")
    }
    for path in sorted(CLINIC.rglob("*.yaml")):
        data = yaml.safe_load(path.read_text())
        text = yaml.safe_dump(broken(data, chance), allow_unicode=True) if chance.random() < 0.5 else path.read_text()
        files[str(path.relative_to(CLINIC))] = text
    folder = write_project(tmp_path, files)
    (folder / "pipes" / "his.yaml").write_text(files["pipes/his.yaml"])
    try:
        read_pipeline(folder, {})
    except ConfigError as error:
        assert error.problems
        assert all(problem.file and problem.line for problem in error.problems)
        assert "\x00missing" not in str(error)

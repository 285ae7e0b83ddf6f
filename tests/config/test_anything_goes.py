"""Whatever stands in the files of a project: it is a pipeline, or problems with places; never any other error."""

from __future__ import annotations

import copy
import datetime
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.projects import write_project
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError
from pyelt_provider.planning.plan import build_plans

CLINIC = Path(__file__).parents[2] / "configs" / "clinic"
VALUES: list[Any] = [
    None, True, 0, -1, 3.5, "", "x", "a.b", "Patient", "x" * 80, "\x00", "{{", "${X}", "'", [], ["x"], [None], [[]],
    {}, {"x": "y"}, {"x": None}, {"types": ["a"]}, {"columns": {}}, {"table": "x"}, {"entity": 5}, 10**30,
    float("nan"), float("inf"), datetime.date(2026, 1, 1), "a;b", "(", "'", "--", "\t", "\n", "é" * 40, b"bytes", [["x"] * 50],
]  # fmt: skip
DAMAGE = [
    b"\t", b"\x00", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b"&a ", b"*a ", b"<<: ", b"!!x ", b"---\n", b"...\n",
    b"'", b'"', b"|\n", b">\n", b"#", b": ", b"- ", b"? ", b"%YAML 1.1\n", b"\r", b"\xc2\x85", b"\\", b"@", b"`", b"~",
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
    is_a_pipeline_or_problems(folder)


def is_a_pipeline_or_problems(folder: Path) -> None:
    try:
        build_plans(read_pipeline(folder, {}))
    except ConfigError as error:
        assert error.problems
        assert all(problem.file and problem.line for problem in error.problems)
        assert "\x00missing" not in str(error)


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_file_is_told_and_never_crashes(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    shutil.copytree(CLINIC, tmp_path / "clinic")
    for path in sorted((tmp_path / "clinic").rglob("*.*")):
        if chance.random() < 0.4:
            content = bytearray(path.read_bytes())
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(content))
                match chance.randint(0, 2):
                    case 0:
                        content[at:at] = chance.choice(DAMAGE)
                    case 1:
                        del content[at : at + chance.randint(1, 30)]
                    case _:
                        content[at:at] = content[: chance.randint(1, 200)]
            path.write_bytes(content)
    is_a_pipeline_or_problems(tmp_path / "clinic")

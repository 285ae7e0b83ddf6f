"""The quickstart, followed to the letter: its files, its commands, its answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from databases import Database
from docs.documents import ROOT, blocks, commands, files
from pyelt_provider.command_line.main import main

QUICKSTART = ROOT / "docs" / "quickstart.md"


def as_shown(warehouse: Database, query: str) -> list[list[str]]:
    """The answer of a query as the document shows answers: text, t and f, nothing for null."""
    shown = {True: "t", False: "f", None: ""}
    return [
        [shown[value] if value is None or isinstance(value, bool) else str(value) for value in row]
        for row in warehouse.rows(query)
    ]


def answers() -> list[tuple[str, list[list[str]]]]:
    """The queries of the document, each with the rows that stand below it (the first line has the names)."""
    found, query = [], ""
    for block in blocks(QUICKSTART):
        if block.language == "sql":
            query = block.text
        elif block.language == "text" and query:
            rows = [[cell.strip() for cell in line.split("|")] for line in block.text.splitlines()[1:]]
            found.append((query, rows))
            query = ""
    return found


def test_the_quickstart_gives_what_it_says(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, text in files(QUICKSTART).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DWH", warehouse.url)
    calls = [arguments for arguments in commands(QUICKSTART, "pyelt") if "shop" in " ".join(arguments)]
    assert [arguments[0] for arguments in calls] == ["check", "plan", "run", "run"]
    for arguments in calls:
        assert main(arguments) == 0, capsys.readouterr().err

    *second_day, third_day = answers()
    assert len(second_day) == 4
    for query, rows in second_day:
        assert as_shown(warehouse, query) == rows, query

    assert main(calls[-1]) == 0, capsys.readouterr().err
    for query, rows in second_day:
        assert as_shown(warehouse, query) == rows, f"after the second day was run again: {query}"

    assert main(["dags"]) == 0
    assert (tmp_path / "dags" / "shop.py").is_file()
    assert main(["run", "configs/shop", "--date", "2026-03-03"]) == 0, capsys.readouterr().err
    assert as_shown(warehouse, third_day[0]) == third_day[1]

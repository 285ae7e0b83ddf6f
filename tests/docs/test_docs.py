"""The documents say what is there: links lead somewhere, commands and files in them work, and no key is left out."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.documents import DOCUMENTS, ROOT, anchors, commands, files, links, name
from pyelt_provider.command_line import main
from pyelt_provider.command_line.exit_codes import ExitCode
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.demo import command as demo
from pyelt_provider.statements.runs.bookkeeping import create_bookkeeping

ALL_TEXT = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for target in links(document):
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), f"{name(document)} links to {target}"
        assert not anchor or anchor in anchors(there), f"{name(document)} links to {target}: {sorted(anchors(there))}"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, unseen = set(), [ROOT / "README.md"]
    while unseen:
        document = unseen.pop()
        if document.suffix != ".md" or document in reached:
            continue
        reached.add(document)
        unseen += [(document.parent / target.partition("#")[0]).resolve() for target in links(document)]
    assert set(DOCUMENTS) <= reached


def calls() -> list[tuple[str, list[str]]]:
    return [(name(document), arguments) for document in DOCUMENTS for arguments in commands(document, "pyelt")]


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser with all options of one command."""
    if command == "demo":
        return demo._parser()
    action = next(a for a in main._parser(command)._actions if isinstance(a, argparse._SubParsersAction))
    found: argparse.ArgumentParser = action.choices[command]
    return found


@pytest.mark.parametrize(("document", "arguments"), calls(), ids=lambda value: " ".join(value[:3]))
def test_every_pyelt_command_in_the_docs_is_one(document: str, arguments: list[str]) -> None:
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments == ["--version"] or arguments[1:] == ["--help"] or "..." in arguments or "COMMAND" in arguments:
        return
    assert arguments[0] in main.COMMANDS, f"{document}: pyelt {' '.join(arguments)}"
    parser = parser_of(arguments[0])
    if len(arguments) == 1 or "RUNID" in arguments:
        return  # named in a sentence
    try:
        parser.parse_args(arguments[1:])
    except SystemExit:
        pytest.fail(f"{document}: pyelt {' '.join(arguments)}")


@pytest.mark.parametrize("command", sorted(main.COMMANDS))
def test_every_command_and_option_is_in_the_command_line_docs(command: str) -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## pyelt {command}\n")[2].partition("\n## ")[0]
    assert section, f"docs/command-line.md has no section 'pyelt {command}'"
    options = {option for action in parser_of(command)._actions for option in action.option_strings}
    missing = {option for option in options if f"`{option}" not in section} - {"-h", "--help"}
    assert not missing


def test_every_exit_code_is_in_the_command_line_docs() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for code in ExitCode:
        meaning = code.meaning.replace("|", "\\|")
        assert f"| {code.value} | {meaning} |" in text


@pytest.mark.parametrize(
    "document", [document for document in DOCUMENTS if any("configs/" in path for path in files(document))], ids=name
)
def test_every_project_that_is_shown_can_be_read(document: Path, tmp_path: Path) -> None:
    shown = {path: text for path, text in files(document).items() if path.startswith("configs/")}
    for path, text in shown.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for project in {Path(path).parts[1] for path in shown}:
        assert read_pipeline(tmp_path / "configs" / project).pipes


def test_every_make_target_in_the_docs_is_there() -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if line[:1].isalpha()}
    shown = {arguments[0] for document in DOCUMENTS for arguments in commands(document, "make")}
    assert shown <= targets
    assert {"demo", "test", "clean-demo"} <= shown


def test_every_airflow_command_in_the_docs_is_one(tmp_path: Path) -> None:
    shown = [arguments for document in DOCUMENTS for arguments in commands(document, "airflow")]
    assert {tuple(arguments[:2]) for arguments in shown} >= {("tasks", "clear"), ("dags", "trigger")}
    script = (
        "import json, sys; from airflow.cli.cli_parser import get_parser\n"
        "for arguments in json.loads(sys.argv[1]): get_parser().parse_args(arguments)"
    )
    # In a process of its own, since Airflow makes its home where it is imported first.
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(shown)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_table_and_column_of_the_bookkeeping_is_in_the_warehouse_docs() -> None:
    text = (ROOT / "docs" / "warehouse.md").read_text(encoding="utf-8")
    tables = re.findall(r"create table if not exists \S+\.(\w+)", create_bookkeeping("sys"))
    assert len(tables) == 20
    assert [table for table in tables if f"`{table}`" not in text] == []
    columns = ("_id", "_runid", "_active", "_source_system", "_insert_date", "_finish_date", "_finish_runid",
               "_deleted_runid", "_revision", "_valid", "_validation_msg", "_hash", "_last_runid", "_stage", "bk", "type",
               "record_status", "valueset_naam", "code", "omschrijving", "ingangsdatum", "einddatum")  # fmt: skip
    assert [column for column in columns if f"`{column}`" not in text] == []


def test_every_file_and_folder_of_the_project_that_is_named_is_there() -> None:
    named = {
        match[1].rstrip("/")
        for document in DOCUMENTS
        for match in re.finditer(r"`((?:plugins|tests|configs/clinic|docs|benchmarks)/[\w./-]+)`", document.read_text())
    }
    assert named
    assert sorted(path for path in named if not (ROOT / path).exists()) == []

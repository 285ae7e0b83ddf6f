"""The documents say what is there: links lead somewhere, commands and files in them work, and no key is left out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.documents import DOCUMENTS, ROOT, anchors, commands, files, links, name
from pyelt_provider.command_line.main import parser
from pyelt_provider.config.reading import read_pipeline

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


def calls() -> Iterator[tuple[str, list[str]]]:
    return ((name(document), arguments) for document in DOCUMENTS for arguments in commands(document, "pyelt"))


@pytest.mark.parametrize(("document", "arguments"), calls(), ids=lambda value: " ".join(value[:3]))
def test_every_pyelt_command_in_the_docs_is_one(document: str, arguments: list[str]) -> None:
    try:
        parser().parse_args(arguments)
    except SystemExit as end:
        assert end.code == 0, f"{document}: pyelt {' '.join(arguments)}"


def subcommands() -> dict[str, argparse.ArgumentParser]:
    action = next(a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


@pytest.mark.parametrize("command", sorted(subcommands()))
def test_every_command_and_option_is_in_the_command_line_docs(command: str) -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = text.partition(f"## pyelt {command}\n")[2].partition("\n## ")[0]
    assert section, f"docs/command-line.md has no section 'pyelt {command}'"
    options = {option for action in subcommands()[command]._actions for option in action.option_strings[:1]}
    missing = {option for option in options if f"`{option}" not in section} - {"-h"}
    assert not missing


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

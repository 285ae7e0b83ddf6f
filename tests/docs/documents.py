"""Reads the project's own documents: their links, headings, code blocks, and the commands and files shown in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Block:
    """A fenced block of a document: its language and its lines."""

    language: str
    text: str

    @property
    def path(self) -> str | None:
        """The file that the block shows: its first line is a comment with a path, and perhaps a remark."""
        match = re.match(r"# ((?:configs|dags)/[^\s,]+)", self.text)
        return match[1] if match else None

    @property
    def content(self) -> str:
        """The text of the file that the block shows."""
        return self.text.split("\n", 1)[1]


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path) -> Iterator[Block]:
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield Block(match[1], match[2])


def files(document: Path) -> dict[str, str]:
    """The files that a document shows whole, by their path."""
    return {block.path: block.content for block in blocks(document) if block.path}


def commands(document: Path, program: str) -> Iterator[list[str]]:
    """The arguments of every call of a program that stands in a document's shell blocks or alone between backticks."""
    text = document.read_text(encoding="utf-8")
    lines = [line for block in blocks(document) if block.language == "sh" for line in block.text.splitlines()]
    lines += re.findall(r"`((?:\.venv/bin/)?" + program + r" [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in lines:
        words = shlex.split(line.replace("\n", " "), comments=True)
        if words and words[0].removeprefix(".venv/bin/") == program:
            yield words[1:]


def anchors(document: Path) -> set[str]:
    """What a link may name behind the #: the headings, in the form that GitHub gives them."""
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> list[str]:
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'src="([^"]+)"', prose)
    return [target for target in targets if "://" not in target]

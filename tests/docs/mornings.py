"""What the table "What to do in the morning" tells people to type; tests type just that."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from docs.documents import ROOT

_HEADING = "## What to do in the morning"


def mornings() -> dict[str, list[str]]:
    """What people see, and what stands between backticks in its row."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.split(_HEADING, 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("| ")][1:]
    return {symptom: re.findall(r"`([^`]+)`", remedy) for symptom, remedy in rows}


def morning(symptom: str) -> list[str]:
    """Return what is to be typed: SQL, or commands."""
    return mornings()[symptom]


def words(command: str, **replaced: str) -> list[str]:
    """Return the words of a command, some of them replaced by others: ``words(command, **{"4.00": "3.01"})``."""
    return [replaced.get(word, word) for word in shlex.split(command)]


def conf(command: str) -> dict[str, Any]:
    """Return the parameters of a run that a command triggers."""
    parts = shlex.split(command)
    found = json.loads(parts[parts.index("--conf") + 1])
    assert isinstance(found, dict)
    return found

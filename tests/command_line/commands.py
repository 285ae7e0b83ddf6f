"""Runs `pyelt` in tests as a shell would: its exit code, what it says on stdout and what on stderr."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pyelt_provider.command_line.main import main


@dataclass(frozen=True)
class Said:
    """What a command said at its end."""

    code: int
    out: str
    err: str


def pyelt(capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    """Run `pyelt` with these arguments in this process."""
    code = main(list(arguments))
    said = capsys.readouterr()
    return Said(code, said.out, said.err)

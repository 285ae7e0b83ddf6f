"""The exit codes of `pyelt`, for cron and scripts; docs/command-line.md has this table."""

from __future__ import annotations

from enum import IntEnum

from pyelt_provider.errors import (
    DdlRefused,
    DeliveryMissing,
    DeliveryRefused,
    OlderRunOpen,
    OrderRefused,
    PyeltError,
)


class ExitCode(IntEnum):
    """What the process says at its end; `meaning` is the text of the docs."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    MISSING = 4
    INTERNAL = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.FINE: "all is well",
    ExitCode.FAILED: "problems were found in a project, a stage failed, or a database cannot be reached",
    ExitCode.USAGE: "the command line is wrong: an unknown command or option, a path that is not there",
    ExitCode.REFUSED: "something was refused on purpose, and nothing was changed: a delivery, DDL, or a run out of order",
    ExitCode.MISSING: "a delivery is not there yet, or an older run is still open: try again later",
    ExitCode.INTERNAL: "an error inside pyelt; `pyelt --debug ...` shows where",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
    ExitCode.PIPE_CLOSED: "the reader of the output went away, as in `pyelt sql ... | head`",
}


class UsageError(PyeltError):
    """The command line asks for something that is not there."""


def exit_code(error: PyeltError) -> ExitCode:
    """Return the exit code for an error that ended a command."""
    match error:
        case UsageError():
            return ExitCode.USAGE
        case DeliveryMissing() | OlderRunOpen():
            return ExitCode.MISSING
        case DeliveryRefused() | DdlRefused() | OrderRefused():
            return ExitCode.REFUSED
        case _:
            return ExitCode.FAILED

"""The one error family of the project: an error says what, where, why and the way out, and never holds data values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class PyeltError(Exception):
    """Anything that this project refuses or fails at; the command line turns it into one clear message."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a config, with its place and its mend; prints as ``file:line: path: what; mend``."""

    file: str
    line: int
    path: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        path = f"{self.path}: " if self.path else ""
        return f"{place}{path}{self.what}" + (f"; {self.mend}" if self.mend else "")


class ConfigError(PyeltError):
    """A project cannot be used as it is written; carries every problem that was found, in the order of the files."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count} in the configuration:", *(f"  {problem}" for problem in problems)]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class IdentifierError(PyeltError):
    """A name cannot be used in PostgreSQL: empty, longer than 63 bytes, or with a NUL in it."""


class DeliveryRefused(PyeltError):
    """A delivery is missing or cannot be read as declared; nothing of it was loaded and the warehouse is unchanged."""


class DeliveryMissing(DeliveryRefused):
    """The delivery is not there (yet); the task that looks for it may wait up to `wait_for` and look again."""

    wait_for: timedelta = timedelta(0)


class RejectionsRefused(PyeltError):
    """A load rejects more rows than the limit of their table; nothing of it was loaded and the warehouse is unchanged."""


class DdlRefused(PyeltError):
    """A table would have to change in a way that loses or rewrites data; the message has the statement for a DBA."""


class OrderRefused(PyeltError):
    """A run is older than what its pipe has loaded already; the message names the command that makes it possible."""


class OlderRunOpen(PyeltError):
    """An older run of the same pipe is still open; the task that meets it waits and looks again."""


class MappingRefused(PyeltError):
    """A mapping cannot be loaded as it is written now; the message has its place and the way out."""


class StageFailed(PyeltError):
    """A stage ended failed; the message names every mapping that failed and why."""

"""One loading of a project: what it registers, what is wrong in it, and what `Pipeline.run` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyelt_provider.config.spots import Problems
from pyelt_provider.errors import Problem, PyeltError
from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.written import here


class PyeltException(PyeltError):
    """``pyelt.helpers.exceptions``: what PyELT raises; here mostly a problem of the project instead."""


class RunReached(BaseException):
    """Ends the program at its first run while it is loaded; not an Exception, so that no program catches it."""


@dataclass(slots=True)
class Session:
    """What is known of a project while its program runs. `roots` are the folders that its files are named below.

    `runner` does what `Pipeline.run` asks for; without one, loading ends there.
    """

    roots: tuple[Path, ...] = ()
    problems: Problems = field(default_factory=Problems)
    pipeline: Any = None
    general_config: dict[str, Any] | None = None
    runner: Callable[[Any, tuple[str, ...], tuple[str, ...] | None], Any] | None = None
    is_loading: bool = False

    def shown(self, place: Place) -> Place:
        """Return the place with its file named below the project, where it lies there."""
        for root in self.roots:
            try:
                return Place(str(Path(place.file).relative_to(root)), place.line)
            except ValueError:
                continue
        return place

    def wrong(self, place: Place, path: str, what: str, mend: str = "") -> None:
        """Report a problem of the program."""
        at = self.shown(place)
        self.problems.add(Problem(at.file, at.line, path, what, mend))


_SESSION: ContextVar[Session | None] = ContextVar("pyelt_session", default=None)
_OUTSIDE = Session()


def current() -> Session:
    """Return the session of the project that is being loaded; outside of one, the process's own."""
    return _SESSION.get() or _OUTSIDE


@contextmanager
def entered(session: Session) -> Iterator[Session]:
    """Make the session the current one for a while."""
    token = _SESSION.set(session)
    try:
        yield session
    finally:
        _SESSION.reset(token)


def misused(what: str, mend: str) -> None:
    """Report a wrong call of the front at the line that makes it; outside of a loading, raise it."""
    session = current()
    if session is _OUTSIDE:
        raise PyeltException(f"{here()}: {what}; {mend}")
    session.wrong(here(), "", what, mend)

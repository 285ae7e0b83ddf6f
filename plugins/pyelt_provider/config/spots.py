"""Where each value of a config stands: a tree of lines beside the data, and a cursor that knows its own path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from pyelt_provider.errors import Problem
from pyelt_provider.model.connection import masked
from pyelt_provider.model.place import NOWHERE, Place

Key = str | int


@dataclass(slots=True)
class Spot:
    """The line of one value and of everything inside it.

    `removed` are the keys that were refused and taken out: whoever misses them later has been told. `number` is a list
    item's place in the file, where items before it were taken out. `file` is where the value stands, where that is
    another file than the one around it.
    """

    line: int
    children: dict[Key, Spot] = field(default_factory=dict)
    removed: set[Key] = field(default_factory=set)
    number: int | None = None
    file: str | None = None

    def at(self, key: Key) -> Spot:
        """Return the spot of a part; where it is not written (a default), the spot of the whole."""
        child = self.children.get(key)
        return child if child is not None else Spot(self.line, file=self.file)


class Problems:
    """Collects what is wrong, each thing once, and gives it back in the order of files and lines."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, problem: Problem) -> None:
        self._found.setdefault(problem)

    def sorted(self) -> tuple[Problem, ...]:
        """Return the problems by file and line; the pipeline's and the domain's files come before the pipes'."""
        return tuple(sorted(self._found, key=lambda problem: (problem.file.count("/"), problem.file, problem.line)))


class Cursor:
    """A value of a config file on the way down: where it stands, and where its problems go. Not to be changed."""

    __slots__ = ("_above", "_key", "_path", "file", "problems", "spot")
    _above: Cursor
    _key: Key
    _path: str | None

    def __init__(self, file: str, spot: Spot, path: str, problems: Problems) -> None:
        self.file = file
        self.spot = spot
        self.problems = problems
        self._path = path

    def __truediv__(self, key: Key) -> Cursor:
        below: Cursor = object.__new__(Cursor)
        spot = self.spot.children.get(key)
        below.spot = spot = spot if spot is not None else Spot(self.spot.line)
        below.file = self.file if spot.file is None else spot.file
        below.problems = self.problems
        below._path = None
        below._above = self
        below._key = key if spot.number is None else spot.number
        return below

    @property
    def path(self) -> str:
        """The keys on the way down, as one text; made when somebody asks, since hardly anything is wrong."""
        if self._path is None:
            self._path = _joined(self._above.path, self._key)
        return self._path

    @property
    def place(self) -> Place:
        return Place(self.file, self.spot.line) if self.file else NOWHERE

    def wrong(self, what: str, mend: str = "") -> None:
        """Report what is wrong here; passwords in the text are masked."""
        self.problems.add(Problem(self.file, self.spot.line, self.path, masked(what), masked(mend)))

    def unknown(self, kind: str, name: str, known: Iterable[str], owner: str = "") -> None:
        """Report a name that nothing (or nothing of the owner) has, with the nearest one that there is."""
        self.wrong(f"{owner} has no {kind} {name!r}" if owner else f"there is no {kind} {name!r}", nearest(name, known))


def _joined(path: str, key: Key) -> str:
    if isinstance(key, int):
        return f"{path}[{key + 1}]"
    return f"{path}.{key}" if path else key


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the mend for an unknown name: the nearest known one, else all of them when they are few."""
    names = list(dict.fromkeys(known))
    folded = {item.casefold(): item for item in reversed(names)}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    if not names:
        return "there is none yet"
    shown = ", ".join(names[:12])
    return f"known: {shown}" + (", ..." if len(names) > 12 else "")

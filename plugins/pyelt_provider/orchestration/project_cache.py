"""Remembers the plans of a project that was read, so that a task that starts does not read and check it all again.

Airflow runs each DAG file anew in a fresh process, for every parse and every task. Reading YAML and checking it takes
longer than building a DAG of it, most of it for the machinery that finds mistakes, and there are none in a file that was
read before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyelt_provider import model
from pyelt_provider.planning.plan import Plan, build_plans

_VARIABLE = re.compile(rb"\$\{\s*([A-Za-z_][A-Za-z0-9_]*)")
_PYTHON_PROJECTS = ("config.py", "configs.py")
_SUBFOLDERS = ("pipes", "datamarts", "functions")
_READ = (".yaml", ".yml", ".sql", ".py")
_CODE = (".", "model", "config", "planning")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is kept: the plans, the files that they came from, and the environment variables that those name.

    `others` are the files that the project's own files name: extra SQL, hooks.
    """

    look: str
    others: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    plans: tuple[Plan, ...]


def cached_plans(folder: Path, remembered: Path) -> tuple[Plan, ...]:
    """Return the plans of a project folder, from the folder `remembered` when nothing that they came from has changed.

    Looks at names, times and sizes of the files that a project is read from (not at deliveries and logs that lie beside
    them) and of our own code, and at the environment variables that they name. Projects in Python are always read, since
    they may ask for anything. What was remembered and cannot be read, written or trusted is no error. Raises ConfigError
    as reading does; only a project without a mistake is remembered, and none with a password in a URL, which would lie
    on the disk then (connection ids keep it out of the project).
    """
    if any((folder / name).is_file() for name in _PYTHON_PROJECTS):
        return _read(folder)
    file = remembered / f"{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:24]}.pickle"
    entry = _load(file)
    if (
        entry is not None
        and entry.look == _look_of(folder, entry.others)
        and all(_digest_of(name) == seen for name, seen in entry.variables)
    ):
        return entry.plans
    before = _look_of(folder)
    plans = _read(folder)
    if plans[0].pipeline.python is not None:
        return plans  # a program may ask for anything
    others = _others(plans)
    look, names = _look_of(folder, others), _variables_in(folder, others)
    if plans[0].pipeline.secrets:
        file.unlink(missing_ok=True)
    elif look is not None and names is not None and _look_of(folder) == before:  # else somebody wrote while we read
        _store(file, _Entry(look, others, tuple((name, _digest_of(name)) for name in names), plans))
    return plans


def _read(folder: Path) -> tuple[Plan, ...]:
    from pyelt_provider.config.reading import read_pipeline

    return build_plans(read_pipeline(folder))


def _others(plans: tuple[Plan, ...]) -> tuple[str, ...]:
    """Return the files of the project that its own files name."""
    pipes = plans[0].pipeline.pipes
    named = {extra.file for pipe in pipes for extra in pipe.extra_sql}
    named |= {hook.file for pipe in pipes for hook in (*pipe.before_sor, *pipe.after_sor)}
    return tuple(sorted(name for name in named if name is not None))


def _files_of(folder: Path, others: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Give the files that the project is read from; OSError when one of them goes away meanwhile."""
    yield from _files_in(str(folder))
    for name in _SUBFOLDERS:
        if (folder / name).is_dir():
            yield from _files_in(str(folder / name))
    for name in others:
        path = folder / name
        yield str(path), path.stat()


def _files_in(folder: str) -> list[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        return sorted((entry.path, entry.stat()) for entry in entries if entry.name.endswith(_READ))


def _look_of(folder: Path, others: Iterable[str] = ()) -> str | None:
    """Return a digest of what a project's files look like and of the code that turns them into plans."""
    digest = hashlib.sha256(f"{folder.absolute()}\n{_look_of_code()}\n".encode())
    try:
        for path, status in _files_of(folder, others):
            digest.update(_line(path, status))
    except OSError:
        return None
    return digest.hexdigest()


@cache
def _look_of_code() -> str:
    """Return a digest of Python and of our code, which does not change any more once it is imported."""
    package = Path(next(iter(model.__path__))).parent
    digest = hashlib.sha256(sys.version.encode())
    for name in _CODE:
        for path, status in _files_in(str(package / name)):
            digest.update(_line(path, status))
    return digest.hexdigest()


def _line(path: str, status: os.stat_result) -> bytes:
    return f"{path}\n{status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}\n".encode()


def _variables_in(folder: Path, others: Iterable[str]) -> list[str] | None:
    """Return the names of the environment variables that the project's files name, sorted."""
    try:
        texts = [Path(path).read_bytes() for path, _ in _files_of(folder, others)]
    except OSError:
        return None
    return sorted({name.decode() for text in texts for name in _VARIABLE.findall(text)})


def _digest_of(variable: str) -> str:
    # Not the value itself: it may be a password.
    value = os.environ.get(variable)
    return "" if value is None else hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()


def _load(file: Path) -> _Entry | None:
    with contextlib.suppress(Exception):  # whatever is wrong with it, the project itself is there to be read
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            # Reading a pickle is running it: only what this user wrote, and nobody else could change.
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            entry = pickle.loads(opened.read())
        if isinstance(entry, _Entry):
            return entry
    return None


def _store(file: Path, entry: _Entry) -> None:
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made readable for its owner only, and put in place whole: several processes may do this at once.
        handle, name = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as writing:
                writing.write(pickle.dumps(entry, protocol=pickle.HIGHEST_PROTOCOL))
            Path(name).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

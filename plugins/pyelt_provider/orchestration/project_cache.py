"""Remembers the plans of a project that was read, so that a task that starts does not read and check it all again.

Airflow runs each DAG file anew in a fresh process, for every parse and every task. Reading YAML and checking it takes ten
times as long as building a DAG of it, most of it for the machinery that finds mistakes, and there are none in a file
that was read before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyelt_provider import model
from pyelt_provider.planning.plan import Plan, build_plans

_VARIABLE = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_PYTHON_PROJECTS = ("config.py", "configs.py")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is kept: the plans, what the files looked like, and the environment variables that they name."""

    files: str
    variables: tuple[tuple[str, str], ...]
    plans: tuple[Plan, ...]


def cached_plans(folder: Path, cache: Path) -> tuple[Plan, ...]:
    """Return the plans of a project folder, from the `cache` folder when nothing that they came from has changed.

    Looks at names, times and sizes of all files of the project and of our own code, and at the environment variables
    that the project names. Projects in Python are always read, since they may ask for anything. A cache that cannot be
    read or written is no error. Raises ConfigError as reading does; only a project without a mistake is remembered.
    """
    if any((folder / name).is_file() for name in _PYTHON_PROJECTS):
        return _read(folder)
    files = _look_of(folder)
    entry_file = cache / f"{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:24]}.pickle"
    entry = _load(entry_file)
    if entry is not None and entry.files == files and all(_digest_of(name) == seen for name, seen in entry.variables):
        return entry.plans
    plans = _read(folder)
    names = sorted({name.decode() for file in _texts(folder) for name in _VARIABLE.findall(file.read_bytes())})
    if _look_of(folder) == files:  # else somebody wrote while we read
        _store(entry_file, _Entry(files, tuple((name, _digest_of(name)) for name in names), plans))
    return plans


def _read(folder: Path) -> tuple[Plan, ...]:
    from pyelt_provider.config.reading import read_pipeline

    return build_plans(read_pipeline(folder))


def _texts(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def _look_of(folder: Path) -> str:
    """Return a digest of the names, times and sizes of a project's files and of the code that turns them into plans."""
    package = Path(next(iter(model.__path__))).parent
    digest = hashlib.sha256(f"{sys.version}\n{folder.absolute()}\n".encode())
    for root in (folder, package / "model", package / "config", package / "planning"):
        for path, status in sorted(_statuses(str(root))):
            digest.update(f"{path}\n{status.st_mtime_ns} {status.st_size} {status.st_ino}\n".encode())
    return digest.hexdigest()


def _statuses(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _statuses(entry.path)
            else:
                yield entry.path, entry.stat()


def _digest_of(variable: str) -> str:
    # Not the value itself: it may be a password.
    value = os.environ.get(variable)
    return "" if value is None else hashlib.sha256(value.encode()).hexdigest()


def _load(file: Path) -> _Entry | None:
    with contextlib.suppress(Exception):  # whatever is wrong with it, the project itself is there to be read
        entry = pickle.loads(file.read_bytes())
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

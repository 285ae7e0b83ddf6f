"""What the tests of this folder share: the starting states, and the processes that run disturbed nights."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg2

from crash.night import Scenario
from crash.project import FIRST, SECOND, WRONG, Delivery, write_project
from databases import Database
from grants import grant_reading
from pyelt_provider.embedded.server import EmbeddedServer

PROCESSES = max(2, min(4, (os.cpu_count() or 2) // 2))
TIMEOUT = 3 * 60 * 60


@dataclass(frozen=True)
class Undisturbed:
    """A scenario, and for each of its stages the instants and the state after it when nothing goes wrong."""

    scenario: Scenario
    stages: tuple[dict[str, Any], ...]
    expected: Path

    def instants(self, stage: str) -> list[str]:
        return next(entry["instants"] for entry in self.stages if entry["stage"] == stage)

    @property
    def most(self) -> int:
        return max(len(entry["instants"]) for entry in self.stages)

    def job(self, at: dict[str, int]) -> dict[str, Any]:
        """A night in which each stage is killed at its instant."""
        return {"scenario": asdict(self.scenario), "at": at, "expected": str(self.expected)}


class Ground:
    """A folder with the project, a server with the starting states, and the scenarios that begin with them.

    A scenario is loaded when a test asks for it, with what it starts from: `first` an empty warehouse, `second` one
    after a night, `cleared` one whose second night was loaded from a wrong delivery.
    """

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self._prefix = f"crash_{os.getpid()}_{next(_grounds)}"
        self._made: dict[str, Undisturbed] = {}
        self._databases: list[str] = []
        write_project(folder)

    def run(self, jobs: Sequence[dict[str, Any]], module: str = "crash.night") -> list[dict[str, Any]]:
        """Do the jobs in several processes; what each night told, in the order of the jobs."""
        told = run_jobs(self.server, self.folder, jobs, module)
        return [told[place] for place in range(len(jobs))]

    def scenario(self, name: str) -> Undisturbed:
        """Return a scenario; the files of its delivery lie there from now on."""
        if name not in self._made:
            self._made[name] = self._load(name)
        _STARTS[name].delivery.write_files(self.folder)
        return self._made[name]

    def _load(self, name: str) -> Undisturbed:
        start = _STARTS[name]
        if start.after:
            self.scenario(start.after)
        start.delivery.write_files(self.folder)
        template = self._named(f"after_{start.after}") if start.after else "template0"
        keep = self._named(f"after_{name}") if name in {other.after for other in _STARTS.values()} else ""
        scenario = Scenario(name, template, self._source(name, start.delivery), start.delivery.day)
        (told,) = self.run([{"scenario": asdict(scenario), "keep": keep}])
        expected = self.folder / f"{name}.json"
        expected.write_text(json.dumps(told))
        return Undisturbed(scenario, tuple(told), expected)

    def _source(self, name: str, delivery: Delivery) -> str:
        database = self._named(f"source_{name}")
        self.server.ensure_database(database)
        delivery.write_source(Database(database, self.server.url(database)))
        return grant_reading(self.server.url(database))

    def _named(self, what: str) -> str:
        name = f"{self._prefix}_{what}"
        self._databases.append(name)
        return name

    def remove(self) -> None:
        with contextlib.closing(psycopg2.connect(self.server.url("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for database in self._databases:
                    cursor.execute(f'drop database if exists "{database}" with (force)')


@dataclass(frozen=True)
class _Start:
    """The scenario after which another one begins ('': with nothing), and what is delivered in it."""

    after: str
    delivery: Delivery


_STARTS = {
    "first": _Start("", FIRST),
    "second": _Start("first", SECOND),
    "wrong": _Start("first", WRONG),
    "cleared": _Start("wrong", SECOND),
}
_grounds = itertools.count(1)


def run_jobs(
    server: EmbeddedServer, folder: Path, jobs: Sequence[dict[str, Any]], module: str = "crash.night"
) -> dict[int, Any]:
    numbered = list(enumerate(jobs))
    shares = [share for start in range(PROCESSES) if (share := numbered[start::PROCESSES])]
    with ThreadPoolExecutor(len(shares)) as threads:
        parts = threads.map(lambda share: _run_share(server, folder, share, module), shares)
        return {place: told for part in parts for place, told in part.items()}


def _run_share(
    server: EmbeddedServer, folder: Path, share: Sequence[tuple[int, dict[str, Any]]], module: str
) -> dict[int, Any]:
    order = {
        "folder": str(folder),
        "server": server.url("postgres"),
        "data_folder": str(server.data_folder),
        "jobs": [job for _, job in share],
    }
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {place: json.loads(line) for (place, _), line in zip(share, done.stdout.splitlines(), strict=True)}


@contextlib.contextmanager
def ground(server: EmbeddedServer) -> Iterator[Ground]:
    """Give a ground on the server, and take its databases and files away at the end."""
    with tempfile.TemporaryDirectory(prefix="pyelt-crash-") as place:
        made = Ground(server, Path(place))
        try:
            yield made
        finally:
            made.remove()

"""What the tests of this folder share: the starting states, and the processes that run disturbed nights."""

from __future__ import annotations

import contextlib
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

from crash.night import Scenario
from crash.project import FIRST, SECOND, WRONG, write_project
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


@dataclass(frozen=True)
class Ground:
    """A folder with the project, a server with the starting states, and the scenarios that begin with them."""

    server: EmbeddedServer
    folder: Path
    scenarios: tuple[Undisturbed, ...]

    def run(self, jobs: Sequence[dict[str, Any]], module: str = "crash.night") -> list[dict[str, Any]]:
        """Do the jobs in several processes; what each night told, in the order of the jobs."""
        told = run_jobs(self.server, self.folder, jobs, module)
        return [told[place] for place in range(len(jobs))]


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
    """Load what the scenarios start from: an empty warehouse, one after a night, and one with a wrong second night."""
    prefix = f"crash_{os.getpid()}"
    kept = {name: f"{prefix}_{name}" for name in ("after_first", "after_wrong")}
    sources = {name: f"{prefix}_source_{name}" for name in ("first", "second", "wrong")}
    with tempfile.TemporaryDirectory(prefix="pyelt-crash-") as place:
        folder = Path(place)
        write_project(folder)
        readers = {}
        for (_, database), delivery in zip(sources.items(), (FIRST, SECOND, WRONG), strict=True):
            server.ensure_database(database)
            delivery.write_source(Database(database, server.url(database)))
            readers[database] = grant_reading(server.url(database))

        def scenario(name: str, template: str, delivered: str, day: str) -> Scenario:
            return Scenario(name, template, readers[sources[delivered]], day)

        def run(chosen: Scenario, keep: str = "") -> Undisturbed:
            told = run_jobs(server, folder, [{"scenario": asdict(chosen), "keep": keep}])[0]
            expected = folder / f"{chosen.name}.json"
            expected.write_text(json.dumps(told))
            return Undisturbed(chosen, tuple(told), expected)

        FIRST.write_files(folder)
        first = run(scenario("first", "template0", "first", FIRST.day), kept["after_first"])
        WRONG.write_files(folder)
        run(scenario("wrong", kept["after_first"], "wrong", WRONG.day), kept["after_wrong"])
        SECOND.write_files(folder)
        second = run(scenario("second", kept["after_first"], "second", SECOND.day))
        cleared = run(scenario("cleared", kept["after_wrong"], "second", SECOND.day))
        try:
            yield Ground(server, folder, (first, second, cleared))
        finally:
            maintenance = Database("postgres", server.url("postgres"))
            with contextlib.closing(maintenance.connect()) as connection, connection.cursor() as cursor:
                connection.rollback()
                connection.autocommit = True
                for database in (*kept.values(), *sources.values()):
                    cursor.execute(f'drop database if exists "{database}" with (force)')

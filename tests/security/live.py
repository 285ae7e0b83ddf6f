"""A running Airflow with projects of a test: the demo's stack on a dags folder of its own, and all that it has written."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg2

from grants import grant_loading, grant_reading
from pyelt_provider.demo.places import Places
from pyelt_provider.demo.settings import DemoSettings
from pyelt_provider.demo.stack import DemoStack

PATIENCE_SECONDS = 400
ON_PURPOSE = ("environment", "postgres.json", "airflow/demo.json", "airflow/passwords.json")
"""The files of the demo that hold its secrets, for their owner only."""


class LiveStack(DemoStack):
    """PostgreSQL and Airflow on thrown-away files, with the projects below `configs`, which a test writes."""

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        super().__init__(Places(project=home / "project", home=home), port=_free_port(), say=lambda _: None)
        self.variables = dict(variables)
        self.places.dags.mkdir(parents=True)
        self.configs.mkdir()

    @property
    def configs(self) -> Path:
        return self.places.project / "configs"

    @property
    def environment(self) -> dict[str, str]:
        assert self._components is not None
        return self._components.environment

    def role(self, role: str, database: str, password: str) -> None:
        """Give a role of the docs its rights on a database, and another password."""
        self.server.ensure_database(database)
        (grant_loading if role == "loader" else grant_reading)(self.server.url(database))
        with contextlib.closing(psycopg2.connect(self.server.url(database))) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"alter role {role} password %s", (password,))
            connection.commit()

    def load(self, dag_id: str, moment: str = "2026-01-05T00:00:00Z") -> str:
        """Run a DAG through the scheduler, and return how it ended."""
        self._wait(lambda: dag_id in self.api.dags(dag_id), f"{dag_id} is not there: {self.api.import_errors()}")
        self.api.unpause(dag_id)
        self.api._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": moment, "dag_run_id": "by_hand"})
        self._wait(lambda: all(run.ended for run in self.api.runs(dag_id)), f"{dag_id} does not end")
        return next(run.state for run in self.api.runs(dag_id) if run.run_id == "by_hand")

    def pyelt(self, *arguments: str, **variables: str) -> str:
        """Run the command in the environment of the stack, and return all that it says."""
        done = subprocess.run(
            [sys.executable, "-m", "pyelt_provider.command_line.main", *arguments],
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.places.project,
        )
        return f"{done.returncode}\n{done.stdout}\n{done.stderr}"

    def files(self) -> Iterator[tuple[str, str]]:
        """Everything on the disk but what PostgreSQL keeps in its own files, and what holds secrets on purpose."""
        for path in self.places.home.rglob("*"):
            name = str(path.relative_to(self.places.home))
            if path.is_file() and name not in ON_PURPOSE and not name.startswith("postgres/cluster"):
                yield name, path.read_text(encoding="latin-1")

    def tables(self, database: str) -> Iterator[tuple[str, str]]:
        """Every value of every column of every table of a database, and every comment."""
        with (
            contextlib.closing(psycopg2.connect(self.server.url(database))) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace "
                "where relkind in ('r', 'm', 'v', 'p') and nspname !~ '^(pg_|information_schema)'"
            )
            names = [row[0] for row in cursor.fetchall()]
            for name in [*names, "pg_catalog.pg_description", "pg_catalog.pg_shdescription"]:
                cursor.execute(f"select * from {name}")
                for row in cursor:
                    yield f"{database}: {name}", " ".join(_text(value) for value in row)

    def _environment(self, settings: DemoSettings) -> dict[str, str]:
        faster = {
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        }
        return super()._environment(settings) | faster | self.variables

    def _write_deliveries(self) -> None:
        """The tests write their own."""

    def _wait(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            self.check()
            assert time.monotonic() < deadline, what
            time.sleep(0.5)


def _text(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, memoryview) else str(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write a project, and the file by which Airflow finds it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    dags = folder.parent.parent / "dags"
    (dags / f"{folder.name}.py").write_text(
        "from pyelt_provider.orchestration.factory import build_dags  # the Airflow DAGs\n"
        f'globals().update(build_dags("{folder.name}"))\n'
    )


def variables_of(process: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a component needs of ours to find the package in this checkout."""
    return {"PYTHONPATH": str(Path(__file__).parents[2] / "plugins"), "HOME": process.get("HOME", "/root")}

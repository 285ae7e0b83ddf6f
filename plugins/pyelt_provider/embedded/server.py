"""The embedded PostgreSQL as its users see it: start or reuse it, name a database, get its URL, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg2
from psycopg2 import sql

from pyelt_provider.embedded.account import Account, server_account
from pyelt_provider.embedded.binaries import Binaries, find_binaries, reachable
from pyelt_provider.embedded.cluster import check_version, make_cluster, write_configuration
from pyelt_provider.embedded.failure import EmbeddedServerError, last_lines
from pyelt_provider.embedded.postmaster import clear_leftovers, running_postmaster, stop_postmaster
from pyelt_provider.embedded.settings import HOST, USER, Memory, new_password, recall, remember

START_SECONDS = 120
START_ATTEMPTS = 5
LAST_RESORT = Path("/var/lib/pyelt-embedded")
"""Where root's server files go when the data folder is closed to the account that has to run PostgreSQL."""


class EmbeddedServer:
    """One PostgreSQL server on the files of one data folder; several processes may use it at the same time.

    The server listens on 127.0.0.1 only, has one user with a generated password, and outlives the process that started
    it: a crash of the caller loses nothing, the next `start` finds it running. Guarded by a file lock, so any number
    of processes may start and stop it at once.
    """

    def __init__(
        self,
        data_folder: Path,
        *,
        port: int | None = None,
        extra_settings: Mapping[str, str] | None = None,
        binaries: Binaries | None = None,
    ) -> None:
        """Describe the server; nothing happens yet.

        `port` is the port to use, an error when it is taken; without it a free one is chosen and kept over restarts as
        long as nobody else takes it. `extra_settings` go over the settings for the demo. `binaries` are another PostgreSQL
        than the first one that is found.
        """
        self.data_folder = data_folder.absolute()
        self._wanted_port = port
        self._extra = dict(extra_settings or {})
        self._binaries = binaries
        self._memory: Memory | None = None

    def start(self) -> EmbeddedServer:
        """Make the server's files when there are none, start it when it does not run, and return self when it answers.

        Raises EmbeddedServerError with the end of the server's log, or with what is in the way: a port that is taken, a
        folder of another major version, no PostgreSQL to start.
        """
        self.data_folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            account = server_account()
            files = self._files(account)
            if files.parent == LAST_RESORT:
                LAST_RESORT.mkdir(mode=0o755, exist_ok=True)
            files.mkdir(mode=0o700, exist_ok=True)
            account.own(files)
            binaries = self._reachable(files, account)
            memory = self._ensure_cluster(files, binaries, account)
            self._memory = self._ensure_running(files, binaries, account, memory)
        return self

    def stop(self) -> None:
        """Stop the server, whoever started it; open sessions are ended, nothing committed is lost, again is safe."""
        if not self.data_folder.exists():
            return
        with self._lock():
            stop_postmaster(self._cluster(self._files(server_account())))

    def remove(self) -> None:
        """Stop the server and remove its files, with every database in them."""
        if not self.data_folder.exists():
            return
        self.stop()
        with self._lock():
            shutil.rmtree(self._files(server_account()), ignore_errors=True)
            with contextlib.suppress(OSError):
                LAST_RESORT.rmdir()  # only when nothing else is in it
            self._memory_file.unlink(missing_ok=True)

    def url(self, database: str) -> str:
        """Return ``postgresql://user:password@127.0.0.1:port/database``; only after `start`."""
        memory = self._started()
        return f"postgresql://{USER}:{memory.password}@{HOST}:{memory.port}/{database}"

    @property
    def port(self) -> int:
        """The port that the server listens on; only after `start`."""
        return self._started().port

    @property
    def process_id(self) -> int:
        """The process number of the running server; raises EmbeddedServerError when it does not run."""
        postmaster = running_postmaster(self._cluster(self._files(server_account())))
        if postmaster is None:
            raise EmbeddedServerError(f"no PostgreSQL runs on {self.data_folder}; call start() first")
        return postmaster.process.pid

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._files(server_account()) / "server.log"

    def program(self, name: str) -> Path:
        """Return the path of one of PostgreSQL's programs, such as ``psql`` or ``pg_dump``, of the server's version."""
        account = server_account()
        return self._reachable(self._files(account), account).program(name)

    def ensure_database(self, name: str) -> None:
        """Make an empty database of that name unless there is one; safe when several processes do it at once."""
        with contextlib.closing(psycopg2.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", (name,))
                if cursor.fetchone() is not None:
                    return
                # Two sessions that create it at once: one of them gets either of these errors, and the database exists.
                with contextlib.suppress(psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
                    cursor.execute(sql.SQL("create database {}").format(sql.Identifier(name)))

    def _reachable(self, files: Path, account: Account) -> Binaries:
        return reachable(self._binaries or find_binaries(), account, files / "binaries")

    def _ensure_cluster(self, files: Path, binaries: Binaries, account: Account) -> Memory:
        cluster = self._cluster(files)
        memory = recall(self._memory_file)
        if cluster.exists():
            check_version(cluster, binaries)
            if memory is None:
                raise EmbeddedServerError(
                    f"{self._memory_file} with the server's password is gone, so {cluster} cannot be opened; "
                    "put the file back, or remove the data folder and load again"
                )
            return memory
        memory = Memory(password=new_password(), port=self._wanted_port or 0)
        remember(self._memory_file, memory)
        sync = self._extra.get("fsync", "on") != "off"
        log = files / "initdb.log"
        make_cluster(cluster, binaries, account, password=memory.password, log=log, sync=sync)
        return memory

    def _ensure_running(self, files: Path, binaries: Binaries, account: Account, memory: Memory) -> Memory:
        cluster = self._cluster(files)
        postmaster = running_postmaster(cluster)
        if postmaster is None:
            clear_leftovers(cluster)
            return self._launch(files, binaries, account, memory)
        deadline = time.monotonic() + START_SECONDS
        while postmaster is not None and time.monotonic() < deadline:
            if postmaster.ready and self._answers(memory.with_port(postmaster.port)):
                return self._keep(memory.with_port(postmaster.port))
            time.sleep(0.1)
            postmaster = running_postmaster(cluster)
        if postmaster is None:  # it was on its way down
            clear_leftovers(cluster)
            return self._launch(files, binaries, account, memory)
        raise EmbeddedServerError(
            f"a PostgreSQL runs on {cluster} (process {postmaster.process.pid}) but does not let us in; "
            f"the end of {self.log} says:\n{last_lines(self.log)}"
        )

    def _launch(self, files: Path, binaries: Binaries, account: Account, memory: Memory) -> Memory:
        cluster, log = self._cluster(files), files / "server.log"
        for attempt in range(1, START_ATTEMPTS + 1):
            port = self._choose_port(memory.port if attempt == 1 else 0)
            write_configuration(cluster, account, port=port, extra=self._extra)
            command: list[str | Path] = [binaries.program("pg_ctl"), "start", "-D", cluster]
            command += ["-l", log, "-w", "-t", str(START_SECONDS)]
            try:
                account.run(command, folder=files, log=files / "pg_ctl.log", what="starting PostgreSQL (pg_ctl)")
            except EmbeddedServerError as error:
                # Between our look at the port and the server's use of it, somebody else may have taken it.
                if self._wanted_port is None and attempt < START_ATTEMPTS and not _is_free(port):
                    continue
                raise EmbeddedServerError(f"{error}\nand {log} says:\n{last_lines(log)}") from None
            return self._keep(memory.with_port(port))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _choose_port(self, remembered: int) -> int:
        if self._wanted_port is not None:
            if not _is_free(self._wanted_port):
                raise EmbeddedServerError(
                    f"port {self._wanted_port} of {HOST} is taken by another program; choose another one, or none "
                    "so that a free one is found"
                )
            return self._wanted_port
        return remembered if remembered and _is_free(remembered) else _free_port()

    def _keep(self, memory: Memory) -> Memory:
        if memory != recall(self._memory_file):
            remember(self._memory_file, memory)
        return memory

    def _answers(self, memory: Memory) -> bool:
        try:
            psycopg2.connect(
                host=HOST, port=memory.port, user=USER, password=memory.password, dbname="postgres", connect_timeout=5
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _started(self) -> Memory:
        if self._memory is None:
            raise EmbeddedServerError("the embedded PostgreSQL was not started by this process; call start() first")
        return self._memory

    def _files(self, account: Account) -> Path:
        """Return where the server's own files are, or will be; it belongs to the account that runs the server."""
        files = self.data_folder / "postgres"
        elsewhere = LAST_RESORT / hashlib.sha256(str(self.data_folder.resolve()).encode()).hexdigest()[:16]
        if account.switch and (elsewhere.exists() or not account.may_enter(self.data_folder)):
            return elsewhere
        return files

    @staticmethod
    def _cluster(files: Path) -> Path:
        return files / "cluster"

    @property
    def _memory_file(self) -> Path:
        return self.data_folder / "postgres.json"

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.data_folder / "postgres.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

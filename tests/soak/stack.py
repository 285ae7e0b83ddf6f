"""A real Airflow on two PostgreSQL servers whose every process can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from databases import throwaway_server
from nights.hospital import DAY_1
from pyelt_provider.demo.components import COMPONENTS
from pyelt_provider.demo.places import Places
from pyelt_provider.demo.sessions import Session, members
from pyelt_provider.demo.settings import USER, DemoSettings
from pyelt_provider.demo.stack import DemoStack
from pyelt_provider.embedded.failure import EmbeddedServerError
from pyelt_provider.embedded.server import EmbeddedServer
from soak.api import SoakApi

TESTS = Path(__file__).parents[1]

IMPATIENT = {
    # What a person waits minutes for is seen within seconds: a task without a sign of life, and those of a dead scheduler.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "100",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    # A chapter moves the DAG's end. With the default, runs are made for the new end while the tasks are those of the old one
    # for half a minute more: none, and Airflow calls such a run a success.
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
}


class SoakStack(DemoStack):
    """The demo's stack with a warehouse on a server of its own, and with a dags folder of its own."""

    def __init__(self, home: Path, warehouses: EmbeddedServer, say: Callable[[str], None]) -> None:
        # Not the demo's favourite port: several stacks may start at the same time, and each would see it free.
        super().__init__(Places(project=home / "project", home=home), port=_free_port(), say=say)
        self.places.dags.mkdir(parents=True)
        self.warehouses = warehouses
        self._api: SoakApi | None = None
        self._left: list[tuple[float, Session]] = []

    @property
    def api(self) -> SoakApi:
        """Airflow's API; one login for all calls."""
        if self._api is None:
            self._api = SoakApi(self.settings.address, USER, self.settings.password)
        return self._api

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Airflow's components, for its command line."""
        assert self._components is not None
        return self._components.environment

    def metadata(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's metadata database; nothing when it is away just now."""
        with (
            contextlib.suppress(psycopg2.OperationalError),
            contextlib.closing(psycopg2.connect(self.server.url("airflow"))) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query, parameters)
            return list(cursor.fetchall())
        return []

    def nights_with_success(self, dag_id: str) -> set[int]:
        """The nights that a DAG has loaded, counted from the first."""
        success = "select logical_date from dag_run where dag_id = %s and state = 'success'"
        return {(moment.astimezone(UTC).date() - DAY_1).days for (moment,) in self.metadata(success, dag_id)}

    def session_of(self, component: str) -> Session | None:
        """The session of a component; None when its first process has ended."""
        assert self._components is not None
        return self._components.session_of(component)

    def workers(self) -> list[psutil.Process]:
        """The scheduler's worker processes that have a task to look after, of killed schedulers too.

        An idle one is never killed: it holds the lock with which all of them read their queue, and they would wait for
        it for ever, which is nothing that a load could mend.
        """
        sessions = [session for session in (self.session_of("scheduler"),) if session is not None]
        sessions += [session for _, session in self._left]
        leaders = {session.leader for session in sessions}
        with contextlib.suppress(psutil.NoSuchProcess):
            return [
                process
                for process in members(sessions)
                if process.pid not in leaders and process.children() and "<idle>" not in _title(process)
            ]
        return []

    def kill_component(self, component: str, *, alone: bool) -> bool:
        """Kill a component without a word: its first process, or all that it started too; False when it was dead."""
        session = self.session_of(component)
        if session is None:
            return False
        if alone:
            _signal(psutil.Process(session.leader), signal.SIGKILL)
            self._left.append((time.monotonic(), session))
            # It counts as running until the system has cleared it away.
            until = time.monotonic() + 10
            while self.session_of(component) is not None and time.monotonic() < until:
                time.sleep(0.05)
            return True
        while left := members([session]):
            for process in left:
                _signal(process, signal.SIGKILL)
            time.sleep(0.05)
        return True

    def stop_server(self, server: EmbeddedServer) -> bool:
        """What ``pg_ctl stop -m immediate`` does; False when it was down."""
        with contextlib.suppress(EmbeddedServerError):
            os.kill(server.process_id, signal.SIGQUIT)
            with contextlib.suppress(EmbeddedServerError):
                while server.process_id:
                    time.sleep(0.05)
            return True
        return False

    def mend(self, *, patience: float = 40) -> list[str]:
        """Start what does not run, and end what killed schedulers left when it is old; returns what had to be started."""
        started = []
        for name, server in (("metadata", self.server), ("warehouse", self.warehouses)):
            try:
                server.process_id  # noqa: B018
            except EmbeddedServerError:
                server.start()
                started.append(name)
                if server is self.server and self._components is not None:
                    self._components.server_is(server.process_id)
        assert self._components is not None
        for name in COMPONENTS:
            if self.session_of(name) is None:
                self._components.start_again(name)
                started.append(name)
        self.end_left_workers(patience)
        return started

    def end_left_workers(self, patience: float = 0) -> None:
        """End the workers of schedulers that were killed so many seconds ago.

        Somebody has to: they keep the dead scheduler's session at the metadata database open, with its locks, and when it
        died in the wrong moment no other scheduler gives out tasks before they have gone.
        """
        old = [session for since, session in self._left if time.monotonic() - since > patience]
        self._left = [entry for entry in self._left if entry[1] not in old]
        for process in members(old):
            _signal(process, signal.SIGKILL)

    def _environment(self, settings: DemoSettings) -> dict[str, str]:
        path = os.pathsep.join(str(folder) for folder in (TESTS.parent / "plugins", TESTS))
        return super()._environment(settings) | IMPATIENT | {"PYTHONPATH": path}

    def _write_deliveries(self) -> None:
        """The hospitals write their own."""


@contextlib.contextmanager
def soak_stack(say: Callable[[str], None]) -> Iterator[SoakStack]:
    """Give a running stack on files that are thrown away."""
    with tempfile.TemporaryDirectory(prefix="pyelt-soak-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, PostgreSQL runs under another account and has to get in
        with throwaway_server() as warehouses:
            try:
                with SoakStack(home, warehouses, say) as stack:
                    yield stack
            finally:
                EmbeddedServer(home).remove()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)

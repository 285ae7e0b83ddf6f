"""The whole stack of the demo: PostgreSQL, Airflow's metadata, its components, and the sample's deliveries."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO

import psycopg2

from pyelt_provider.demo.api import Api
from pyelt_provider.demo.components import Components
from pyelt_provider.demo.environment import airflow_environment, shell_exports
from pyelt_provider.demo.failure import DemoError
from pyelt_provider.demo.places import Places
from pyelt_provider.demo.settings import USER, DemoSettings, load_settings, write_secret
from pyelt_provider.embedded.server import EmbeddedServer

HEALTHY_SECONDS = 180


class DemoStack:
    """A running demo; use it as a context manager, so that whatever happens, all that it started is stopped.

    Entering starts everything and returns when Airflow is healthy; what an earlier demo loaded is still there.
    One data folder holds one running demo at a time.
    """

    def __init__(self, places: Places, *, port: int | None = None, say: Callable[[str], None] = print) -> None:
        self.places = places
        self._wanted_port = port
        self._say = say
        self._lock: IO[str] | None = None
        self.server = EmbeddedServer(places.home, port=port_number(os.environ.get("PYELT_DEMO_POSTGRES_PORT")))
        self._components: Components | None = None
        self._settings: DemoSettings | None = None

    @property
    def settings(self) -> DemoSettings:
        """The port and login of the running demo."""
        assert self._settings is not None, "the demo is not running"
        return self._settings

    @property
    def api(self) -> Api:
        """Airflow's API as the demo's user."""
        return Api(self.settings.address, USER, self.settings.password)

    @property
    def warehouse_url(self) -> str:
        return self.server.url("warehouse")

    @property
    def lab_url(self) -> str:
        return self.server.url("lab_source")

    def __enter__(self) -> DemoStack:
        self.places.make()
        self._take_lock()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise DemoError when a component has ended by itself."""
        if self._components is not None:
            self._components.check()

    def stop(self) -> None:
        """Stop Airflow and PostgreSQL and let go of the data folder; again is safe."""
        try:
            if self._components is not None:
                self._components.stop()
        finally:
            if self._lock is not None:
                self.server.stop()
                self._lock.close()
                self._lock = None

    def _start(self) -> None:
        places = self.places
        began = time.monotonic()
        self.server.start()
        for database in ("warehouse", "airflow", "lab_source"):
            self.server.ensure_database(database)
        self._say(f"PostgreSQL runs on port {self.server.port}")
        components = self._components = self._new_components()
        components.end_earlier_ones()
        self._settings = load_settings(places.airflow / "demo.json", self._wanted_port)
        components.environment = self._environment(self._settings)
        write_secret(places.environment, shell_exports(components.environment, os.environ))
        components.guard(self.server.process_id)
        write_secret(places.airflow / "passwords.json", json.dumps({USER: self._settings.password}))
        self._migrate(components)
        components.start()
        self._say("Airflow's API server, scheduler, DAG processor and triggerer are starting")
        self._write_deliveries()
        self._wait_until_healthy(components)
        self._say(f"Airflow is healthy at {self._settings.address} after {time.monotonic() - began:.0f} s")

    def _new_components(self) -> Components:
        return Components(
            folder=self.places.project, logs=self.places.logs, sessions_file=self.places.home / "sessions.json"
        )

    def _environment(self, settings: DemoSettings) -> dict[str, str]:
        return airflow_environment(
            os.environ,
            self.places,
            settings,
            metadata_url=self.server.url("airflow"),
            warehouse_url=self.warehouse_url,
            lab_url=self.lab_url,
        )

    def _migrate(self, components: Components) -> None:
        # The command takes seconds even when there is nothing to do, so its success is remembered beside the database.
        version = importlib.metadata.version("apache-airflow-core")
        marker = self.places.airflow / "migrated"
        if marker.exists() and marker.read_text() == version and self._has_metadata():
            return
        self._say(f"Airflow {version} makes its metadata tables")
        components.run("db-migrate", "db", "migrate")
        marker.write_text(version)

    def _has_metadata(self) -> bool:
        connection = psycopg2.connect(self.server.url("airflow"))
        try:
            with connection.cursor() as cursor:
                cursor.execute("select to_regclass('alembic_version') is not null")
                row = cursor.fetchone()
                return row is not None and bool(row[0])
        finally:
            connection.close()

    def _write_deliveries(self) -> None:
        from pyelt_provider.sample.deliveries import write_deliveries

        marker = self.places.demo / "deliveries-written"
        if marker.exists():
            return
        began = time.monotonic()
        write_deliveries(self.places.data_root, self.lab_url, hold_back_late=True)
        marker.touch()
        self._say(f"The sample's deliveries are in {self.places.data_root} ({time.monotonic() - began:.1f} s)")

    def _wait_until_healthy(self, components: Components) -> None:
        api = self.api
        deadline = time.monotonic() + HEALTHY_SECONDS
        while not api.healthy():
            components.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"Airflow is not healthy after {HEALTHY_SECONDS} s; the logs in {self.places.logs} say more"
                )
            time.sleep(0.3)

    def running_process(self) -> int | None:
        """Return the process number of the demo that runs on this data folder; None when none does."""
        if not self.places.lock.exists():
            return None
        with self.places.lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                return int(lock.read())
        return None

    def _take_lock(self) -> None:
        lock = self.places.lock.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DemoError(
                f"a demo runs on {self.places.home} already (process {self.running_process()}); stop it, "
                "or give this one a data folder of its own with PYELT_HOME"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock


def port_number(text: str | None) -> int | None:
    """Return a port number from a variable or an argument; None when it is not set."""
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise DemoError(f"{text!r} is not a port number; give one from 1 to 65535")
    return int(text)

"""One Airflow for all tests of this folder: a home of its own, metadata in SQLite, no examples."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_town import Town
from databases import Database
from postbox import Postbox, postbox_server

_numbers = itertools.count(1)
HOME = Path(tempfile.mkdtemp(prefix="pyelt-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
(HOME / "dags").mkdir()
# Airflow reads its settings when it is imported, which must not happen before this.
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(HOME / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__API__BASE_URL": "http://airflow.example.test:8080",
    "AIRFLOW__API_AUTH__JWT_SECRET": "tests only, but sixty-four bytes long, as the signature asks for it",
}


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """The home of an Airflow whose metadata database is ready."""
    from airflow.utils.db import initdb

    initdb()
    return HOME


@pytest.fixture
def postbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    """A mail server that is Airflow's connection `mail`."""
    with postbox_server() as (box, url):
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", url)
        yield box


@pytest.fixture
def town(airflow_home: Path, warehouse: Database) -> Iterator[Town]:
    """A project of its own name in this Airflow, and an empty warehouse."""
    town = Town(f"town_{next(_numbers)}", airflow_home, warehouse)
    yield town
    (airflow_home / "dags" / f"{town.name}.py").unlink(missing_ok=True)

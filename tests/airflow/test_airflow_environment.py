"""Connections, files and templates of a stage, as Airflow gives them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, macros

from databases import Database
from pyelt_provider.errors import PyeltError
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.orchestration.airflow_environment import AirflowEnvironment
from pyelt_provider.planning.run import Run

RUN = Run(
    number=Decimal("3.00"),
    dag_id="town",
    dag_run_id="manual__1",
    interval_start=datetime(2026, 1, 1, 1),
    interval_end=datetime(2026, 1, 2, 1),
    load_time=datetime(2026, 1, 2, 1, 5),
)


def environment(names: Mapping[str, Any] | None = None) -> AirflowEnvironment:
    return AirflowEnvironment({"dag": DAG("town"), "macros": macros, **(names or {})})


def test_a_connection_id_gives_the_drivers_arguments_without_what_only_airflow_understands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_DWH", "postgres://loader:p%40ss@db.example:5433/wh?sslmode=require&cursor=dictcursor&keepalives=1"
    )
    assert environment().warehouse(ConnectionRef("dwh")) == {
        "host": "db.example",
        "port": 5433,
        "user": "loader",
        "password": "p@ss",
        "dbname": "wh",
        "sslmode": "require",
        "keepalives": "1",
    }


def test_a_url_is_accepted_in_the_place_of_a_connection_id(warehouse: Database) -> None:
    import psycopg2

    with closing(psycopg2.connect(**environment().warehouse(ConnectionRef(warehouse.url)))) as connection:
        assert connection.info.dbname == warehouse.name
    source = environment().source_database(ConnectionRef(warehouse.url))
    assert source.dialect == "postgresql"
    with closing(source.connect()) as connection:
        assert connection.info.dbname == warehouse.name


def test_a_connection_that_airflow_does_not_have_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PyeltError, match=r"Airflow has no connection 'nowhere'; add it .*AIRFLOW_CONN_NOWHERE"):
        environment().warehouse(ConnectionRef("nowhere"))


def test_a_warehouse_that_is_no_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DWH", "mysql://loader:s3cret@db.example/wh")
    with pytest.raises(PyeltError, match="is of type 'mysql'; a PostgreSQL database is asked for") as caught:
        environment().warehouse(ConnectionRef("dwh"))
    assert "s3cret" not in str(caught.value)


def test_other_databases_are_opened_by_their_airflow_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OLD", "oracle://reader:s3cret@db.example/erp")
    source = environment().source_database(ConnectionRef("old"))
    assert source.dialect == "oracle"
    with pytest.raises(
        PyeltError, match=r"cannot open old, a connection of type 'oracle'.*install the Airflow provider"
    ):
        source.connect()  # the provider is not installed here


def test_sqlite_files_are_sources_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clinic.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("create table visits (id)")
        database.execute("insert into visits values (7)")
        database.commit()
    monkeypatch.setenv("AIRFLOW_CONN_CLINIC", f'{{"conn_type": "sqlite", "host": "{file}"}}')
    for ref in (ConnectionRef("clinic"), ConnectionRef(f"sqlite:///{file}")):
        source = environment().source_database(ref)
        assert source.dialect == "sqlite"
        with closing(source.connect()) as connection:
            assert connection.execute("select id from visits").fetchall() == [(7,)]


def test_files_are_opened_by_path_and_by_object_storage_url(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_bytes(b"id\n1\n")
    for path in (str(tmp_path / "visits.csv"), f"file://{tmp_path}/visits.csv"):
        with environment().open_file(path, None) as file:
            assert file.read() == b"id\n1\n"
    for path in (str(tmp_path / "late.csv"), f"file://{tmp_path}/late.csv"):
        with pytest.raises(FileNotFoundError):
            environment().open_file(path, None)


def test_templates_know_airflows_names_and_fall_back_on_the_run_where_airflow_has_none() -> None:
    names = {"ds": "2026-01-09", "params": {"pipes": ["north"]}}
    text = "{{ ds }}/{{ macros.ds_add(ds, -1) }}/{{ params.pipes[0] }}/{{ data_interval_end | ds_nodash }}"
    assert environment(names).render(text, RUN) == "2026-01-09/2026-01-08/north/20260102"
    assert environment().render("{{ ds }}/{{ runid }}", RUN) == "2026-01-01/3.00"
    assert environment().render("as it is: %s {x}", RUN) == "as it is: %s {x}"


def test_a_template_with_an_unknown_name_says_which() -> None:
    with pytest.raises(PyeltError, match=r"the template '\{\{ dss \}\}' cannot be filled: 'dss' is undefined"):
        environment().render("{{ dss }}", RUN)

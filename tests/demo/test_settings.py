"""What the demo remembers, and the environment that it gives to Airflow."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pyelt_provider.demo.environment import airflow_environment
from pyelt_provider.demo.failure import DemoError
from pyelt_provider.demo.places import Places, find_places
from pyelt_provider.demo.settings import DemoSettings, load_settings

PROJECT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_login_keys_and_port_stay_the_same_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    port = free_port()

    first = load_settings(file, port)

    assert load_settings(file, None) == first
    assert first.port == port
    assert first.address == f"http://127.0.0.1:{port}"
    assert len(first.jwt_secret) >= 64
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_remembered_port_that_is_taken_is_replaced_and_a_wanted_one_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "demo.json"

        with pytest.raises(DemoError, match=f"port {port} of 127.0.0.1 is taken"):
            load_settings(file, port)
        load_settings(file, free_port())
        file.write_text(file.read_text().replace(str(load_settings(file, None).port), str(port)))

        assert load_settings(file, None).port != port


def test_settings_of_another_airflow_do_not_reach_the_demo() -> None:
    settings = DemoSettings(port=18080, password="p", jwt_secret="j", secret_key="s", fernet_key="f")
    places = Places(project=PROJECT, home=PROJECT / ".pyelt")

    environment = airflow_environment(
        {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production", "AIRFLOW_CONN_DWH": "x", "LANG": "C"},
        places,
        settings,
        metadata_url="postgresql://u:p@127.0.0.1:1/airflow",
        warehouse_url="postgresql://u:p@127.0.0.1:1/warehouse",
        lab_url="postgresql://u:p@127.0.0.1:1/lab_source",
    )

    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql+psycopg2://u:p@127.0.0.1:1/airflow"
    assert environment["AIRFLOW_CONN_DWH"] == "postgresql://u:p@127.0.0.1:1/warehouse"
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:18080"
    assert environment["LANG"] == "C"


def test_one_variable_moves_the_whole_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert find_places({}).home == PROJECT / ".pyelt"
    assert find_places({"PYELT_HOME": str(tmp_path / "elsewhere")}).home == tmp_path / "elsewhere"

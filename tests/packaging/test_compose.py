"""docker-compose.yaml: its services, that they fit together, and that no secret has a value that others know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "docker-compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A file with secrets as `make compose-env` writes it."""
    file = tmp_path / "secrets.env"
    subprocess.run([PROJECT / ".ci" / "make-env", file], check=True, capture_output=True)
    return file


def compose() -> list[str] | None:
    """Return the command of Compose version 2, however it is installed; None when it is not."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            answer = subprocess.run([*command, "version", "--short"], check=False, capture_output=True, text=True)
            if answer.returncode == 0 and answer.stdout.strip().lstrip("v").startswith(("2", "3", "4", "5")):
                return command
    return None


def test_every_part_of_airflow_runs_in_a_service_of_its_own(services: dict[str, Any]) -> None:
    assert {name: service.get("command") for name, service in services.items() if name.startswith("airflow")} == {
        "airflow-init": "version",
        "airflow-apiserver": "api-server",
        "airflow-scheduler": "scheduler",
        "airflow-dag-processor": "dag-processor",
        "airflow-triggerer": "triggerer",
        "airflow-worker": "celery worker",
    }
    assert services["airflow-worker"]["deploy"]["replicas"] == 2
    assert {"metadata", "warehouse", "redis"} <= services.keys()


def test_every_service_waits_for_services_that_exist_and_can_tell_that_they_are_ready(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, wish in service.get("depends_on", {}).items():
            match wish["condition"]:
                case "service_healthy":
                    assert "healthcheck" in services[name], name
                case "service_completed_successfully":
                    assert services[name]["restart"] == "no", name


def test_every_part_of_airflow_sees_the_configs_the_dags_and_the_warehouse(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name.startswith("airflow"):
            targets = {volume.split(":")[1] for volume in map(without_variables, service["volumes"])}
            assert {"/opt/airflow/dags", "/opt/airflow/configs", "/opt/airflow/data", "/opt/airflow/logs"} <= targets
            assert service["environment"]["AIRFLOW_CONN_DWH"].startswith("postgresql://pyelt:")
            assert service["environment"]["PYELT_CONFIGS"] == "/opt/airflow/configs"


def test_ports_are_open_on_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports == ["127.0.0.1:${WAREHOUSE_PORT:-5433}:5432", "127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]


def test_every_secret_has_to_be_given_and_make_compose_env_gives_them_all(secrets: Path) -> None:
    text = FILE.read_text()
    needed = set(re.findall(r"\$\{(\w+):\?", text))
    written = {line.split("=")[0] for line in secrets.read_text().splitlines()}

    assert needed == written
    assert needed == {name for name in re.findall(r"\$\{(\w+)", text) if re.search("PASSWORD|KEY|SECRET", name)}
    assert secrets.stat().st_mode & 0o777 == 0o600


def test_secrets_that_are_there_already_are_kept(secrets: Path) -> None:
    before = secrets.read_text()

    subprocess.run([PROJECT / ".ci" / "make-env", secrets], check=True, capture_output=True)

    assert secrets.read_text() == before


def test_docker_compose_accepts_the_file_with_secrets_and_refuses_it_without(secrets: Path) -> None:
    command = compose()
    if command is None:
        assert "CI" not in os.environ, ".ci/run installs docker-compose, and it is not there"
        pytest.skip("docker compose is not installed on this machine")

    accepted = subprocess.run(
        [*command, "--file", FILE, "--env-file", secrets, "config"], capture_output=True, text=True
    )
    refused = subprocess.run(
        [*command, "--file", FILE, "--env-file", "/dev/null", "config"], capture_output=True, text=True
    )

    assert accepted.returncode == 0, accepted.stderr
    assert refused.returncode != 0
    assert "run make compose-env" in refused.stderr


def without_variables(text: str) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)

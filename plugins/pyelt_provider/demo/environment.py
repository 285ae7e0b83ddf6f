"""The environment of Airflow's components: every setting that differs from Airflow's defaults, and why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pyelt_provider.demo.places import Places
from pyelt_provider.demo.settings import HOST, USER, DemoSettings


def airflow_environment(
    inherited: Mapping[str, str],
    places: Places,
    settings: DemoSettings,
    *,
    metadata_url: str,
    warehouse_url: str,
    lab_url: str,
) -> dict[str, str]:
    """Return the whole environment for Airflow's components and for what the tasks in them see.

    Settings of another Airflow in the caller's environment are left out: one forgotten variable of it could send the
    demo to a real metadata database.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith("AIRFLOW")}
    ours = {
        "AIRFLOW_HOME": str(places.airflow),
        "AIRFLOW_CONN_DWH": warehouse_url,
        "AIRFLOW_CONN_LAB": lab_url,
        "PYELT_DATA_ROOT": str(places.data_root),
        "PYELT_CONFIGS": str(places.project / "configs"),
    }
    return kept | ours | _database(metadata_url) | _core(places) | _speed() | _web(places, settings)


def shell_exports(environment: Mapping[str, str], inherited: Mapping[str, str]) -> str:
    """Return lines for a shell which set what differs from the inherited environment, secrets included."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in environment.items() if inherited.get(name) != value
    )


def _database(metadata_url: str) -> dict[str, str]:
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_url.replace("postgresql://", "postgresql+psycopg2://", 1),
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    }


def _core(places: Places) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(places.dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(places.plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(places.task_logs),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(places.task_logs / "dag_processor"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }


def _speed() -> dict[str, str]:
    return {
        # Workers are started beforehand and each takes more than 100 MB; more of them than cores help little.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        # A worker that misses the end of its task by a moment looks again after this many seconds, its slot idle.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # After a kill, tasks which nobody runs any more are noticed within half a minute and tried again.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        # A new file in dags/ is seen within half a minute.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }


def _web(places: Places, settings: DemoSettings) -> dict[str, str]:
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(settings.port),
        # Tasks talk to the API server at this address: left out, they would all look for it at port 8080.
        "AIRFLOW__API__BASE_URL": settings.address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.address}/execution/",
        "AIRFLOW__API__SECRET_KEY": settings.secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": settings.jwt_secret,
        "AIRFLOW__CORE__FERNET_KEY": settings.fernet_key,
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(places.airflow / "passwords.json"),
    }

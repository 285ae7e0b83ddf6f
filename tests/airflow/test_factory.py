"""What a file in the dags folder gets from build_dags: its project's DAGs, quickly, or every mistake with its line."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pyelt_provider.errors import ConfigError
from pyelt_provider.orchestration.factory import build_dags
from pyelt_provider.orchestration.project_cache import cached_plans
from town_files import write_town

TWO_LINES = """\
from pyelt_provider.orchestration.factory import build_dags  # Airflow looks for this word
globals().update(build_dags("town"))
"""


def run_dag_file(file: Path) -> dict[str, Any]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TWO_LINES)
    return runpy.run_path(str(file))


def test_the_configs_folder_beside_the_dags_folder_is_found(tmp_path: Path, airflow_home: Path) -> None:
    write_town(tmp_path / "configs", "dwh")
    names = run_dag_file(tmp_path / "dags" / "night" / "town.py")
    assert names["town"].dag_id == "town"


def test_the_environment_says_where_configs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path
) -> None:
    write_town(tmp_path / "elsewhere", "dwh")
    monkeypatch.setenv("PYELT_CONFIGS", str(tmp_path / "elsewhere"))
    assert list(build_dags("town")) == ["town"]
    assert list(build_dags("town", folder=tmp_path / "elsewhere")) == ["town"]


def test_airflows_own_settings_say_where_configs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path
) -> None:
    write_town(tmp_path / "elsewhere", "dwh")
    monkeypatch.setenv("AIRFLOW__PYELT__CONFIGS_FOLDER", str(tmp_path / "elsewhere"))
    assert list(build_dags("town")) == ["town"]


def test_a_project_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"there is no project 'town' in {tmp_path}/configs/town; make it, or set PYELT"
    ):
        build_dags("town", folder=tmp_path / "configs")


def test_only_the_dag_that_is_asked_for_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path
) -> None:
    folder = write_town(tmp_path, "dwh", "schedules: {monthly: '@monthly'}\n")
    south = folder / "pipes" / "south.yaml"
    south.write_text(south.read_text() + "schedule: monthly\n")
    assert list(build_dags("town", tmp_path)) == ["town", "town__monthly"]
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "town__monthly")
    assert list(build_dags("town", tmp_path)) == ["town__monthly"]


def test_a_mistake_is_shown_with_its_line_and_not_with_the_place_where_we_noticed_it(
    tmp_path: Path, airflow_home: Path
) -> None:
    folder = write_town(tmp_path / "configs", "dwh")
    south = folder / "pipes" / "south.yaml"
    south.write_text(south.read_text().replace("to: Doctor", "to: Docter"))
    with pytest.raises(ConfigError) as caught:
        run_dag_file(tmp_path / "dags" / "town.py")
    assert "pipes/south.yaml:16: " in str(caught.value)
    assert [entry.name for entry in caught.traceback][-2:] == ["<module>", "build_dags"]


def test_what_was_read_is_remembered_until_a_file_or_a_variable_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("TOWN_OWNER", "day shift")
    folder = write_town(tmp_path / "configs", "dwh", "datatransfer_path: ${TOWN_OWNER}\n")
    first = cached_plans(folder, cache)
    [entry] = cache.iterdir()
    assert entry.stat().st_mode & 0o077 == 0
    written = entry.stat().st_mtime_ns

    assert cached_plans(folder, cache) == first
    assert entry.stat().st_mtime_ns == written

    monkeypatch.setenv("TOWN_OWNER", "night shift")
    assert cached_plans(folder, cache)[0].pipeline.transfer_path == "night shift"

    domain = folder / "domain.yaml"
    domain.write_text(domain.read_text().replace("name: text", "name: varchar"))
    assert cached_plans(folder, cache) != first


def test_a_damaged_or_forbidden_cache_is_no_harm(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = write_town(tmp_path / "configs", "dwh")
    first = cached_plans(folder, cache)
    [entry] = cache.iterdir()
    entry.write_bytes(b"cut off")
    assert cached_plans(folder, cache) == first
    assert cached_plans(folder, tmp_path / "configs" / "town" / "domain.yaml") == first


def test_a_task_that_starts_neither_reads_yaml_nor_opens_a_connection(tmp_path: Path, airflow_home: Path) -> None:
    write_town(tmp_path / "configs", "dwh")
    file = tmp_path / "dags" / "town.py"
    run_dag_file(file)
    script = f"""
import runpy, sys
names = runpy.run_path({str(file)!r})
print(len(names["town"].tasks))
unwanted = ("psycopg2", "pyelt_provider.config.reading", "pyelt_provider.execution.runner")
print([name for name in unwanted if name in sys.modules])
"""
    path = os.pathsep.join(path for path in sys.path if path)
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-2:] == ["17", "[]"]


def test_building_the_dag_of_a_task_that_starts_takes_at_most_50_milliseconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path
) -> None:
    write_town(tmp_path, "dwh")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "town")
    build_dags("town", tmp_path)
    times = []
    for _ in range(5):
        started = time.process_time()
        build_dags("town", tmp_path)
        times.append(time.process_time() - started)
    assert min(times) < 0.05

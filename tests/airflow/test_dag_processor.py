"""A broken project is seen by Airflow's own DAG processor as an import error of its own, and takes nobody down."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from town_files import write_town

DAG_FILE = """\
from pyelt_provider.orchestration.factory import build_dags  # Airflow looks for this word
globals().update(build_dags("{project}"))
"""


def test_a_broken_project_is_an_import_error_with_lines_beside_a_healthy_one(
    tmp_path: Path, airflow_home: Path
) -> None:
    write_town(tmp_path / "configs", "dwh")
    broken = write_town(tmp_path / "other", "dwh").rename(tmp_path / "configs" / "broken")
    pipeline = broken / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("pipeline: town", "pipeline: broken\nonerrors: log"))
    south = broken / "pipes" / "south.yaml"
    south.write_text(south.read_text().replace("key: [id]", "key: []"))
    dags = tmp_path / "dags"
    dags.mkdir()
    for project in ("town", "broken"):
        (dags / f"{project}.py").write_text(DAG_FILE.format(project=project))

    subprocess.run(
        [sys.executable, "-m", "airflow", "dag-processor", "--num-runs", "1"],
        env={
            **os.environ,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        check=True,
        capture_output=True,
        timeout=120,
    )

    with closing(sqlite3.connect(airflow_home / "airflow.db")) as metadata:
        errors = dict(metadata.execute("select filename, stacktrace from import_error").fetchall())
        dag_ids = [
            row[0]
            for row in metadata.execute("select dag_id from dag where not is_stale and fileloc like ?", [f"{dags}%"])
        ]
    assert dag_ids == ["town"]
    assert list(errors) == ["broken.py"]
    message = errors["broken.py"]
    traceback, _, problems = message.partition("pyelt_provider.errors.ConfigError: ")
    assert [line.split(":")[0:2] for line in problems.strip().splitlines()[1:]] == [
        ["  pipeline.yaml", "2"],
        ["  pipes/south.yaml", "10"],
    ]
    assert traceback.count("  File ") == 2  # the file in the dags folder, and build_dags

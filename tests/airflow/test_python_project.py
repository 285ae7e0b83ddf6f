"""A PyELT program as a DAG: its tasks, its functions, and the same version at every parse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_town import DAG_FILE, Town
from python_api.test_praktijk import PROJECT, deliver

LOOK = """
import sys
from pathlib import Path
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.orchestration.dag_builder import build_dag
from pyelt_provider.planning.plan import build_plans
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
plans = build_plans(read_pipeline(Path(sys.argv[1])))
print([SerializedDagModel.hash(DagSerialization.to_dict(build_dag(plan))) for plan in plans])
"""


def test_a_program_runs_in_airflow(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = town.configs / town.name
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pipeline.yaml").write_text(
        f"pipeline: {town.name}\npython: run_praktijk\nconn_dwh: {town.warehouse.url}\n"
    )
    # As PyELT expects it, the program asks where it stands.
    program = folder / "praktijk_mappings.py"
    program.write_text(program.read_text().replace('endswith("praktijk")', f'endswith("{town.name}")'))
    (town.home / "dags" / f"{town.name}.py").write_text(DAG_FILE.format(project=town.name))
    deliver(tmp_path)
    monkeypatch.setenv("PRAKTIJK_DATA", str(tmp_path))

    state, states = town.run("2026-01-05")
    assert (state, set(states.values())) == ("success", {"success"})
    assert set(states) == {
        "prepare",
        "ddl_valset",
        "ddl_dv",
        "praktijk.sor.ddl_sor",
        "praktijk.sor.check_mappings",
        "praktijk.sor.etl_sor",
        "praktijk.valset.etl_valset",
        "praktijk.dv.etl_hubs",
        "praktijk.dv.etl_links",
        "ddl_dm",
        "etl_dm",
        "close",
    }
    assert town.warehouse.rows("select count(*) from dv.patient_hub") == [(4,)]
    assert town.warehouse.rows("select wat, aantal from sor_praktijk.teller") == [("run 1.0", 5)]
    assert {"pyelt", "domein", "main"}.isdisjoint(sys.modules)


def test_a_program_gives_the_same_version_of_its_dags_in_every_process() -> None:
    path = os.pathsep.join([str(Path(__file__).parents[2] / "plugins")])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOOK, str(PROJECT)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    printed = [process.communicate()[0].strip().splitlines()[-1] for process in processes]
    assert printed[0] == printed[1] and printed[0].count("'") == 6

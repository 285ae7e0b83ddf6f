"""Airflow keeps a version of a DAG for each serialized form that it sees: it may change only when the project changed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization

from pyelt_provider.model.pipeline import AirflowSettings, Pipeline
from pyelt_provider.orchestration.dag_builder import build_dag
from pyelt_provider.planning.plan import build_plans
from visits_project import pipe, pipeline

SCRIPT = """
from test_serialized_dag import version, settled
print(version(settled()))
"""


def settled() -> Pipeline:
    return pipeline(airflow=AirflowSettings(tags=("vault", "care", "night", "town"), owner="night shift"))


def version(project: Pipeline) -> str:
    dag = build_dag(build_plans(project)[0])
    return str(SerializedDagModel.hash(DagSerialization.to_dict(dag)))  # type: ignore[no-untyped-call]


def in_a_process_with_hash_seed(seed: str) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parent.parent / "plugins")])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_serialize_the_same_project_to_the_same_version() -> None:
    processes = [in_a_process_with_hash_seed("1"), in_a_process_with_hash_seed("2")]
    versions = {process.communicate()[0].strip().splitlines()[-1] for process in processes}
    assert versions == {version(settled())}


def test_a_changed_expression_is_a_new_version() -> None:
    north, south = settled().pipes
    mapping = south.entities[0]
    field = replace(mapping.fields[0], expression="upper(patient_name)")
    changed = replace(south, entities=(replace(mapping, fields=(field,)), *south.entities[1:]))
    assert version(replace(settled(), pipes=(north, changed))) != version(settled())


def test_a_changed_hub_type_or_datamart_query_is_a_new_version() -> None:
    project = settled()
    datamart = replace(project.datamarts[0], sql="select bk from dv.patient_view")
    assert version(replace(project, datamarts=(datamart,))) != version(project)
    assert version(replace(project, pipes=(pipe("north"), pipe("south")))) != version(project)

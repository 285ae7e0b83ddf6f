"""Writes small projects, and for each a DAG file as somebody would write it by hand for the same tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import TaskGroup

PIPES = 5


def write_project(folder: Path, name: str) -> None:
    """Write a project with PIPES pipes of two files each, two hubs with satellites and a link."""
    (folder / "pipes").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(f"""\
pipeline: {name}
description: Nightly load of the vault of {name}
schedule: "0 2 * * *"
timezone: Europe/Amsterdam
start_date: 2026-01-01
tags: [vault, {name}]
owner: warehouse
retries: 2
conn_dwh: dwh
data_root: data
""")
    (folder / "domain.yaml").write_text("""\
hubs:
  Patient:
    satellites:
      Default: {birth_date: date, sex: text}
      Address: {street: text, postcode: text, city: text}
      Contact: {types: [phone, mobile], columns: {number: text}}
  Practitioner:
    satellites:
      Default: {name: text}
links:
  PatientPractitioner:
    references: {patient: Patient, practitioner: Practitioner}
valuesets:
  Valueset: {}
""")
    for number in range(1, PIPES + 1):
        (folder / "pipes" / f"source{number}.yaml").write_text(f"""\
pipe: {name}_source{number}
description: Patients and practitioners of source {number}
source_path: source{number}
sor_schema: sor_{name}_source{number}
sor:
  patient_hstage: {{csv: "{{{{ ds }}}}/patients.csv", delimiter: ";", key: [nr]}}
  practitioner_hstage: {{csv: "{{{{ ds }}}}/practitioners.csv", delimiter: ";", key: [nr]}}
validations:
  - {{table: patient_hstage, when: "postcode like '0000%'", message: Invalid postcode}}
entities:
  - from: patient_hstage
    to: Patient
    bk: nr || '_{number}'
    fields:
      Default.birth_date: birth_date
      Default.sex: sex
      Address.street: street
      Address.postcode: postcode
      Address.city: city
      Contact.number[phone]: phone
      Contact.number[mobile]: mobile
  - from: practitioner_hstage
    to: Practitioner
    bk: nr || '_{number}'
    fields: {{Default.name: name}}
links:
  - from: patient_hstage
    to: PatientPractitioner
    references: {{patient: "nr || '_{number}'", practitioner: "practitioner || '_{number}'"}}
valuesets:
  - {{from: practitioner_hstage, to: Valueset, fields: {{valueset_naam: "'practitioner'", code: nr, omschrijving: name}}}}
""")


def write_plain_dag(file: Path, project: Path) -> None:
    """Write a DAG with the tasks, groups, edges, asset outlets and texts of the project's, one literal call per task."""
    from pyelt_provider.config.reading import read_pipeline
    from pyelt_provider.orchestration.dag_builder import build_dag
    from pyelt_provider.planning.plan import build_plan

    dag = build_dag(build_plan(read_pipeline(project), None))
    lines = [
        "from datetime import timedelta",
        "",
        "import pendulum",
        "from airflow.providers.standard.operators.empty import EmptyOperator",
        "from airflow.providers.standard.operators.python import PythonOperator",
        "from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, TaskGroup, TriggerRule",
        "",
        "",
        "def load(stage):",
        "    pass",
        "",
        "",
        f"with DAG({dag.dag_id!r}, description={dag.description!r}, doc_md={dag.doc_md!r},",
        "         schedule=CronDataIntervalTimetable('0 2 * * *', timezone='Europe/Amsterdam'),",
        "         start_date=pendulum.datetime(2026, 1, 1, tz='Europe/Amsterdam'), catchup=False,",
        f"         tags={sorted(dag.tags)!r},",
        "         default_args={'owner': 'warehouse', 'retries': 2, 'retry_delay': timedelta(minutes=5)}) as dag:",
    ]
    names = {task_id: f"t{number}" for number, task_id in enumerate(dag.task_dict)}
    _write_group(lines, dag.task_group, names, "    ")
    for task_id, task in dag.task_dict.items():
        downstream = ", ".join(names[other] for other in sorted(task.downstream_task_ids))
        if downstream:
            lines.append(f"    {names[task_id]} >> [{downstream}]")
    file.write_text("\n".join(lines) + "\n")


def _write_group(lines: list[str], group: TaskGroup, names: dict[str, str], indent: str) -> None:
    from airflow.sdk import BaseOperator, TaskGroup

    for child in group.children.values():
        if isinstance(child, TaskGroup):
            name = str(child.group_id).rpartition(".")[2]
            lines.append(f"{indent}with TaskGroup({name!r}, tooltip={child.tooltip!r}):")
            _write_group(lines, child, names, indent + "    ")
            continue
        assert isinstance(child, BaseOperator)
        name = child.task_id.rpartition(".")[2]
        outlets = ", ".join(f"Asset(name={asset.name!r}, uri={asset.uri!r})" for asset in child.outlets)
        rule = f"trigger_rule=TriggerRule({str(child.trigger_rule.value)!r}), doc_md={child.doc_md!r}"
        if child.task_type == "EmptyOperator":
            lines.append(f"{indent}{names[child.task_id]} = EmptyOperator(task_id={name!r}, {rule})")
        else:
            lines.append(
                f"{indent}{names[child.task_id]} = PythonOperator(task_id={name!r}, python_callable=load, "
                f"op_args=[{child.task_id!r}], outlets=[{outlets}], {rule})"
            )

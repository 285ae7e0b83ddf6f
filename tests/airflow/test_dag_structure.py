"""What Airflow gets to see of a plan: tasks, groups, edges, rules, schedules, parameters and assets."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from pyelt_provider.errors import ConfigError
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.mapping import EntityMapping, MappingSource
from pyelt_provider.model.pipeline import (
    AirflowSettings,
    AssetSchedule,
    CronSchedule,
    OnErrors,
    Pipeline,
    TimetableSchedule,
)
from pyelt_provider.orchestration.dag_builder import build_dag
from pyelt_provider.planning.plan import build_plans
from visits_project import PATIENT, pipe, pipeline


def dags_of(project: Pipeline) -> dict[str, Any]:
    return {plan.dag_id: build_dag(plan) for plan in build_plans(project)}


def town(**changes: Any) -> Any:
    return dags_of(pipeline(**changes))["town"]


def upstreams(dag: DAG) -> dict[str, tuple[str, list[str]]]:
    return {task.task_id: (task.trigger_rule.value, sorted(task.upstream_task_ids)) for task in dag.tasks}


def test_tasks_wait_for_the_data_they_need_and_not_for_other_pipes() -> None:
    assert upstreams(town()) == {
        "prepare": ("none_failed", []),
        "ddl_valset": ("none_failed", ["prepare"]),
        "ddl_dv": ("none_failed", ["ddl_valset"]),
        "north.sor.ddl_sor": ("none_failed", ["prepare"]),
        "north.sor.check_mappings": ("none_failed", ["ddl_dv", "ddl_valset", "north.sor.ddl_sor"]),
        "north.sor.etl_sor": ("none_failed", ["north.sor.check_mappings"]),
        "north.valset.etl_valset": ("none_failed", ["north.sor.etl_sor"]),
        "north.dv.etl_hubs": ("none_failed", ["north.valset.etl_valset"]),
        "north.dv.other_hubs": ("all_done", ["south.dv.etl_hubs"]),
        "north.dv.etl_links": ("none_failed", ["north.dv.etl_hubs", "north.dv.other_hubs"]),
        "south.sor.ddl_sor": ("none_failed", ["prepare"]),
        "south.sor.check_mappings": ("none_failed", ["ddl_dv", "ddl_valset", "south.sor.ddl_sor"]),
        "south.sor.etl_sor": ("none_failed", ["south.sor.check_mappings"]),
        "south.dv.etl_hubs": ("none_failed", ["south.sor.etl_sor"]),
        "south.dv.other_hubs": ("all_done", ["north.dv.etl_hubs"]),
        "south.dv.etl_links": ("none_failed", ["south.dv.etl_hubs", "south.dv.other_hubs"]),
        "ddl_dm": ("all_done", ["north.dv.etl_links", "south.dv.etl_links"]),
        "etl_dm": ("none_failed", ["ddl_dm"]),
        "close": ("all_done", ["etl_dm"]),
    }


def test_mappings_from_views_of_the_vault_wait_for_the_hubs_behind_the_views() -> None:
    view = EntityMapping(
        name="dv.patient_view -> Doctor", source=MappingSource(view=PATIENT.view), hub="Doctor", bk="bk"
    )
    north = pipe("north")
    south = pipe("south", entities=(view,))
    rules = upstreams(town(pipes=(north, south)))
    assert {task: rules[task] for task in rules if task.startswith("south.dv.")} == {
        "south.dv.hubs_behind_views": ("all_done", ["north.dv.etl_hubs"]),
        "south.dv.etl_hubs": ("none_failed", ["south.dv.hubs_behind_views", "south.sor.etl_sor"]),
        "south.dv.other_hubs": ("all_done", ["north.dv.etl_hubs"]),
        "south.dv.etl_links": ("none_failed", ["south.dv.etl_hubs", "south.dv.other_hubs"]),
    }


def test_with_on_errors_log_later_layers_run_on_what_was_loaded() -> None:
    dag = town(on_errors=OnErrors.LOG)
    rules = upstreams(dag)
    assert {task: rules[task] for task in rules if task.startswith("south.")} == {
        "south.sor.ddl_sor": ("none_failed", ["prepare"]),
        "south.sor.check_mappings": ("none_failed", ["ddl_dv", "ddl_valset", "south.sor.ddl_sor"]),
        "south.sor.etl_sor": ("all_done", ["south.sor.check_mappings"]),
        "south.dv.etl_hubs": ("all_done", ["south.sor.etl_sor"]),
        "south.dv.etl_links": ("all_done", ["north.dv.etl_hubs", "south.dv.etl_hubs"]),
    }
    assert dag.get_task("south.dv.etl_hubs").foundations == ("prepare", "ddl_valset", "ddl_dv", "south.sor.ddl_sor")


def test_pipes_and_layers_are_groups_with_tooltips() -> None:
    dag = town(pipes=(pipe("north", active=False), pipe("south")))
    groups = dag.task_group.get_task_group_dict()
    assert {name: group.tooltip for name, group in groups.items() if name} == {
        "north": "Visits as north knows them (inactive: shown, not run)",
        "north.sor": "Source of record: the source's rows with their history, as text",
        "north.dv": "Data Vault: hubs, satellites and links",
        "south": "Visits as south knows them",
        "south.sor": "Source of record: the source's rows with their history, as text",
        "south.dv": "Data Vault: hubs, satellites and links",
    }
    assert dag.get_task("north.sor.etl_sor").label == "etl_sor"


def test_a_cron_text_gives_data_intervals_in_the_timezone_of_the_pipeline() -> None:
    timetable = town().timetable
    assert type(timetable).__name__ == "CronDataIntervalTimetable"
    assert (timetable.expression, str(timetable.timezone)) == ("0 2 * * *", "Europe/Amsterdam")
    start = town().start_date
    assert start is not None
    assert start.isoformat() == "2025-12-31T23:00:00+00:00"  # midnight in Amsterdam


def test_each_named_schedule_is_a_dag_of_its_own_with_the_pipes_that_ask_for_it() -> None:
    dags = dags_of(
        pipeline(
            schedules=(("monthly", CronSchedule(cron="@monthly", start_date=date(2025, 7, 1))),),
            pipes=(pipe("north"), pipe("south", schedule="monthly")),
        )
    )
    assert {
        dag_id: [group for group in dag.task_group.children if group in ("north", "south")]
        for dag_id, dag in dags.items()
    } == {
        "town": ["north"],
        "town__monthly": ["south"],
    }
    assert dags["town__monthly"].timetable.expression == "0 0 1 * *"
    assert [dag.start_date.isoformat() for dag in dags.values()] == [
        "2025-12-31T23:00:00+00:00",
        "2025-06-30T22:00:00+00:00",
    ]
    assert dags["town__monthly"].params.dump()["pipes"] == ["south"]


def test_timetables_by_name_and_assets_are_schedules_too() -> None:
    timetable = TimetableSchedule(
        import_path="airflow.sdk.DeltaDataIntervalTimetable", arguments=(("delta", timedelta(hours=6)),)
    )
    assert town(schedule=timetable).timetable.delta == timedelta(hours=6)

    assets = town(schedule=AssetSchedule(assets=("dwh.dv.patient_hub", "x-pyelt://dwh/dv/doctor_hub"))).timetable
    assert [type(one).__name__ for one in assets.asset_condition.objects] == ["AssetNameRef", "AssetUriRef"]
    assert town(schedule=CronSchedule(cron="@once")).timetable.__class__.__name__ == "OnceTimetable"
    assert town(schedule=None).timetable.__class__.__name__ == "NullTimetable"


def test_a_timetable_that_cannot_be_made_says_which_and_why() -> None:
    with pytest.raises(ConfigError, match=r"the timetable nowhere\.Never cannot be made: ModuleNotFoundError"):
        town(schedule=TimetableSchedule(import_path="nowhere.Never"))


def test_airflow_settings_reach_the_dag_and_every_task() -> None:
    settings = AirflowSettings(
        owner="night shift",
        tags=("vault", "care"),
        catchup=True,
        max_active_runs=3,
        retries=2,
        retry_delay=timedelta(minutes=7),
        pool="warehouse",
        queue="big",
        execution_timeout=timedelta(hours=2),
        dagrun_timeout=timedelta(hours=9),
        end_date=date(2027, 1, 1),
    )
    dag = town(airflow=settings)
    assert (dag.catchup, dag.max_active_runs, dag.dagrun_timeout, sorted(dag.tags)) == (
        True,
        3,
        timedelta(hours=9),
        ["care", "vault"],
    )
    assert {(t.owner, t.retries, t.retry_delay, t.pool, t.queue, t.execution_timeout) for t in dag.tasks} == {
        ("night shift", 2, timedelta(minutes=7), "warehouse", "big", timedelta(hours=2))
    }


def test_run_parameters_are_multi_selects_with_everything_chosen() -> None:
    params = town().params
    assert params.dump() == {
        "pipes": ["north", "south"],
        "parts": ["sor", "valset", "dv", "dm"],
        "allow_deletions": False,
        "allow_rejections": False,
        "allow_ddl": False,
        "allow_key_change": False,
    }
    assert params.get_param("pipes").schema == {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": "string", "enum": ["north", "south"]},
        "examples": ["north", "south"],
    }


def test_each_table_that_a_load_writes_is_one_asset_whoever_writes_it() -> None:
    dag = town()
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets}
    assert outlets == {
        "north.sor.etl_sor": ["dwh.sor_north.visit_hstage"],
        "north.valset.etl_valset": ["dwh.valset.valueset"],
        "north.dv.etl_hubs": ["dwh.dv.doctor_hub", "dwh.dv.patient_hub", "dwh.dv.patient_sat"],
        "north.dv.etl_links": ["dwh.dv.treated_link"],
        "south.sor.etl_sor": ["dwh.sor_south.visit_hstage"],
        "south.dv.etl_hubs": ["dwh.dv.doctor_hub", "dwh.dv.patient_hub", "dwh.dv.patient_sat"],
        "south.dv.etl_links": ["dwh.dv.treated_link"],
        "etl_dm": ["dwh.dm.dim_patient"],
    }
    assert dag.get_task("etl_dm").outlets[0].uri == "x-pyelt://dwh/dm/dim_patient"


def test_the_asset_of_a_warehouse_given_by_url_has_no_user_and_no_password_in_it() -> None:
    dag = town(warehouse=ConnectionRef("postgresql://loader:s3cret@db.example:5433/wh"))
    asset = dag.get_task("etl_dm").outlets[0]
    assert (asset.name, asset.uri) == ("db.example/wh.dm.dim_patient", "x-pyelt://db.example/wh/dm/dim_patient")


def test_docs_say_what_a_task_does_and_never_a_password() -> None:
    dag = town(warehouse=ConnectionRef("postgresql://loader:s3cret@db.example/wh"))
    doc = dag.get_task("south.dv.etl_hubs").doc_md
    assert doc is not None
    assert "| Default.name | `patient_name` |" in doc
    texts = [dag.doc_md or "", *(task.doc_md or "" for task in dag.tasks)]
    assert not [text for text in texts if "s3cret" in text]


def test_a_pipeline_without_vault_and_datamarts_is_just_its_staging() -> None:
    bare = replace(pipe("north"), entities=(), links=())
    assert upstreams(town(domains=(), pipes=(bare,), datamarts=())) == {
        "prepare": ("none_failed", []),
        "north.sor.ddl_sor": ("none_failed", ["prepare"]),
        "north.sor.check_mappings": ("none_failed", ["north.sor.ddl_sor"]),
        "north.sor.etl_sor": ("none_failed", ["north.sor.check_mappings"]),
        "close": ("all_done", ["north.sor.etl_sor"]),
    }

"""Whole runs through Airflow's own `dag.test()`: tasks, states, parameters, retries, waiting, assets and XComs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from airflow_town import WAITING, Town
from postbox import Postbox


def of_pipe(states: dict[str, str], pipe: str) -> set[str]:
    return {state for task, state in states.items() if task.startswith(f"{pipe}.")}


def of_layer(states: dict[str, str], layer: str) -> set[str]:
    return {state for task, state in states.items() if f".{layer}." in task}


def test_a_project_is_loaded_end_to_end_and_tells_which_tables_are_up_to_date(town: Town) -> None:
    town.write()
    for pipe in ("north", "south"):
        town.deliver(pipe, "2026-01-05", "1,p1,Ann,d1", "2,p2,Bob,d1")
        town.deliver(pipe, "2026-01-06", "1,p1,Ann,d1", "2,p2,Rob,d1", "3,p3,Cid,d2")

    state, states = town.run("2026-01-05")
    assert (state, set(states.values())) == ("success", {"success"})
    assert town.warehouse.rows("select bk from dv.patient_hub order by bk") == [("p1",), ("p2",)]
    assert town.warehouse.rows("select name from dm.dim_patient order by name") == [("Ann",), ("Bob",)]

    state, states = town.run("2026-01-06")
    assert (state, set(states.values())) == ("success", {"success"})
    assert town.warehouse.rows("select name from dm.dim_patient order by name") == [("Ann",), ("Cid",), ("Rob",)]
    assert town.warehouse.rows("select runid, finish_date is not null from sys.runs order by runid") == [
        (Decimal("1.00"), True),
        (Decimal("1.01"), True),
    ]
    # Which of the two pipes is the first to bring a key is luck; together they bring it once.
    events = town.metadata(
        """select asset.name, json_extract(event.extra, '$.run'), count(*), sum(json_extract(event.extra, '$.changed_rows'))
           from asset_event as event join asset on asset.id = event.asset_id
           where event.source_dag_id = ? and event.source_task_id like '%.etl_hubs' group by 1, 2 order by 2, 1""",
        town.name,
    )
    vault = f"127.0.0.1/{town.warehouse.name}.dv"
    assert events == [
        (f"{vault}.doctor_hub", "1.00", 2, 1),
        (f"{vault}.patient_hub", "1.00", 2, 2),
        (f"{vault}.patient_sat", "1.00", 2, 4),
        (f"{vault}.doctor_hub", "1.01", 2, 1),
        (f"{vault}.patient_hub", "1.01", 2, 1),
        (f"{vault}.patient_sat", "1.01", 2, 6),
    ]


def test_a_table_without_changes_is_up_to_date_too(town: Town) -> None:
    town.write()
    for day in ("2026-01-05", "2026-01-06"):
        for pipe in ("north", "south"):
            town.deliver(pipe, day, "1,p1,Ann,d1")
        town.run(day)
    extras = town.metadata(
        """select event.source_task_id, json_extract(event.extra, '$.changed_rows')
           from asset_event as event where event.source_dag_id = ? and json_extract(event.extra, '$.run') = '1.01'""",
        town.name,
    )
    assert {task: rows for task, rows in extras if task != "etl_dm"} == {
        "north.sor.etl_sor": 0,
        "north.dv.etl_hubs": 0,
        "north.dv.etl_links": 0,
        "south.sor.etl_sor": 0,
        "south.dv.etl_hubs": 0,
        "south.dv.etl_links": 0,
    }


def test_a_pipeline_that_is_scheduled_on_a_table_is_called_when_it_is_up_to_date(town: Town) -> None:
    town.write()
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    table = f"127.0.0.1/{town.warehouse.name}.sor_north.visit_hstage"
    later = Town(f"{town.name}_later", town.home, town.warehouse)
    later.write(f"schedule: {{assets: ['{table}']}}\n")
    try:
        town.run("2026-01-05", pipes=["north"], parts=["sor"])
        called = town.metadata("select target_dag_id from asset_dag_run_queue")
    finally:
        (town.home / "dags" / f"{later.name}.py").unlink()
    assert called == [(later.name,)]


def test_what_is_refused_is_let_through_for_one_run_by_its_parameters(town: Town) -> None:
    town.write("max_rejected: 0\n")
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    for day in ("2026-01-06", "2026-01-07"):
        town.deliver("north", day)
    for day in ("2026-01-08", "2026-01-09"):
        town.deliver("north", day, "1,p1,Ann,d1", "2,p2,Bob,d1", "2,p2,Rob,d1")

    def loaded(day: str, **allowed: bool) -> tuple[str, list[tuple[Any, ...]]]:
        _, states = town.run(day, pipes=["north"], parts=["sor"], **allowed)
        rows = town.warehouse.rows("select count(*) from sor_north.visit_hstage where _active")
        return states["north.sor.etl_sor"], rows

    assert loaded("2026-01-05") == ("success", [(1,)])
    assert loaded("2026-01-06") == ("failed", [(1,)])
    assert loaded("2026-01-07", allow_deletions=True) == ("success", [(0,)])
    assert loaded("2026-01-08", allow_deletions=True) == ("failed", [(0,)])
    assert loaded("2026-01-09", allow_rejections=True) == ("success", [(1,)])


def test_parameters_limit_a_run_to_a_pipe_and_a_layer_and_being_skipped_stops_nothing(town: Town) -> None:
    town.write()
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    state, states = town.run("2026-01-05", pipes=["north"], parts=["sor"])
    assert (state, states) == (
        "success",
        {
            "prepare": "success",
            "ddl_dv": "skipped",
            "north.sor.ddl_sor": "success",
            "north.sor.check_mappings": "success",
            "north.sor.etl_sor": "success",
            "north.dv.etl_hubs": "skipped",
            "north.dv.other_hubs": "success",
            "north.dv.etl_links": "skipped",
            "south.sor.ddl_sor": "skipped",
            "south.sor.check_mappings": "skipped",
            "south.sor.etl_sor": "skipped",
            "south.dv.etl_hubs": "skipped",
            "south.dv.other_hubs": "success",
            "south.dv.etl_links": "skipped",
            "ddl_dm": "skipped",
            "etl_dm": "skipped",
            "close": "success",
        },
    )
    assert town.warehouse.rows("select id from sor_north.visit_hstage") == [("1",)]


def test_an_inactive_pipe_is_skipped_and_the_other_is_loaded(town: Town) -> None:
    town.write(south_active=False)
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    state, states = town.run("2026-01-05")
    assert state == "success"
    assert of_pipe(states, "south") == {"skipped", "success"}  # the gate is no work
    assert of_pipe(states, "north") == {"success"}
    assert town.warehouse.rows("select bk from dv.patient_hub") == [("p1",)]


def test_a_pipe_that_fails_stops_no_other_and_makes_the_run_red(town: Town) -> None:
    town.write()
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    state, states = town.run("2026-01-05")
    assert state == "failed"
    assert states["south.sor.etl_sor"] == "failed" or states["south.sor.ddl_sor"] == "failed"
    assert states["south.dv.etl_hubs"] == "upstream_failed"
    assert of_pipe(states, "north") == {"success"}
    assert (states["etl_dm"], states["close"]) == ("success", "failed")
    assert town.warehouse.rows("select name from dm.dim_patient") == [("Ann",)]
    [(exceptions,)] = town.warehouse.rows("select exceptions from sys.runs")
    assert "south.sor." in exceptions


def test_on_errors_log_goes_on_with_the_other_mappings_and_fails_with_their_names(town: Town) -> None:
    folder = town.write("on_errors: log\n")
    north = folder / "pipes" / "north.yaml"
    north.write_text(north.read_text().replace("bk: doctor}", "bk: \"pg_read_file('/no/such/file')\"}"))
    for pipe in ("north", "south"):
        town.deliver(pipe, "2026-01-05", "1,p1,Ann,d1")
    state, states = town.run("2026-01-05")
    assert state == "failed"
    assert (states["north.dv.etl_hubs"], states["close"]) == ("failed", "failed")
    assert (states["north.dv.etl_links"], states["south.dv.etl_links"]) == ("success", "success")
    assert town.warehouse.rows("select bk from dv.patient_hub") == [("p1",)]
    [value] = [
        value
        for (value,) in town.metadata(
            "select value from xcom where task_id = 'north.dv.etl_hubs' and dag_id = ?", town.name
        )
    ]
    assert "visit_hstage -> Doctor" in value


HOOKS = """\
from pathlib import Path

def once_broken(context):
    marker = Path({marker!r})
    if not marker.exists():
        marker.write_text("been here")
        raise RuntimeError("the source is away")

def stop_here(context):
    table = context.pipe.tables[0].name
    breakpoint()

def sleep(context):
    with context.connection.cursor() as cursor:
        cursor.execute("select pg_sleep(60)")
"""


def with_hook(town: Town, function: str, settings: str = "") -> None:
    folder = town.write(settings)
    (folder / "hooks.py").write_text(HOOKS.format(marker=str(folder.parent / f"{town.name}.marker")))
    north = folder / "pipes" / "north.yaml"
    north.write_text(north.read_text() + f'before_sor: ["hooks.py:{function}"]\n')
    for pipe in ("north", "south"):
        town.deliver(pipe, "2026-01-05", "1,p1,Ann,d1")


def test_a_task_that_fails_is_tried_again_with_the_same_run_id(town: Town) -> None:
    with_hook(town, "once_broken", "retries: 1\nretry_delay: 1s\n")
    state, states = town.run("2026-01-05", parts=["sor"])
    assert (state, of_layer(states, "sor")) == ("success", {"success"})
    assert town.warehouse.rows(
        "select runid, attempt, try_number, state from sys.attempts where stage = 'north.sor.etl_sor' order by attempt"
    ) == [(1, 1, 1, "failed"), (1, 2, 2, "done")]


def test_a_debugger_stops_in_a_hook_function(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    with_hook(town, "stop_here")
    stops: list[tuple[str, str, bool]] = []

    def debugger(*_: Any, **__: Any) -> None:
        frame = sys._getframe(1)
        stops.append(
            (frame.f_code.co_name, frame.f_locals["table"], threading.current_thread() is threading.main_thread())
        )

    monkeypatch.setattr(sys, "breakpointhook", debugger)
    assert town.run("2026-01-05", parts=["sor"])[0] == "success"
    assert stops == [("stop_here", "visit_hstage", True)]


def test_a_task_that_takes_too_long_is_ended_with_what_it_does_in_the_warehouse(town: Town) -> None:
    with_hook(town, "sleep", "execution_timeout: 3s\n")
    started = time.monotonic()
    state, states = town.run("2026-01-05", parts=["sor"])
    assert time.monotonic() - started < 30
    assert (state, states["north.sor.etl_sor"]) == ("failed", "failed")
    assert town.warehouse.rows(
        "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()"
    ) == [(0,)]


def test_a_late_delivery_is_waited_for_without_a_worker(town: Town) -> None:
    folder = town.write()
    file = folder / "pipes" / "south.yaml"
    file.write_text(file.read_text().replace("    key: [id]\n", "    key: [id]\n    wait_for: 2m\n"))

    def deliver_when_it_is_missed() -> None:
        deadline = time.monotonic() + 30
        while not town.metadata(WAITING, town.name) and time.monotonic() < deadline:
            time.sleep(0.2)
        town.deliver("south", "2026-01-05", "1,p9,Zoë,d1")

    source = threading.Thread(target=deliver_when_it_is_missed)
    source.start()
    state, states = town.run("2026-01-05", pipes=["south"], parts=["sor"])
    source.join()
    assert (state, states["south.sor.etl_sor"]) == ("success", "success")
    assert town.warehouse.rows("select patient from sor_south.visit_hstage") == [("p9",)]
    [(waited,)] = town.metadata(WAITING, town.name)
    assert waited.startswith("south.sor.")


def test_a_delivery_that_nobody_waits_for_fails_at_once_although_another_table_would_be_waited_for(town: Town) -> None:
    folder = town.write()
    north = folder / "pipes" / "north.yaml"
    text = north.read_text()
    tables = text[text.index("  visit_hstage:") : text.index("entities:")]
    patient = tables.replace("    key: [id]\n", "    key: [id]\n    wait_for: 2m\n")
    other = tables.replace("visit_hstage", "other_hstage").replace("visits.csv", "others.csv")
    north.write_text(text.replace(tables, patient + other))
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    started = time.monotonic()
    state, states = town.run("2026-01-05", pipes=["north"], parts=["sor"])
    assert time.monotonic() - started < 30
    assert state == "failed"
    assert "failed" in of_layer(states, "sor")


def test_airflow_dags_test_runs_the_pipeline_from_the_command_line(town: Town) -> None:
    town.write()
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    command = [sys.executable, "-m", "airflow", "dags", "test", town.name, "2026-01-05"]
    result = subprocess.run(
        [*command, "--conf", '{"pipes": ["north"], "parts": ["sor"]}'],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert town.warehouse.rows("select patient from sor_north.visit_hstage") == [("p1",)]


MAILS = """\
email_settings:
  to: night@example.test
  from: loads@example.test
  conn_id: mail
  send_mail_before_run: true
  send_log_mail_after_run: true
"""


def test_mails_go_out_before_and_after_a_run_also_when_it_fails(town: Town, postbox: Postbox) -> None:
    town.write(MAILS)
    town.deliver("north", "2026-01-05", "1,p1,Ann,d1")
    assert town.run("2026-01-05", pipes=["north"], parts=["sor"])[0] == "success"
    assert town.run("2026-01-06", pipes=["north"], parts=["sor"])[0] == "failed"
    assert postbox.subjects == [
        f"Pipeline {town.name}: run 1.00 started",
        f"Pipeline {town.name}: run 1.00 succeeded",
        f"Pipeline {town.name}: run 1.01 started",
        f"Pipeline {town.name}: run 1.01 failed",
    ]


def test_a_warehouse_that_is_away_is_mailed_and_the_run_is_red(town: Town, postbox: Postbox) -> None:
    folder = town.write(MAILS)
    pipeline = folder / "pipeline.yaml"
    pipeline.write_text(
        pipeline.read_text().replace(town.warehouse.url, "postgresql://nobody:nothing@127.0.0.1:9/gone")
    )
    state, states = town.run("2026-01-05")
    assert (state, states["prepare"], states["close"]) == ("failed", "failed", "failed")
    assert postbox.subjects == [f"Pipeline {town.name}: a run without a number failed"]


def test_a_password_in_a_url_is_nowhere_in_airflows_database(town: Town) -> None:
    town.write()
    town.run("2026-01-05")
    password = town.warehouse.url.split(":")[2].split("@")[0]
    with closing(sqlite3.connect(town.home / "airflow.db")) as database:
        assert not [line for line in database.iterdump() if password in line]

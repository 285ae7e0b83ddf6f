"""pyelt plan, sql, run and rewind on a project of YAML files, as a person would use them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.command_line.main import main

PIPELINE = """
pipeline: ward
conn_dwh: dwh
data_root: {root}
on_errors: {on_errors}
log_path: logs
ddl_log_path: logs
sql_log_path: logs
"""
DOMAIN = """
hubs:
  Room: {}
  Bed:
    satellites:
      Default: {ward: text, opened: date}
      Size: {centimetres: integer}
"""
PIPE = """
pipe: his
source_path: .
sor_schema: sor_his
before_sor: ["hooks.py:before"]
after_sor: ["hooks.py:after"]
sor:
  bed_hstage:
    csv: "{{ ds }}/beds.csv"
    key: [bed]
entities:
  - from: bed_hstage
    to: Bed
    bk: bed
    fields:
      Default.ward: ward
      Default.opened: opened
      Size.centimetres: centimetres
"""
HOOKS = """
def before(context):
    with context.connection.cursor() as cursor:
        cursor.execute("create table if not exists sor_his.hook_calls (name text, pipe text, runid numeric)")
        cursor.execute("insert into sor_his.hook_calls values ('before', %s, %s)", (context.pipe.name, context.run.number))


def after(context):
    with context.connection.cursor() as cursor:
        cursor.execute("select count(*) from sor_his.bed_hstage")
        (rows,) = cursor.fetchone()
        cursor.execute("insert into sor_his.hook_calls values ('after ' || %s, %s, %s)", (rows, context.pipe.name, context.run.number))
"""


@pytest.fixture
def project(warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    return write_project(tmp_path)


def write_project(folder: Path, on_errors: str = "throw") -> Path:
    project = folder / "ward"
    (project / "pipes").mkdir(parents=True)
    (project / "pipeline.yaml").write_text(PIPELINE.format(root=folder, on_errors=on_errors))
    (project / "domain.yaml").write_text(DOMAIN)
    (project / "pipes" / "his.yaml").write_text(PIPE)
    (project / "hooks.py").write_text(HOOKS)
    deliver(folder, "2026-01-01", "b1,north,2025-03-01,200\nb2,south,2025-04-01,190\n")
    return project


def deliver(folder: Path, day: str, rows: str) -> None:
    (folder / day).mkdir(exist_ok=True)
    (folder / day / "beds.csv").write_text("bed,ward,opened,centimetres\n" + rows)


def test_run_loads_a_day_and_says_what_was_loaded(
    project: Path, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    output = capsys.readouterr()
    assert "his.sor.etl_sor: done, run 1.00" in output.out
    assert "sor_his.bed_hstage: 2 read, 2 inserted" in output.out
    assert output.err == ""
    assert warehouse.rows("select bk, ward, opened::text from dv.bed_hub join dv.bed_sat using (_id) order by bk") == [
        ("b1", "north", "2025-03-01"),
        ("b2", "south", "2025-04-01"),
    ]


def test_run_again_with_the_same_date_is_the_same_run(project: Path, warehouse: Database) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    deliver(project.parent, "2026-01-01", "b1,east,2025-03-01,200\n")
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    assert warehouse.rows("select runid from sys.runs") == [(1,)]
    assert warehouse.rows("select bk, ward, _active from dv.bed_hub join dv.bed_sat using (_id)") == [
        ("b1", "east", True)
    ]


def test_hooks_run_before_and_after_staging_in_its_transaction(project: Path, warehouse: Database) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    assert warehouse.rows("select name, pipe, runid from sor_his.hook_calls") == [
        ("before", "his", 1),
        ("after 2", "his", 1),
    ]
    with (project / "hooks.py").open("a") as hooks:
        hooks.write("\n\ndef after(context):\n    context.connection.commit()\n")
    assert main(["run", str(project), "--date", "2026-01-02"]) == 1
    assert warehouse.rows("select count(*) from sor_his.hook_calls") == [(2,)]


def test_a_failed_stage_keeps_those_behind_it_from_starting_and_close_records_it(
    project: Path, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(project), "--date", "2026-01-03"]) == 1
    output = capsys.readouterr()
    assert "his.sor.ddl_sor: failed" in output.out
    assert "his.sor.etl_sor: not started, his.sor.check_mappings failed" in output.out
    assert "close: failed, run 1.00" in output.out
    assert "2026-01-03/beds.csv" in output.err
    assert warehouse.rows("select finish_date is not null, exceptions like 'his.sor.ddl_sor:%%' from sys.runs") == [
        (True, True)
    ]


def test_one_stage_can_be_run_alone_and_the_rest_later(project: Path, warehouse: Database) -> None:
    assert main(["run", str(project), "--date", "2026-01-01", "--part", "sor"]) == 0
    assert warehouse.rows("select count(*) from sor_his.bed_hstage") == [(2,)]
    assert main(["run", str(project), "--date", "2026-01-01", "--part", "dv"]) == 0
    assert warehouse.rows("select count(*) from dv.bed_hub") == [(2,)]


def test_rewind_takes_the_newest_run_back(
    project: Path, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    deliver(project.parent, "2026-01-02", "b1,west,2025-03-01,200\nb3,south,2025-04-01,190\n")
    assert main(["run", str(project), "--date", "2026-01-02"]) == 0
    capsys.readouterr()
    assert main(["rewind", str(project), "--to", "1.00", "--yes"]) == 0
    assert "ward stands at run 1.00" in capsys.readouterr().out
    assert warehouse.rows("select bk, ward, _active from dv.bed_hub join dv.bed_sat using (_id) order by bk") == [
        ("b1", "north", True),
        ("b2", "south", True),
    ]
    assert main(["rewind", str(project), "--to", "1.00", "--yes"]) == 0
    assert "nothing to take back" in capsys.readouterr().out
    rewinds = "select pipeline, pipe, to_runid::text, runs::text, rows from sys.rewinds"
    assert warehouse.rows(rewinds) == [("ward", None, "1.00", "{1.01}", 9)]


def test_a_dry_run_of_rewind_shows_the_rows_per_table_and_changes_nothing(
    project: Path, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    deliver(project.parent, "2026-01-02", "b1,west,2025-03-01,200\nb3,south,2025-04-01,190\n")
    assert main(["run", str(project), "--date", "2026-01-02"]) == 0
    vault = "select bk, ward, _active from dv.bed_hub join dv.bed_sat using (_id) order by 1, 3, 2"
    before = warehouse.rows(vault)
    capsys.readouterr()
    assert main(["rewind", str(project), "--to", "1.00", "--pipe", "his", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "run 1.01, pipe his: 9 rows\n" in shown
    assert "    sor_his.bed_hstage  4\n" in shown
    assert "pipe his of ward would stand at run 1.00; nothing was changed (--dry-run)" in shown
    assert warehouse.rows(vault) == before
    assert warehouse.rows("select count(*) from sys.rewinds") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--to", "1.07"], "ward has no run 1.07; near it are 1.00"),
        (["--to", "1.00", "--pipe", "hers"], "ward has no pipe hers; it has his"),
    ],
)
def test_rewind_refuses_runs_and_pipes_that_do_not_exist(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], what: str
) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    assert main(["rewind", str(project), *arguments, "--yes"]) == 1
    assert what in capsys.readouterr().err


def test_log_files_are_written_per_run_pipe_and_kind_for_their_owner_only(project: Path) -> None:
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    logs = project.parent / "logs"
    assert sorted(path.name for path in logs.iterdir()) == [
        "1.00_his_ddl.log",
        "1.00_his_log.log",
        "1.00_his_sql.log",
        "1.00_ward_ddl.log",
        "1.00_ward_log.log",
        "1.00_ward_sql.log",
    ]
    assert "create table" in (logs / "1.00_ward_ddl.log").read_text().lower()
    assert 'insert into "dv"."bed_hub"' in (logs / "1.00_his_sql.log").read_text()
    assert "his.sor.etl_sor, attempt 1" in (logs / "1.00_his_log.log").read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs.iterdir()} == {0o600}
    assert "north" not in "".join(path.read_text() for path in logs.iterdir())


def test_sql_prints_what_run_logs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", str(project), "--stage", "his.dv.etl_hubs", "--date", "2026-01-02"]) == 0
    printed = capsys.readouterr().out
    assert main(["run", str(project), "--date", "2026-01-01"]) == 0
    deliver(project.parent, "2026-01-02", "b1,west,2025-03-01,200\nb3,south,2025-04-01,190\n")
    assert main(["run", str(project), "--date", "2026-01-02", "--stage", "his.sor.etl_sor"]) == 0
    before = (project.parent / "logs" / "1.01_his_sql.log").read_text()
    assert main(["run", str(project), "--date", "2026-01-02", "--stage", "his.dv.etl_hubs"]) == 0
    logged = (project.parent / "logs" / "1.01_his_sql.log").read_text().removeprefix(before)
    wrote = [line for line in logged.splitlines() if line.startswith("-- ") and ": dv." in line]
    assert wrote
    assert [line for line in wrote if line not in printed] == []


def test_plan_shows_the_tree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(project)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ward  (no schedule: started by hand)",
        "├── prepare",
        "├── ddl_dv  <- prepare",
        "├── his",
        "│   ├── sor",
        "│   │   ├── ddl_sor  <- prepare",
        "│   │   ├── check_mappings  <- ddl_dv, his.sor.ddl_sor",
        "│   │   ├── etl_sor  <- his.sor.check_mappings",
        "│   ├── dv",
        "│   │   ├── etl_hubs  <- his.sor.etl_sor",
        "└── close  <- his.dv.etl_hubs (ended)",
    ]


def test_with_on_errors_log_one_bad_mapping_stops_no_other_and_the_run_still_fails(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    project = write_project(tmp_path, on_errors="log")
    pipe = project / "pipes" / "his.yaml"
    pipe.write_text(
        pipe.read_text() + '  - {from: bed_hstage, to: Room, name: broken, bk: "bed || (select 1/0)::text"}\n'
    )
    stages = ["prepare", "ddl_dv", "his.sor.ddl_sor", "his.sor.etl_sor", "his.dv.etl_hubs", "close"]
    arguments = ["run", str(project), "--date", "2026-01-01"]
    assert main([*arguments, *(part for stage in stages for part in ("--stage", stage))]) == 1
    assert "broken" in capsys.readouterr().err
    assert warehouse.rows("select count(*) from dv.bed_sat where _active") == [(2,)]
    assert warehouse.rows("select state from sys.stages where stage = 'his.dv.etl_hubs'") == [("failed",)]


def test_ctrl_c_ends_with_130_and_leaves_nothing_half_done(project: Path, warehouse: Database) -> None:
    os.mkfifo(project.parent / "2026-01-01" / "waiting.csv")
    (project.parent / "2026-01-01" / "beds.csv").unlink()
    os.mkfifo(project.parent / "2026-01-01" / "beds.csv")
    worker = subprocess.Popen(
        [sys.executable, "-m", "pyelt_provider.command_line.main", "run", str(project), "--date", "2026-01-01"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("ddl_dv: done"):
            break
    worker.send_signal(2)
    _, errors = worker.communicate(timeout=60)
    assert worker.returncode == 130
    assert "Traceback" not in errors
    assert warehouse.rows("select count(*) from pg_stat_activity where application_name like 'pyelt:%%'") == [(0,)]

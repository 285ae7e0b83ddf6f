"""What is refused in a run of Airflow's is let through in that very run by `pyelt run`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.projects import write_project
from databases import Database
from pyelt_provider.command_line.main import main
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import DeliveryRefused, RejectionsRefused
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.planning.plan import build_plan

FILES = {
    "pipeline.yaml": """
        pipeline: small
        conn_dwh: dwh
        data_root: data
        max_deleted: 1
        max_rejected: 0
    """,
    "domain.yaml": "hubs: {Patient: {satellites: {Default: {born: date}}}}\n",
    "pipes/his.yaml": """
        sor:
          patient_hstage: {csv: "{{ ds }}.csv", key: [number]}
        entities:
          - {from: patient_hstage, to: Patient, bk: number, fields: {Default.born: born}}
    """,
}


def test_a_refused_night_is_done_in_its_own_run_and_number(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    folder = write_project(tmp_path, FILES)
    (folder / "data").mkdir()

    def deliver(day: int, rows: str) -> None:
        (folder / "data" / f"2026-02-0{day}.csv").write_text("number,born\n" + rows)

    def scheduled(day: int, *only: str) -> None:
        plan = build_plan(read_pipeline(folder), None)
        request = RunRequest(
            dag_id="small",
            dag_run_id=f"scheduled__2026-02-0{day}T01:00:00+00:00",
            interval_start=datetime(2026, 2, day, 1, tzinfo=UTC),
            interval_end=datetime(2026, 2, day + 1, 1, tzinfo=UTC),
        )
        for stage in [stage for stage in plan.stages if not only or stage.id in only]:
            run_stage(stage, request, LocalEnvironment(), clock=lambda: datetime(2026, 2, day + 1, 1, 30))

    def run(day: int, *options: str) -> int:
        run_id = f"scheduled__2026-02-0{day}T01:00:00+00:00"
        return main(["run", str(folder), "--date", f"2026-02-0{day}", "--run-id", run_id, *options])

    deliver(1, "1,\n2,\n3,\n")
    scheduled(1)
    deliver(2, "1,\n4,soon\n")
    with pytest.raises(DeliveryRefused, match="would delete 2 of 3 active rows, more than the 1 of max_deleted"):
        scheduled(2)
    assert run(2, "--stage", "his.sor.etl_sor") == 1
    assert run(2, "--stage", "his.sor.etl_sor", "--allow-deletions") == 0
    with pytest.raises(RejectionsRefused, match=r"1 of the 2 rows .* more than the 0 of max_rejected"):
        scheduled(2, "his.dv.etl_hubs")
    assert run(2, "--part", "dv", "--allow-rejections") == 0
    assert warehouse.rows("select runid::int, dag_run_id from sys.runs order by 1") == [
        (1, "scheduled__2026-02-01T01:00:00+00:00"),
        (2, "scheduled__2026-02-02T01:00:00+00:00"),
    ]
    assert warehouse.rows("select bk, _runid::int from dv.patient_hub order by 1") == [("1", 1), ("2", 1), ("3", 1)]
    deliver(3, "1,\n4,2000-01-01\n")
    scheduled(3)
    assert warehouse.rows("select bk, _runid::int from dv.patient_hub where bk = '4'") == [("4", 3)]

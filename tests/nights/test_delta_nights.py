"""A source that delivers only what changed is never passed over: what a failed night did not load would be lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from databases import Database
from hubs.care import hub, satellite
from nights.hospital import Hospital, day_of
from nights.stagehand import Chain, Stagehand
from nights.story import Line, Story
from pyelt_provider.execution.runner import RunRequest

REFUSED = "older and failed, and the pipe has a delta source"
WARDS = "select bk from dv.ward_hub order by 1"


@pytest.fixture
def hospital(warehouse: Database, tmp_path: Path) -> Iterator[Hospital]:
    """A first night was loaded; of the second and third there are deliveries, each with a new ward."""
    hospital = Hospital(warehouse, tmp_path, Story(driving=False, prefer=False, delta=True))
    for night, ward in enumerate("123"):
        lines: dict[str, tuple[Line, ...]] = {"doctor": (), "skill": (), "visit": (), "ward": ((ward, "good"),)}
        hospital.write(night, {"his": lines, "crm": {table: lines[table] for table in ("doctor", "visit", "ward")}})
    hospital.load(0)
    yield hospital


def load_crm(hospital: Hospital, night: int) -> None:
    hospital.run(day_of(night), stages=["crm.sor.etl_sor", "crm.dv.etl_hubs", "crm.dv.etl_links"])


def refused(hospital: Hospital, night: int) -> str:
    return hospital.fails(day_of(night), stages=["crm.sor.etl_sor"])


def test_a_night_does_not_pass_one_whose_worker_was_killed(hospital: Hospital) -> None:
    plan, start = hospital.plan(), datetime.combine(day_of(1), time(), UTC)
    request = RunRequest(
        dag_id=plan.dag_id,
        dag_run_id=f"scheduled__{day_of(1)}",
        interval_start=start,
        interval_end=start + timedelta(days=1),
    )
    with Stagehand() as hand:
        (ended,) = hand.work(
            (Chain((plan.stage("crm.sor.etl_sor"),), request, start.replace(tzinfo=None) + timedelta(hours=2)), 40)
        )
    assert ended.killed

    assert REFUSED in refused(hospital, 2)
    load_crm(hospital, 1)
    load_crm(hospital, 2)
    assert hospital.rows(WARDS) == [("1",), ("2",), ("3",)]


def test_a_night_does_not_pass_one_that_failed_before_the_source_was_read(hospital: Hospital) -> None:
    sound = hospital.pipeline
    wrong = hub("Doctor", satellite("Doctor", room="date"))
    hospital.pipeline = replace(sound, domains=(replace(sound.domains[0], hubs=(wrong, *sound.domains[0].hubs[1:])),))
    hospital.fails(day_of(1), stages=["prepare", "ddl_dv"])
    hospital.pipeline = sound

    assert REFUSED in refused(hospital, 2)
    hospital.run(day_of(1), stages=["prepare", "ddl_dv"])
    load_crm(hospital, 1)
    load_crm(hospital, 2)
    assert hospital.rows(WARDS) == [("1",), ("2",), ("3",)]


def test_a_night_passes_one_that_failed_elsewhere(hospital: Hospital) -> None:
    (hospital.folder / day_of(1).isoformat() / "his_ward.csv").unlink()
    hospital.fails(day_of(1), stages=["his.sor.etl_sor"])

    load_crm(hospital, 2)
    assert hospital.rows(WARDS) == [("1",), ("3",)]

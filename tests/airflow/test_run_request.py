"""Which time a run stands for, and so which of two runs counts as the older one."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk import CronDataIntervalTimetable

from pyelt_provider.orchestration.run_request import interval_of

NIGHTLY = CronDataIntervalTimetable("0 2 * * *", timezone="Europe/Amsterdam")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run(logical: str | None = None, start: str | None = None, end: str | None = None) -> Any:
    return SimpleNamespace(
        logical_date=logical and at(logical),
        data_interval_start=start and at(start),
        data_interval_end=end and at(end),
        run_after=at("2026-11-22T21:59"),
    )


def test_a_scheduled_run_stands_for_its_data_interval() -> None:
    scheduled = run("2026-01-05T01:00", "2026-01-05T01:00", "2026-01-06T01:00")
    assert interval_of(scheduled, NIGHTLY) == (at("2026-01-05T01:00"), at("2026-01-06T01:00"))


def test_a_run_that_is_started_now_stands_for_the_last_whole_interval() -> None:
    manual = run("2026-11-22T21:59", "2026-11-21T01:00", "2026-11-22T01:00")
    assert interval_of(manual, NIGHTLY) == (at("2026-11-21T01:00"), at("2026-11-22T01:00"))


def test_a_run_without_a_logical_date_stands_for_the_moment_it_was_asked_for() -> None:
    assert interval_of(run(), NIGHTLY) == (at("2026-11-22T21:59"), at("2026-11-22T21:59"))


def test_a_run_that_is_started_for_a_day_in_the_past_does_not_count_as_the_newest() -> None:
    past = run("2026-01-05T01:00", "2026-11-21T01:00", "2026-11-22T01:00")
    assert interval_of(past, NIGHTLY) == (at("2026-01-05T01:00"), at("2026-01-06T01:00"))
    assert interval_of(past, object()) == (at("2026-01-05T01:00"), at("2026-01-05T01:00"))

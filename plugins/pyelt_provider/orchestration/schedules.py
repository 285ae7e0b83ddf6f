"""From a pipeline's schedule to what Airflow's DAG takes as its schedule."""

from __future__ import annotations

import importlib
from typing import Any, assert_never

from pyelt_provider.errors import ConfigError, Problem
from pyelt_provider.model.pipeline import AssetSchedule, CronSchedule, Pipeline, Schedule, TimetableSchedule

WITHOUT_INTERVAL = ("@once", "@continuous")
"""Presets that are no cron text; Airflow has timetables of its own for them."""


def airflow_schedule(pipeline: Pipeline, schedule: Schedule | None) -> Any:
    """Return the value for ``DAG(schedule=...)``; cron texts get data intervals in the pipeline's timezone.

    Assets are named, not made, here: whoever writes an asset says what it is. Raises ConfigError when a timetable
    cannot be imported or made.
    """
    match schedule:
        case None:
            return None
        case CronSchedule(cron=cron):
            if cron in WITHOUT_INTERVAL:
                return cron
            from airflow.sdk import CronDataIntervalTimetable

            return CronDataIntervalTimetable(cron, timezone=pipeline.timezone)
        case TimetableSchedule():
            return _timetable(pipeline, schedule)
        case AssetSchedule(assets=assets):
            from airflow.sdk import Asset

            return [Asset.ref(uri=asset) if "://" in asset else Asset.ref(name=asset) for asset in assets]
        case _:
            assert_never(schedule)


def _timetable(pipeline: Pipeline, schedule: TimetableSchedule) -> Any:
    module, _, name = schedule.import_path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)(**dict(schedule.arguments))
    except Exception as error:
        # Whatever the user's class raises: the DAG file must show where it was asked for.
        place = pipeline.place
        problem = Problem(
            place.file,
            place.line,
            "schedule.timetable",
            f"the timetable {schedule.import_path} cannot be made: {type(error).__name__}: {error}",
            "give the import path of a class of Airflow or of a plugin, and the arguments that it takes",
        )
        raise ConfigError((problem,)) from None

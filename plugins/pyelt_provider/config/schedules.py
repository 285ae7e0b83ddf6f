"""Schedules and timezones of pipeline.yaml -> the model; a cron text that no clock can follow is a problem here."""

from __future__ import annotations

import re
from typing import Any, assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pyelt_provider.config import pipeline_file as keys
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor, nearest
from pyelt_provider.model.pipeline import AssetSchedule, CronSchedule, Schedule, TimetableSchedule

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")


def build_schedule(written: keys.ScheduleKeys | None, cursor: Cursor) -> Schedule | None:
    """Return the schedule, or None for no schedule; report a cron text or an import path that cannot be one."""
    match written:
        case None:
            return None
        case str():
            _check_cron(written, cursor)
            return CronSchedule(cron=written)
        case keys.CronKeys():
            if written.cron != MISSING:
                _check_cron(written.cron, cursor / "cron")
            return CronSchedule(cron=written.cron, start_date=written.start_date)
        case keys.TimetableKeys():
            path = written.timetable
            if path != MISSING and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", path):
                what = f"{path!r} is not the import path of a class"
                (cursor / "timetable").wrong(what, "such as company.calendars.WorkdayTimetable")
            return TimetableSchedule(import_path=path, arguments=tuple(sorted(written.arguments.items())))
        case keys.AssetsKeys():
            return AssetSchedule(assets=tuple(written.assets))
        case _:
            assert_never(written)


def _check_cron(text: str, cursor: Cursor) -> None:
    if text.startswith("@"):
        if text not in PRESETS:
            cursor.unknown("preset", text, PRESETS)
        return
    if _is_plain_cron(text):
        return
    from croniter import croniter  # type: ignore[import-untyped]

    if len(text.split()) != 5:
        what = f"{text!r} is not a cron text: it has {len(text.split())} fields"
        cursor.wrong(what, "write five: minute hour day month weekday, such as 0 2 * * *")
    elif not croniter.is_valid(text) or not _has_a_time(croniter, text):
        mend = "minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6, such as 0 2 * * *"
        cursor.wrong(f"{text!r} is not a cron text that any time matches", mend)


def _has_a_time(croniter: Any, text: str) -> bool:
    """Say whether any time matches: no 31 February ever comes."""
    try:
        croniter(text).get_next()
    except ValueError:
        return False
    return True


_BOUNDS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
"""Minute, hour, day (that every month has), month, weekday."""


def _is_plain_cron(text: str) -> bool:
    """Say whether a cron text has only stars and numbers that every clock knows: then nobody else has to be asked."""
    fields = text.split()
    return len(fields) == 5 and all(
        part == "*" or (len(part) < 3 and part.isascii() and part.isdigit() and low <= int(part) <= high)
        for field, (low, high) in zip(fields, _BOUNDS, strict=True)
        for part in field.split(",")
    )


def check_timezone(name: str, cursor: Cursor) -> None:
    """Report a timezone that does not exist."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        mend = nearest(name, sorted(available_timezones()))
        cursor.wrong(f"there is no timezone {name!r}", mend if mend.startswith("did") else "such as Europe/Amsterdam")

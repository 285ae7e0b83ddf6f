"""The days of the story: which day has which number, and the moments at which things happen on them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

FIRST_DAY = date(2026, 1, 29)
"""Day 1. The run of a day has a data interval from 02:00 of that day to 02:00 of the next, Amsterdam time."""
DAYS = 6
"""How many days the sample project's DAG runs by itself (its start_date and end_date)."""
PATIENTS = 1000
"""How many patients the sample project has by default, the characters of the story not counted."""


def day_of(number: int) -> date:
    """Return the date of day `number`, counted from 1."""
    return FIRST_DAY + timedelta(days=number - 1)


def moment(number: int, hour: int) -> datetime:
    """Return an hour (UTC) of day `number`; any hour from 2 to 23 lies in that day's data interval."""
    return datetime.combine(day_of(number), datetime.min.time()) + timedelta(hours=hour)


def months(days: int) -> list[date]:
    """Return the first day of each month that has one of the days in it."""
    found: list[date] = []
    for number in range(1, days + 1):
        first = day_of(number).replace(day=1)
        if first not in found:
            found.append(first)
    return found

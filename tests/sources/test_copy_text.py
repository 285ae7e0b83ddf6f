"""Values of database drivers become texts that are always the same, and that PostgreSQL can cast back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pyelt_provider.sources.copy_text import as_text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(hours=13, seconds=1), "13:00:01"),
        (timedelta(hours=838, minutes=59, seconds=59), "838:59:59"),
        (-timedelta(hours=838, minutes=59, seconds=59), "-838:59:59"),
        (timedelta(days=1, hours=6), "30:00:00"),
        (timedelta(0), "00:00:00"),
        (-timedelta(milliseconds=500), "-00:00:00.5"),
        (timedelta(microseconds=1), "00:00:00.000001"),
    ],
)
def test_a_time_of_mysql_is_hours_minutes_and_seconds(span: timedelta, text: str) -> None:
    assert as_text(span) == text

"""The tasks of a night that is cleared after a wrong delivery are killed anywhere: see `crash.killing`."""

from __future__ import annotations

from crash.breaking import Ground
from crash.killing import check_killed_nights


def test_a_cleared_night_whose_tasks_are_all_killed_ends_like_an_undisturbed_one(broken_ground: Ground) -> None:
    check_killed_nights(broken_ground, "cleared")

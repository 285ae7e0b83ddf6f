"""The tasks of the first load of an empty warehouse are killed anywhere: see `crash.killing`."""

from __future__ import annotations

from crash.breaking import Ground
from crash.killing import check_killed_nights
from pyelt_provider.planning.stages import StageKind


def test_a_first_load_whose_tasks_are_all_killed_ends_like_an_undisturbed_one(broken_ground: Ground) -> None:
    check_killed_nights(broken_ground, "first")


def test_every_kind_of_stage_is_among_the_broken_ones(broken_ground: Ground) -> None:
    kinds = {entry["stage"].rpartition(".")[2] for entry in broken_ground.scenario("first").stages}

    assert kinds == {kind.value for kind in StageKind}

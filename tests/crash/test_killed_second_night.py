"""The tasks of a night that changes, ends and rejects rows are killed anywhere: see `crash.killing`."""

from __future__ import annotations

from crash.breaking import Ground
from crash.killing import check_killed_nights


def test_a_night_whose_tasks_are_all_killed_ends_like_an_undisturbed_one(broken_ground: Ground) -> None:
    check_killed_nights(broken_ground, "second")


def test_the_instants_of_a_load_are_those_of_its_statements_its_copy_and_its_commit(broken_ground: Ground) -> None:
    instants = broken_ground.scenario("second").instants("his.sor.etl_sor")

    assert len(instants) > 80
    assert sum(text.startswith("after block 1 of COPY") for text in instants) == 2
    assert [text for text in instants if "commit of" in text] == [
        "just before the commit of warehouse",
        "just after the commit of warehouse",
    ]

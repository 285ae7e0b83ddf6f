"""Signals, hanging workers, busy ghosts and lost connections: a clear error, and the next attempt makes it good at once."""

from __future__ import annotations

from typing import Any

import pytest

from crash.breaking import Ground, Undisturbed
from crash.harms import SLOW_TABLES


def half_way(undisturbed: Undisturbed) -> dict[str, int]:
    """An instant in the middle of each stage, where its transaction has been at work for a while."""
    return {entry["stage"]: len(entry["instants"]) * 2 // 3 for entry in undisturbed.stages}


def harm(ground: Ground, undisturbed: Undisturbed, kind: str, at: dict[str, int]) -> dict[str, Any]:
    (told,) = ground.run([{**undisturbed.job(at), "harm": kind}], "crash.harms")
    assert "\n".join(told["found"]) == ""
    assert sorted(told["harmed"]) == sorted(at)
    return told


def errors_of(told: dict[str, Any], kind: str, text: str = "") -> str:
    """The errors of harmed stages that are not what they should be; one that was harmed after its end has none."""
    return "\n".join(
        f"{stage}: {ended['kind']}: {ended['error'].strip()[-300:]}"
        for stage, ended in told["harmed"].items()
        if ended["kind"] and (ended["kind"] not in kind or text not in ended["error"].splitlines()[-1])
    )


def test_the_next_attempt_does_not_wait_for_the_busy_session_of_a_killed_one(broken_ground: Ground) -> None:
    told = harm(broken_ground, broken_ground.scenario("second"), "killed_while_busy", dict.fromkeys(SLOW_TABLES, 1))

    assert all(ended["killed"] for ended in told["harmed"].values())
    assert max(ended["seconds"] for ended in told["harmed"].values()) < 60
    assert sorted((stage, error) for stage, _, state, error in told["attempts"] if state == "failed") == sorted(
        (stage, "the worker was killed") for stage in SLOW_TABLES
    )


def test_a_task_that_is_ended_by_a_signal_does_not_wait_for_its_statement(broken_ground: Ground) -> None:
    told = harm(broken_ground, broken_ground.scenario("second"), "sigterm_while_busy", dict.fromkeys(SLOW_TABLES, 1))

    assert errors_of(told, "EndedBySignal") == ""


@pytest.mark.parametrize("name", ["first", "cleared"])
def test_a_signal_in_the_middle_of_each_stage_leaves_nothing(broken_ground: Ground, name: str) -> None:
    undisturbed = broken_ground.scenario(name)

    told = harm(broken_ground, undisturbed, "sigterm", half_way(undisturbed))

    assert errors_of(told, "EndedBySignal") == ""


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_worker_that_hangs_while_its_stage_is_run_again_does_no_harm_when_it_goes_on(
    broken_ground: Ground, name: str
) -> None:
    undisturbed = broken_ground.scenario(name)

    told = harm(broken_ground, undisturbed, "frozen", half_way(undisturbed))

    assert errors_of(told, "StageFailed, StepFailed", "server closed the connection unexpectedly") == ""


@pytest.mark.parametrize("name", ["second", "cleared"])
def test_a_connection_that_is_cut_in_the_middle_of_each_stage_is_a_clear_error(
    broken_ground: Ground, name: str
) -> None:
    undisturbed = broken_ground.scenario(name)

    told = harm(broken_ground, undisturbed, "connections_cut", half_way(undisturbed))

    assert errors_of(told, "StageFailed, StepFailed", "server closed the connection unexpectedly") == ""


def test_a_worker_that_hangs_while_it_takes_a_run_number_does_not_stop_the_others(broken_ground: Ground) -> None:
    undisturbed = broken_ground.scenario("second")
    (at,) = [
        number
        for number, text in enumerate(undisturbed.instants("prepare"), start=1)
        if 'insert into "sys".runs' in text
    ]

    told = harm(broken_ground, undisturbed, "frozen", {"prepare": at})

    assert errors_of(told, "StageFailed", "server closed the connection unexpectedly") == ""


def test_a_connection_that_is_cut_before_the_stage_begins_is_a_clear_error(broken_ground: Ground) -> None:
    undisturbed = broken_ground.scenario("second")

    told = harm(
        broken_ground,
        undisturbed,
        "connections_cut",
        {entry["stage"]: 3 + n for n, entry in enumerate(undisturbed.stages)},
    )

    assert errors_of(told, "StageFailed, StepFailed", "server closed the connection unexpectedly") == ""

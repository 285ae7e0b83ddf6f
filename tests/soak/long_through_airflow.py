"""What takes minutes through a real Airflow, and so is no part of ``make test``: ``pytest tests/soak/long_through_airflow.py``.

A second scheduler that starts a running task again, nights that come out of order, and a short soak.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from soak.backfilling import load_newest_first, load_with_a_late_start
from soak.live import LiveHospital
from soak.play import soak
from soak.stack import SoakStack, soak_stack
from soak.story import told_at_once


@pytest.fixture(scope="module")
def stack() -> Iterator[SoakStack]:
    with soak_stack(print) as running:
        yield running


@pytest.fixture(scope="module")
def hospital(stack: SoakStack) -> LiveHospital:
    """A hospital whose first night is loaded; each test loads the next one."""
    hospital = LiveHospital(stack, "disturbed", told_at_once(5, 7))
    hospital.load(0)
    return hospital


@pytest.fixture
def night(hospital: LiveHospital) -> int:
    """The first night that is not loaded yet."""
    return len(hospital.runs())


def test_a_task_that_a_new_scheduler_starts_again_while_the_first_attempt_runs_is_done_once(
    hospital: LiveHospital, night: int
) -> None:
    stage = "crm.dv.etl_links"
    _, session = hospital.hold(night, stage)
    assert hospital.stack.kill_component("scheduler", alone=True)
    assert hospital.stack.mend() == ["scheduler"]
    hospital.wait(lambda: hospital.task(night, stage)[1] > 1, "the new scheduler takes the task for lost")
    hospital.stack.end_left_workers()
    hospital.wait_for_success(night)

    assert [state for state, _ in hospital.attempts(night, stage)] == ["failed", "done"]
    assert hospital.is_gone(session)
    assert hospital.problems(night) == []


def test_nights_that_are_older_than_what_is_loaded_are_refused_until_that_is_taken_back(stack: SoakStack) -> None:
    assert load_newest_first(stack, nights=7, refused=2) == []


def test_of_a_backfill_with_several_nights_at_a_time_a_night_waits_for_an_older_one_that_has_hardly_begun(
    stack: SoakStack,
) -> None:
    assert load_with_a_late_start(stack) == []


def test_a_short_soak_leaves_no_trace(stack: SoakStack) -> None:
    account = soak(stack, seed=3, nights=2, gap=5, say=print)

    assert account.problems == []
    assert account.harms.total() > 0

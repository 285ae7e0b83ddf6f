"""Tasks, workers and the scheduler end in the middle of a stage, through a real Airflow.

All tests share one Airflow. `make soak` does the same and more, at random, for as long as asked; what takes minutes for a
single case is in long_through_airflow.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from soak.live import LiveHospital, now, supervisor_of
from soak.stack import SoakStack, soak_stack
from soak.story import told_at_once

AT_ONCE = 30
"""Seconds within which a retry comes: a heartbeat, the scheduler's turn and Airflow's start of a task on a busy machine."""


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


def test_a_task_that_the_system_kills_for_its_memory_is_tried_again_at_once(hospital: LiveHospital, night: int) -> None:
    stage = "his.sor.etl_sor"
    task, session = hospital.hold(night, stage)
    killed = now()
    os.kill(task, signal.SIGKILL)
    hospital.wait_for_success(night)

    assert hospital.seconds_until_next_attempt(night, stage, killed) < AT_ONCE
    assert hospital.attempts(night, stage) == [("failed", "the worker was killed"), ("done", None)]
    assert hospital.is_gone(session)
    assert hospital.problems(night) == []


def test_a_worker_that_is_asked_to_end_ends_its_task_and_what_it_does_in_the_warehouse(
    hospital: LiveHospital, night: int
) -> None:
    stage = "crm.dv.etl_hubs"
    task, session = hospital.hold(night, stage)
    asked = now()
    supervisor_of(task).terminate()
    hospital.wait_for_success(night)

    assert hospital.seconds_until_next_attempt(night, stage, asked) < AT_ONCE
    [(state, error), last] = hospital.attempts(night, stage)
    assert (state, last) == ("failed", ("done", None))
    assert error is not None and "ended by a signal" in error
    assert hospital.is_gone(session)
    assert hospital.problems(night) == []


def test_a_task_that_a_person_marks_failed_ends_in_the_warehouse_too_and_clearing_it_starts_at_once(
    hospital: LiveHospital, night: int
) -> None:
    stage = "his.dv.etl_links"
    _, session = hospital.hold(night, stage)
    run = hospital.run_id(night)
    hospital.stack.api.mark_failed(hospital.name, run, stage)
    hospital.wait(lambda: hospital.is_gone(session), "the server session has ended", AT_ONCE)
    hospital.wait(lambda: hospital.runs()[night] == "failed", "the run is red")

    cleared = now()
    hospital.stack.api.clear_failed(hospital.name, run)
    hospital.wait_for_success(night)

    assert hospital.seconds_until_next_attempt(night, stage, cleared) < AT_ONCE
    assert [state for state, _ in hospital.attempts(night, stage)] == ["failed", "done"]
    assert hospital.problems(night) == []


def test_a_task_that_is_out_of_time_ends_in_the_warehouse_and_is_tried_again(
    hospital: LiveHospital, night: int
) -> None:
    stage = "crm.sor.etl_sor"
    _, session = hospital.hold(night, stage, execution_timeout=10)
    hospital.wait(lambda: hospital.is_gone(session), "the server session has ended", 10 + AT_ONCE)
    hospital.wait_for_success(night)

    assert hospital.attempts(night, stage)[-1] == ("done", None)
    assert hospital.problems(night) == []


def test_a_scheduler_that_is_killed_and_started_again_in_the_middle_leaves_no_trace(
    hospital: LiveHospital, night: int
) -> None:
    stage = "his.dv.etl_hubs"
    hospital.hold(night, stage)
    assert hospital.stack.kill_component("scheduler", alone=False)
    assert hospital.stack.mend() == ["scheduler"]
    hospital.wait_for_success(night)

    assert hospital.attempts(night, stage) == [("failed", "the worker was killed"), ("done", None)]
    assert hospital.problems(night) == []

"""Whatever is cleared after a night that went well and run again, the warehouse ends as if nothing had been cleared.

With a corrected delivery it ends as if only that had been delivered. What comes after the cleared tasks is cleared with
them; or it is done by the next night, as after a night in which it had failed.
"""

from __future__ import annotations

from typing import Any

from crash.breaking import run_jobs
from crash.clearing import units, with_downstream
from pyelt_provider.embedded.server import EmbeddedServer

RIGHT, WRONG = "right", "wrong"
SOURCES = {"his": "his.sor.etl_sor", "crm": "crm.sor.etl_sor"}


def told(server: EmbeddedServer, tmp_path: Any, jobs: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Do the jobs; return those after which something differs, with what."""
    found = run_jobs(server, tmp_path, list(jobs.values()), "crash.clearing")
    for place, name in enumerate(jobs):
        print(f"{name}: {found[place] or 'the same'}")
    return {name: found[place] for place, name in enumerate(jobs) if found[place]}


def job(
    cleared: list[tuple[str, ...]],
    *,
    start: tuple[str, str] = (RIGHT, RIGHT),
    now: tuple[str, str] = (RIGHT, RIGHT),
    next_night: bool = False,
) -> dict[str, Any]:
    """The deliveries of his and crm at first and now."""
    return {"start": start, "now": now, "cleared": cleared, "next_night": next_night}


def test_any_task_group_or_run_that_is_cleared_with_downstream_changes_nothing(
    server: EmbeddedServer, tmp_path: Any
) -> None:
    jobs = {name: job([with_downstream(stages)]) for name, stages in units().items()}

    assert told(server, tmp_path, jobs) == {}
    assert {"prepare", "his.dv.etl_links", "his.dv", "crm.sor", "crm", "his", "the run", "etl_dm", "close"} <= set(jobs)


def test_any_task_or_group_that_is_cleared_alone_is_made_good_by_the_next_night(
    server: EmbeddedServer, tmp_path: Any
) -> None:
    cleared = {name: stages for name, stages in units().items() if any(".etl_" in stage for stage in stages)}
    jobs = {name: job([stages], next_night=True) for name, stages in cleared.items()}

    assert told(server, tmp_path, jobs) == {}
    assert {"his.sor.etl_sor", "his.dv.etl_links", "his.dv", "crm.sor", "crm", "his", "the run"} <= set(jobs)


def test_a_corrected_delivery_leaves_nothing_of_the_wrong_one(server: EmbeddedServer, tmp_path: Any) -> None:
    both = units()
    jobs = {}
    for name in SOURCES:
        wrong = (WRONG, RIGHT) if name == "his" else (RIGHT, WRONG)
        for unit in (SOURCES[name], f"{name}.sor", name):
            jobs[f"{unit}, other right"] = job([with_downstream(both[unit])], start=wrong)
        fixed = (RIGHT, WRONG) if name == "his" else (WRONG, RIGHT)
        jobs[f"{name}, other wrong"] = job([with_downstream(both[name])], start=(WRONG, WRONG), now=fixed)
    jobs["the run"] = job([both["the run"]], start=(WRONG, WRONG))

    assert told(server, tmp_path, jobs) == {}


def test_both_pipes_that_are_corrected_one_after_the_other_leave_nothing_of_what_was_wrong(
    server: EmbeddedServer, tmp_path: Any
) -> None:
    both = units()
    pipes = [with_downstream(both[name]) for name in ("his", "crm")]
    jobs = {
        "his, crm": job(pipes, start=(WRONG, WRONG)),
        "crm, his": job(pipes[::-1], start=(WRONG, WRONG)),
    }

    assert told(server, tmp_path, jobs) == {}


def test_a_corrected_delivery_is_followed_by_the_next_night_where_nothing_else_is_cleared(
    server: EmbeddedServer, tmp_path: Any
) -> None:
    both = units()
    jobs = {}
    for name in SOURCES:
        wrong = (WRONG, RIGHT) if name == "his" else (RIGHT, WRONG)
        for unit in (SOURCES[name], f"{name}.sor", name):
            jobs[unit] = job([both[unit]], start=wrong, next_night=True)

    assert told(server, tmp_path, jobs) == {}

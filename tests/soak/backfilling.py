"""Nights that come out of order, or several at a time, by ``airflow backfill create``."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psutil

from soak.live import LiveHospital
from soak.stack import SoakStack
from soak.story import told_at_once

BY_HAND = {"catchup": False, "retries": 0}
_WAY_OUT = re.compile(r"pyelt rewind PROJECT --to ([0-9.]+)")


def load_newest_first(stack: SoakStack, nights: int, *, refused: int = 3) -> list[str]:
    """Load the newest night, ask for `refused` older ones, take back as the refusal says, and load all in order.

    Returns what is not as it should be: after the refusal as before it, at the end as the model says.
    """
    hospital = LiveHospital(stack, f"newest_of_{nights}", told_at_once(8, nights))
    newest = nights - 1
    hospital.let(newest, **BY_HAND)
    hospital.backfill(newest, newest)
    before = hospital.everything()

    older = range(newest - refused, newest)
    hospital.backfill(older[0], older[-1], "--max-active-runs", "2")
    found = [f"after the refusal: {table}" for table, rows in hospital.everything().items() if rows != before[table]]
    if hospital.runs() != {**dict.fromkeys(older, "failed"), newest: "success"}:
        found.append(f"older nights should be refused: {hospital.runs()}")
    ways = set()
    for night in older:
        for pipe in ("his", "crm"):
            [(state, error)] = hospital.attempts(night, f"{pipe}.sor.etl_sor")
            way_out = _WAY_OUT.search(error or "")
            if state != "failed" or way_out is None or "backwards" not in (error or ""):
                found.append(f"night {night} of {pipe} was not refused: {state}, {error}")
            else:
                ways.add(Decimal(way_out.group(1)))
    if len(ways) != 1:
        return [*found, f"the refusals name {ways}"]

    hospital.rewind(ways.pop())
    hospital.backfill(0, newest, "--reprocess-behavior", "completed", "--max-active-runs", "1")
    return found + _judged(hospital, newest)


def load_side_by_side(stack: SoakStack, nights: int, *, at_a_time: int = 3) -> list[str]:
    """Load all nights with several runs open at a time; return what is not as the model says."""
    hospital = LiveHospital(stack, f"side_by_side_{nights}", told_at_once(9, nights))
    hospital.let(nights - 1, **BY_HAND)
    hospital.backfill(0, nights - 1, "--max-active-runs", str(at_a_time))
    return _judged(hospital, nights - 1)


def load_with_a_late_start(stack: SoakStack) -> list[str]:
    """Load two nights at a time, of which the first one's first task hangs before it says a word to the warehouse."""
    hospital = LiveHospital(stack, "late_start", told_at_once(10, 2))
    hospital.let(1, **BY_HAND)
    # It runs for less than a second, perhaps before the command has ended that asked for it.
    with ThreadPoolExecutor() as beside:
        asked = beside.submit(hospital.create_backfill, 0, 1, "--max-active-runs", "2")
        process = hospital.wait(lambda: hospital.process_of(0, "prepare"), "the first task of night 0 runs", pause=0.01)
        late = psutil.Process(process)
        late.suspend()
        asked.result()
    try:
        hospital.wait(
            lambda: hospital.task(1, "his.sor.etl_sor")[0] in ("up_for_reschedule", "success"), "night 1 comes"
        )
    finally:
        late.resume()
    hospital.wait_for_backfill(2)
    return _judged(hospital, 1)


def _judged(hospital: LiveHospital, last: int) -> list[str]:
    runs = {night: state for night, state in hospital.runs().items() if state != "success"}
    return [f"night {night} is {state}" for night, state in runs.items()] + hospital.problems(last)

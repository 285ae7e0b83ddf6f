"""Which instants tasks are killed at, night by night, and what came of it.

A task that is killed at any instant is done whole by its next attempt: the warehouse ends as if nothing had happened.
Three nights are broken: the first load of an empty warehouse, a second night that changes, ends and rejects rows, and
that second night cleared after it was loaded from a wrong delivery. Each disturbed night kills every one of its tasks
once (SIGKILL), runs it again at once in a new process, and compares the whole warehouse after each.

With PYELT_CRASH=all every instant of every stage has its turn; else the instants around COPY and commit, and of the
others a sample, which another PYELT_CRASH_SEED (a number; the day by default) moves on.
"""

from __future__ import annotations

import os
from datetime import date
from typing import Any

from crash.breaking import Ground, Undisturbed

ALL = os.environ.get("PYELT_CRASH") == "all"
SEED = int(os.environ.get("PYELT_CRASH_SEED", date.today().toordinal()))
SAMPLED_NIGHTS = 4


def nights(undisturbed: Undisturbed) -> list[dict[str, int]]:
    """Which instant each stage is killed at, night by night."""
    counts = {entry["stage"]: len(entry["instants"]) for entry in undisturbed.stages}
    if ALL:
        return [
            {stage: number for stage, count in counts.items() if number <= count}
            for number in range(1, undisturbed.most + 1)
        ]
    chosen = [_at(undisturbed, what) for what in ("just before the commit", "just after the commit", "after block 1")]
    for night in range(SAMPLED_NIGHTS):
        chosen.append({s: 1 + (SEED * 7 + night * count // SAMPLED_NIGHTS) % count for s, count in counts.items()})
    return chosen


def _at(undisturbed: Undisturbed, what: str) -> dict[str, int]:
    return {
        entry["stage"]: number
        for entry in undisturbed.stages
        for number, text in enumerate(entry["instants"], start=1)
        if text.startswith(what)
    }


def told(results: list[dict[str, Any]]) -> tuple[int, str]:
    kills = sum(len(result["kills"]) for result in results)
    found = ["\n".join(result["found"]) for result in results if result["found"]]
    return kills, "\n\n".join(found[:3]) + (f"\n{len(found)} nights differ; PYELT_CRASH_SEED={SEED}" if found else "")


def check_killed_nights(ground: Ground, name: str) -> None:
    """Break the scenario's night, again and again, and fail with the differences."""
    undisturbed = ground.scenario(name)
    chosen = nights(undisturbed)

    kills, differences = told(ground.run([undisturbed.job(at) for at in chosen]))

    print(f"{kills} kills in {len(chosen)} nights of {name}")
    assert differences == ""
    assert kills == sum(len(at) for at in chosen)

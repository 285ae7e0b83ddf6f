"""Stages that are cleared and run again after a night that went well, on copies of that night's warehouse.

Started by the tests as a process without threads: ``python -m crash.clearing``, with a JSON text of what to do on its input.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path

from crash.night import Night, Scenario, copied
from crash.project import FIRST, SECOND, WRONG, Delivery, read_project, write_project
from crash.state import State, difference
from databases import Database
from grants import grant_reading
from pyelt_provider.planning.plan import Plan, build_plan
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.runs.locking import LOADING

Pair = tuple[str, str]
"""The deliveries of his and crm, each right or wrong."""

DELIVERIES = {"right": SECOND, "wrong": WRONG}
NEXT = dataclasses.replace(FIRST, day="2026-01-03")
"""The night after."""


def units() -> dict[str, tuple[str, ...]]:
    """What can be cleared: each task, each layer of each pipe, each pipe, and the run; the tasks of each."""
    stages = _stages()
    found = {stage.id: (stage.id,) for stage in stages}
    for stage in stages:
        parts = stage.id.split(".")
        for depth in range(1, len(parts)):
            name = ".".join(parts[:depth])
            found[name] = tuple(other.id for other in stages if other.id.startswith(f"{name}."))
    return {**found, "the run": tuple(stage.id for stage in stages)}


def with_downstream(stages: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks with all that come after them, in the order of the run."""
    plan = _plan()
    found = set(stages)
    for stage in plan.stages:
        if any(edge.downstream == stage.id and edge.upstream in found for edge in plan.edges):
            found.add(stage.id)
    return tuple(stage.id for stage in plan.stages if stage.id in found)


def left_to_do(stages: Sequence[str]) -> tuple[str, ...]:
    """Return the stages of the same pipes that are taken back when these are cleared, and are not done again with them."""
    found = []
    for stage in _stages():
        cleared = [s for s in _stages() if s.id in stages and s.pipe_name == stage.pipe_name and s.kind in LOADING]
        first = min((LOADING.index(s.kind) for s in cleared), default=len(LOADING))
        if stage.id not in stages and stage.kind in LOADING[first:]:
            found.append(stage.id)
    return tuple(found)


@cache
def _plan() -> Plan:
    with _project() as folder:
        return build_plan(read_project(folder), None)


def _stages() -> tuple[Stage, ...]:
    return _plan().stages


@contextmanager
def _project() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pyelt-clearing-") as place:
        write_project(Path(place))
        yield Path(place)


class Town:
    """Nights of both pipes with any deliveries, each loaded once and kept as a database that others are copied from."""

    def __init__(self, server: str, folder: Path, own: ExitStack) -> None:
        self._server, self._folder, self._own = server, folder, own
        self._readers = {name: self._source(name, delivery) for name, delivery in {**DELIVERIES, "next": NEXT}.items()}
        self._readers["first"] = self._source("first", FIRST)
        self._kept: dict[str, State] = {}
        self._night("template0", FIRST, "first", FIRST.day, keep="first")

    def _source(self, name: str, delivery: Delivery) -> str:
        database = self._name(f"source_{name}")
        self._own.enter_context(copied(self._server, "template0", database))
        url = f"{self._server.rpartition('/')[0]}/{database}"
        delivery.write_source(Database(name, url))
        return grant_reading(url)

    def _name(self, name: str) -> str:
        return f"clearing_{os.getpid()}_{name}"

    def _night(self, template: str, files: Delivery, source: str, day: str, keep: str) -> State:
        scenario = Scenario(keep, template, self._readers[source], day)
        files.write_files(self._folder)
        warehouse = self._own.enter_context(copied(self._server, template, self._name(f"after_{keep}")))
        night = Night(scenario, self._folder, warehouse)
        _run(night, [stage.id for stage in night.stages])
        self._kept[keep] = night.state()
        return self._kept[keep]

    def second(self, his: str, crm: str) -> State:
        """The second night with these deliveries."""
        keep = f"{his}_{crm}"
        first = self._name("after_first")
        return self._kept.get(keep) or self._night(first, DELIVERIES[his], crm, SECOND.day, keep)

    def cleared(self, start: Pair, now: Pair, units: Sequence[Sequence[str]]) -> State:
        """Load the night as at first; then clear, one unit after the other, with the deliveries of now."""
        self.second(*start)
        with self._copy(f"after_{'_'.join(start)}") as warehouse:
            for unit in units:
                self._load(warehouse, DELIVERIES[now[0]], now[1], unit)
            return self._state(warehouse)

    def with_next_night(self, start: Pair, now: Pair, unit: Sequence[str], never: Sequence[str]) -> tuple[State, State]:
        """Return the state after the next night: where stages of this one were never done, and where a unit was cleared."""
        states = []
        self.second(*start)
        everything = [stage.id for stage in _stages()]
        first = ("after_first", [stage for stage in everything if stage not in never])
        for template, stages in (first, (f"after_{'_'.join(start)}", unit)):
            with self._copy(template) as warehouse:
                self._load(warehouse, DELIVERIES[now[0]], now[1], stages)
                self._load(warehouse, NEXT, "next", everything)
                states.append(self._state(warehouse))
        return states[0], states[1]

    def _copy(self, template: str) -> AbstractContextManager[str]:
        return copied(self._server, self._name(template), self._name("cleared"))

    def _load(self, warehouse: str, files: Delivery, source: str, stages: Sequence[str]) -> None:
        files.write_files(self._folder)
        _run(Night(Scenario("cleared", "", self._readers[source], files.day), self._folder, warehouse), stages)

    def _state(self, warehouse: str) -> State:
        return Night(Scenario("cleared", "", "", FIRST.day), self._folder, warehouse).state()


def _run(night: Night, stages: Sequence[str]) -> None:
    for stage in night.stages:
        if stage.id in stages:
            ended = night.attempt(stage)
            if ended.error:
                raise AssertionError(f"{stage.id} fails:\n{ended.error}")


def comparable(state: State, *, next_night: bool) -> State:
    """Leave out who was first of several that give a key, and what tells of the way: numbers of attempts, loads seen.

    What the next night made good has that night's number, where rows carry one, and the night before is not closed anew.
    """
    found = {}
    for table, rows in state.items():
        drop: tuple[str, ...] = ()
        match table.partition("."):
            case ("sys", _, "given_keys"):
                continue
            case ("sys", _, "positions" | "journal"):
                rows = [row for row in rows if json.loads(row)["stage"] != "etl_dm"]
            case ("sys", _, "runs" | "stages") | ("attempts", _, _) if next_night:
                continue
            case ("sys", _, "mapping_states") if next_night:
                # A mapping that had to compare everything again has its state twice, and before it one without a fingerprint.
                states = [json.loads(row) for row in rows]
                rows = list({json.dumps({**state, "runid": 0}) for state in states if state["fingerprint"]})
            case ("sys", _, "waiting_references") if next_night:
                drop = ("runid",)
                states = [json.loads(row) for row in rows]
                rows = [
                    json.dumps({**state, "resolved_runid": state["resolved_runid"] is not None}) for state in states
                ]
            case ("sys", _, "stages"):
                drop = ("numbers",)
            case ("dm", _, _) if next_night:
                drop = ("_runid",)
            case (_, _, name) if name.endswith(("_hub", "_link")):
                drop = ("_source_system", "_runid") if next_night else ("_source_system",)
        if drop:
            shown = [{name: value for name, value in json.loads(row).items() if name not in drop} for row in rows]
            rows = sorted(json.dumps(row, sort_keys=True) for row in shown)
        found[table] = rows
    return found


def main() -> None:
    order = json.loads(sys.stdin.read())
    with ExitStack() as own, _project() as folder:
        town = Town(order["server"], folder, own)
        for job in order["jobs"]:
            start, now, later = tuple(job["start"]), tuple(job["now"]), job["next_night"]
            if later:
                (unit,) = job["cleared"]
                expected, found = town.with_next_night(start, now, unit, left_to_do(unit))
            else:
                expected, found = town.second(*now), town.cleared(start, now, job["cleared"])
            differs = difference(*(comparable(state, next_night=later) for state in (expected, found)))
            print(json.dumps(differs), flush=True)


if __name__ == "__main__":
    main()

"""Nights with trouble: what can happen to the hospital's loads, and what its warehouse has to be after that.

Everything that was loaded for good stands in a list of loads; the model, told these and nothing else, says what the vault
is. Whatever else happens (kills, clears, rewinds, refused and failed attempts) only changes this list.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from crash.instants import Instants, WatchedEnvironment
from crash.leftovers import left_behind
from databases import Database
from nights.comparison import difference, vault
from nights.hospital import Hospital, day_of
from nights.model import Model
from nights.stagehand import Chain, Ended, Rewinding, Stagehand
from nights.story import Has, Line, Rules, Story, deliver, other_rules
from pyelt_provider.execution.outcome import StageState
from pyelt_provider.execution.runner import RunRequest
from pyelt_provider.statements.runs.locking import LOADING

KINDS = ("etl_sor", "etl_hubs", "etl_links")
PIPES = ("his", "crm")
STAGES = {f"{pipe}.{layer}.{kind}" for pipe in PIPES for kind, layer in zip(KINDS, ("sor", "dv", "dv"), strict=True)}
BROKEN = {
    "etl_hubs": {"his": ("doctor", "skill", "ward"), "crm": ("doctor", "ward")},
    "etl_links": dict.fromkeys(PIPES, ("visit",)),
}

Lines = dict[str, tuple[Line, ...]]


@dataclass(frozen=True)
class Load:
    """A stage that was committed: of which night, pipe and kind, from which delivery, by which rules."""

    night: int
    pipe: str
    kind: str
    lines: Lines = field(repr=False)
    rules: Rules = field(repr=False)

    def comes_from(self, other: Load) -> bool:
        """True when it is taken back with the other one."""
        same = (self.night, self.pipe) == (other.night, other.pipe)
        return same and KINDS.index(self.kind) >= KINDS.index(other.kind)


@dataclass
class Night:
    """What the sources had before the night, what they deliver in it, and the rules of the night."""

    before: Has
    lines: dict[str, Lines]
    rules: Rules


def replayed(story: Story, loads: list[Load]) -> Model:
    model = Model(story)
    for load in loads:
        match load.kind:
            case "etl_sor":
                model.stage(load.night, load.pipe, load.lines, load.rules)
            case "etl_hubs":
                model.hubs(load.pipe, load.rules)
            case _:
                model.links(load.night, load.pipe, load.rules)
    return model


class Troubles:
    """The hospital, what it has loaded for good, and the nights so far."""

    def __init__(self, warehouse: Database, folder: Path, story: Story, hand: Stagehand, seed: int) -> None:
        self.hospital = Hospital(warehouse, folder, story)
        self.story, self.hand = story, hand
        self.loads: list[Load] = []
        self.nights: list[Night] = []
        self.half: set[tuple[str, str]] = set()
        """Stages (pipe, kind) of this night of which only some mappings are loaded."""
        self.stale: set[str] = set()
        """Pipes whose links of this night looked at keys that were taken back meanwhile."""
        self.inherited = False
        """A pipe was taken back alone: keys that the other one gives too may keep the type that they had from it."""
        self.owed = False
        """The delta pipe was tried in this night and not loaded."""
        self._instants = Instants()
        self._counts: dict[str, int] = {}
        self._seen = 0
        self.begin(seed, changes=False)
        plan = self.hospital.plan()
        made = [stage.id for stage in plan.stages if stage.kind not in LOADING and stage.kind.value != "close"]
        self.hospital.run(day_of(0), stages=made)

    # ------------------------------------------------------------ what is to do

    @property
    def night(self) -> int:
        return len(self.nights) - 1

    def done(self, pipe: str) -> list[str]:
        return [load.kind for load in self.loads if (load.night, load.pipe) == (self.night, pipe)]

    def pending(self, pipe: str) -> list[str]:
        """The kinds that the pipe still has to load in this night; all of them are cleared when it has none."""
        done = self.done(pipe)
        left = [kind for kind in KINDS if kind not in done]
        return ["etl_links"] if pipe in self.stale and not left else left

    @property
    def settled(self) -> bool:
        """The vault has to be what the model says."""
        return not (self.half or self.stale)

    @property
    def may_go_on(self) -> bool:
        """A night may end with a pipe that was not loaded at all, but not with one that was loaded in part."""
        return self.settled and not self.owed and all(len(self.done(pipe)) in (0, 3) for pipe in PIPES)

    # ------------------------------------------------------------ deliveries

    def begin(self, seed: int, *, changes: bool) -> None:
        """The next night, with other rules when `changes`."""
        chosen = random.Random(seed)
        rules = self.nights[-1].rules if self.nights else Rules()
        if changes:
            rules = other_rules(chosen, rules)
        before = self._has_now()
        has = copy.deepcopy(before)
        lines = {pipe: deliver(chosen, self.story, pipe, has) for pipe in PIPES}
        self.nights.append(Night(before, lines, rules))
        self.hospital.obey(rules)
        self.hospital.write(self.night, lines)
        self.half, self.stale, self.owed = set(), set(), False

    def _has_now(self) -> Has:
        """What the sources have: a source that delivers what changed is told what was loaded, not what was sent."""
        has: Has = {}
        for load in self.loads:
            if load.kind == "etl_sor":
                for table, rows in load.lines.items():
                    known = has.setdefault((load.pipe, table), {})
                    if not (self.story.delta and load.pipe == "crm"):
                        known.clear()
                    for line in rows:
                        if "gone" in line:
                            known.pop(line[0], None)
                        elif sum(line[0] == other[0] for other in rows) == 1:
                            known[line[0]] = line
        return has

    def correct(self, pipe: str, seed: int) -> None:
        """The pipe's source delivers something else for this night."""
        night = self.nights[-1]
        night.lines[pipe] = deliver(random.Random(seed), self.story, pipe, copy.deepcopy(night.before))
        self.hospital.write(self.night, {pipe: night.lines[pipe]})

    # ------------------------------------------------------------ loading

    def load(self, pipe: str, kind: str) -> None:
        """Do the stage undisturbed."""
        self._run(pipe, kind)
        found = self._observe()
        assert found and found[-1] == (pipe, kind), f"{pipe} {kind} was not loaded"

    def _run(self, pipe: str, kind: str) -> Any:
        stage = _stage_id(pipe, kind)
        self._instants = Instants()
        self.hospital.environment = WatchedEnvironment(self._instants)
        try:
            (outcome,) = self.hospital.run(day_of(self.night), stages=[stage]).values()
            self._counts[stage] = self._instants.count
        finally:
            if pipe == "crm" and kind == "etl_sor" and self.story.delta:
                self.owed = True  # until it is seen to be loaded
        return outcome

    def _observe(self) -> list[tuple[str, str]]:
        """See what was committed since the last look, in the order of the commits; it is loaded for good."""
        rows = self.hospital.rows(
            """select s.load_order, s.pipe, s.kind, s.state, r.interval_start::date - date '2026-01-01'
               from sys.stages s join sys.runs r using (runid)
               where s.load_order > %s and s.kind like 'etl%%' order by s.load_order""",
            (self._seen,),
        )
        found = []
        for order, pipe, kind, state, night in rows:
            self._seen = order
            assert night == self.night, f"{pipe} {kind} of night {night} was loaded in night {self.night}"
            rules, lines = self.nights[-1].rules, self.nights[-1].lines[pipe]
            if state == StageState.DONE:
                self._count(Load(night, pipe, kind, lines, rules))
                found.append((pipe, kind))
            elif state == StageState.FAILED:
                self._uncount(Load(night, pipe, kind, lines, rules))
                self.half.add((pipe, kind))
        return found

    def _count(self, load: Load) -> None:
        self._uncount(load)
        self.loads.append(load)
        if load.kind == "etl_links":
            self.stale.discard(load.pipe)
        if load.kind == "etl_sor" and load.pipe == "crm":
            self.owed = False

    def _uncount(self, load: Load) -> None:
        gone = [other for other in self.loads if other.comes_from(load)]
        for other in gone:
            if other.kind == "etl_hubs":
                self.inherited = True
                later = self.loads[self.loads.index(other) :]
                self.stale |= {other.pipe for other in later if other.kind == "etl_links" and other.pipe != load.pipe}
        self.loads = [other for other in self.loads if other not in gone]
        self.half -= {(load.pipe, kind) for kind in KINDS[KINDS.index(load.kind) :]}
        self.stale -= {load.pipe}

    # ------------------------------------------------------------ trouble

    def killed(self, pipe: str, kinds: list[str], share: float) -> None:
        """Do the stages in a worker that is killed at an instant, as far into its work as the share says."""
        self.side_by_side({pipe: kinds}, {pipe: share})

    def side_by_side(self, kinds: dict[str, list[str]], kills: dict[str, float]) -> None:
        """Do these stages of these pipes, in a worker per pipe at the same time."""
        works = [(self._chain(pipe, own), self._instant(pipe, own, kills.get(pipe, 0))) for pipe, own in kinds.items()]
        if self.story.delta and "etl_sor" in kinds.get("crm", ()):
            self.owed = True
        ended = self.hand.work(*works)
        found = self._observe()
        for (pipe, own), end in zip(kinds.items(), ended, strict=True):
            assert not end.error, f"{pipe} {own}: {end.error}"
            if not end.killed:
                assert {(pipe, kind) for kind in own} <= set(found), f"{pipe} {own}: only {found}"

    def _chain(self, pipe: str, kinds: list[str]) -> Chain:
        plan = self.hospital.plan()
        start = datetime.combine(day_of(self.night), time(), UTC)
        return Chain(
            stages=tuple(plan.stage(_stage_id(pipe, kind)) for kind in kinds),
            request=RunRequest(
                dag_id=plan.dag_id,
                dag_run_id=f"scheduled__{day_of(self.night)}",
                interval_start=start,
                interval_end=start + timedelta(days=1),
            ),
            now=start.replace(tzinfo=None) + timedelta(hours=2, seconds=self._seen % 3000),
        )

    def _instant(self, pipe: str, kinds: list[str], share: float) -> int:
        most = sum(self._counts.get(_stage_id(pipe, kind), 100) for kind in kinds)
        return 1 + int(share * most) if share else 0

    def source_gone(self, pipe: str) -> None:
        """The files of the pipe are not there; loading says so and changes nothing."""
        folder = self.hospital.folder / day_of(self.night).isoformat()
        away = folder.with_name("away")
        folder.rename(away)
        try:
            error = self._fails(pipe, "etl_sor")
        finally:
            away.rename(folder)
        assert f"{pipe}_" in error, error
        assert self._observe() == []

    def broken(self, pipe: str, kind: str, table: str, *, log: bool) -> None:
        """A mapping cannot be done: with `on_errors: log` the others are committed, else nothing is."""
        night = self.nights[-1]
        self.hospital.obey(replace(night.rules, broken=table, log_errors=log))
        try:
            if log:
                outcome = self._run(pipe, kind)
                assert any(f"{table}_hstage" in names for names, _ in outcome.failures), outcome.failures
            else:
                assert f"{table}_hstage" in self._fails(pipe, kind)
        finally:
            self.hospital.obey(night.rules)
        assert self._observe() == []

    def older(self, pipe: str, night: int) -> None:
        """A run of an older data interval is refused and changes nothing."""
        for kind in KINDS:
            error = self._fails(pipe, kind, night=night)
            assert "take the later runs back first: pyelt rewind" in error, error
        assert self._observe() == []

    def _fails(self, pipe: str, kind: str, night: int | None = None) -> str:
        day = day_of(self.night if night is None else night)
        if pipe == "crm" and kind == "etl_sor" and self.story.delta and night is None:
            self.owed = self.owed or "etl_sor" not in self.done("crm")
        return self.hospital.fails(day, stages=[_stage_id(pipe, kind)])

    def rewind(self, to: int, share: float) -> None:
        """Go back to the end of a night (-1: before the first), killed the first time unless the share is 0."""
        if share and self._rewound(to, None, share).killed and self._is_untouched():
            self.check()
        self._rewound(to, None, 0)
        if to < self.night:
            self.half, self.stale, self.owed = set(), set(), False
        self.loads = [load for load in self.loads if load.night <= to]
        self.nights = self.nights[: max(to, 0) + 1]
        self.hospital.obey(self.nights[-1].rules)

    def _is_untouched(self) -> bool:
        return not self.hospital.rows("select from sys.stages where state = 'to do' and kind like 'etl%'")

    def rewind_pipe(self, pipe: str, to: int) -> None:
        """Go back with one pipe, and load the same again."""
        again = [load for load in self.loads if load.pipe == pipe and load.night > to]
        now = self.nights[-1].lines[pipe]
        self.inherited = True
        self.hospital.take_back(to, pipe)
        for load in again:
            self.hospital.obey(load.rules)
            self.hospital.write(load.night, {pipe: load.lines})
            self.hospital.run(day_of(load.night), stages=[_stage_id(pipe, load.kind)])
        self.hospital.obey(self.nights[-1].rules)
        self.hospital.write(self.night, {pipe: now})
        self._seen = self.hospital.rows("select max(load_order) from sys.stages")[0][0]

    def _rewound(self, to: int, pipe: str | None, share: float) -> Ended:
        hospital = self.hospital
        work = Rewinding(hospital.pipeline, self._number(to), pipe, datetime(2026, 2, 1))
        (ended,) = self.hand.work((work, 1 + int(share * 60) if share else 0))
        assert not ended.error, ended.error
        return ended

    def _number(self, night: int) -> Decimal:
        return self.hospital.number(night)

    # ------------------------------------------------------------ what has to be

    def check(self) -> None:
        """The vault is what the model says, and nothing of ours is left on the server."""
        assert left_behind(self.hospital.warehouse.url) == []
        if self.settled:
            expected, shown = replayed(self.story, self.loads).state(), vault(self.hospital)
            for pipe in PIPES:
                if self.done(pipe)[-1:] == ["etl_hubs"]:  # the vault's rows are judged when the links are loaded
                    for state in (expected, shown):
                        state[pipe]["default"] = {row[:3] for row in state[pipe]["default"]}
            if self.inherited:
                for state in (expected, shown):
                    state["doctors"] = {key for key, _ in state["doctors"]}
            found = difference(expected, shown)
            assert found == [], "\n".join(found)

    def finish(self) -> None:
        """Load what is still to do."""
        for kind in KINDS:
            for pipe in PIPES:
                if kind in self.pending(pipe):
                    self.load(pipe, kind)

    def straight(self, warehouse: Database, folder: Path) -> Iterator[str]:
        """Load the same into an empty warehouse without any trouble; give the differences in the whole history."""
        hospital = Hospital(warehouse, folder, self.story)
        first = self.nights[0]
        hospital.write(0, first.lines)
        made = [s.id for s in hospital.plan().stages if s.kind not in LOADING and s.kind.value != "close"]
        hospital.run(day_of(0), stages=made)
        for load in self.loads:
            hospital.obey(load.rules)
            hospital.write(load.night, {load.pipe: load.lines})
            hospital.run(day_of(load.night), stages=[_stage_id(load.pipe, load.kind)])
        troubled = self.hospital.state()
        for table, rows in hospital.state().items():
            if table == "doctor_hub" and self.inherited:
                rows, troubled[table] = [row[:1] for row in rows], [row[:1] for row in troubled[table]]
            lacks, extra = (
                set(map(str, rows)) - set(map(str, troubled[table])),
                set(map(str, troubled[table])) - set(map(str, rows)),
            )
            if lacks or extra or len(rows) != len(troubled[table]):
                yield f"{table}: the troubled warehouse lacks {sorted(lacks)} and has {sorted(extra)}"


def _stage_id(pipe: str, kind: str) -> str:
    return f"{pipe}.{'sor' if kind == 'etl_sor' else 'dv'}.{kind}"

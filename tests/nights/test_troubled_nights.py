"""Kills, clears, corrections, rewinds, refusals and workers side by side, in any order: the vault is what the model says.

A state machine of Hypothesis. PYELT_TROUBLES says how many examples, PYELT_TROUBLES_STEPS of how many steps each; by
default as many as fit into a minute. With another PYELT_TROUBLES_SEED (a number) they are others; with
PYELT_TROUBLES_SHRINK=1 a failure is made smaller, which takes long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    get_state_machine_test,
    initialize,
    invariant,
    precondition,
    rule,
)

from databases import fresh_database
from nights.stagehand import Stagehand
from nights.story import Story
from nights.troubles import BROKEN, KINDS, PIPES, Troubles
from pyelt_provider.embedded.server import EmbeddedServer

EXAMPLES = int(os.environ.get("PYELT_TROUBLES", "5"))
STEPS = int(os.environ.get("PYELT_TROUBLES_STEPS", "14"))
SEED = os.environ.get("PYELT_TROUBLES_SEED")
SHRINK = bool(os.environ.get("PYELT_TROUBLES_SHRINK"))
MOST_NIGHTS = 7

_SEEDS = st.integers(0, 1_000_000)
_PIPES = st.sampled_from(PIPES)
_SHARES = st.sampled_from([n / 40 for n in range(1, 41)])


class TroubledNights(RuleBasedStateMachine):
    """`server`, `hand` and `folder` are set by the test."""

    server: EmbeddedServer
    hand: Stagehand
    folder: Callable[[], Path]
    troubles: Troubles

    @initialize(first=_SEEDS, driving=st.booleans(), prefer=st.booleans(), delta=st.booleans())
    def open(self, first: int, driving: bool, prefer: bool, delta: bool) -> None:
        self.databases = ExitStack()
        warehouse = self.databases.enter_context(fresh_database(self.server, "troubled"))
        self.troubles = Troubles(warehouse, self.folder(), Story(driving, prefer, delta), self.hand, first)

    # ------------------------------------------------------------ nights without trouble

    @precondition(lambda self: self.troubles.may_go_on and self.troubles.night < MOST_NIGHTS)
    @rule(lines=_SEEDS, changes=st.booleans())
    def next_night(self, lines: int, changes: bool) -> None:
        self.troubles.begin(lines, changes=changes)

    @precondition(lambda self: self.to_do())
    @rule(pipe=_PIPES)
    def load_one_stage(self, pipe: str) -> None:
        pipe = self.one_of(pipe, self.to_do())
        self.troubles.load(pipe, self.troubles.pending(pipe)[0])

    @precondition(lambda self: self.to_do())
    @rule()
    def load_the_rest(self) -> None:
        self.troubles.finish()

    # ------------------------------------------------------------ trouble

    @precondition(lambda self: self.to_do())
    @rule(pipe=_PIPES, share=_SHARES, retries=st.booleans())
    def kill(self, pipe: str, share: float, retries: bool) -> None:
        pipe = self.one_of(pipe, self.to_do())
        kinds = self.troubles.pending(pipe)[:1]
        self.troubles.killed(pipe, kinds, share)
        if retries and self.troubles.pending(pipe)[:1] == kinds:
            self.troubles.check()
            self.troubles.load(pipe, kinds[0])

    @precondition(lambda self: self.loaded())
    @rule(pipe=_PIPES, kind=st.sampled_from(KINDS), share=st.one_of(st.just(0.0), _SHARES))
    def clear(self, pipe: str, kind: str, share: float) -> None:
        pipe = self.one_of(pipe, self.loaded())
        kind = kind if kind in self.troubles.done(pipe) else "etl_sor"
        self.troubles.killed(pipe, [kind], share)

    @precondition(lambda self: self.loaded())
    @rule(pipe=_PIPES, lines=_SEEDS, whole=st.booleans())
    def correct(self, pipe: str, lines: int, whole: bool) -> None:
        pipe = self.one_of(pipe, self.loaded())
        self.troubles.correct(pipe, lines)
        self.troubles.load(pipe, "etl_sor")
        if whole:
            self.troubles.finish()

    @precondition(lambda self: len(self.loaded()) == 2)
    @rule()
    def clear_the_run(self) -> None:
        for pipe in PIPES:
            self.troubles.load(pipe, "etl_sor")
        self.troubles.finish()

    @rule(back=st.integers(0, 3), share=st.one_of(st.just(0.0), _SHARES), pipe=st.one_of(st.none(), st.none(), _PIPES))
    def rewind(self, back: int, share: float, pipe: str | None) -> None:
        nights = sorted({load.night for load in self.troubles.loads} | {-1})
        to = nights[max(len(nights) - 1 - back, 0)]
        if pipe is None:
            self.troubles.rewind(to, share)
        elif self.troubles.settled:
            self.troubles.rewind_pipe(pipe, to)

    @precondition(lambda self: self.to_do())
    @rule(killed=st.one_of(st.none(), _PIPES), share=_SHARES)
    def side_by_side(self, killed: str | None, share: float) -> None:
        kills = {killed: share} if killed else {}
        first = {pipe: [kind for kind in self.troubles.pending(pipe) if kind != "etl_links"] for pipe in PIPES}
        then = {pipe: ["etl_links"] for pipe in PIPES if "etl_links" in self.troubles.pending(pipe)}
        work = {pipe: kinds for pipe, kinds in first.items() if kinds} or then
        self.troubles.side_by_side(work, {pipe: share for pipe, share in kills.items() if pipe in work})

    @rule(pipe=_PIPES)
    def lose_the_source(self, pipe: str) -> None:
        self.troubles.source_gone(pipe)

    @precondition(lambda self: self.mappings_to_do())
    @rule(pipe=_PIPES, log=st.booleans(), data=st.data())
    def break_a_mapping(self, pipe: str, log: bool, data: st.DataObject) -> None:
        pipe = self.one_of(pipe, self.mappings_to_do())
        kind = self.troubles.pending(pipe)[0]
        self.troubles.broken(pipe, kind, data.draw(st.sampled_from(BROKEN[kind][pipe])), log=log)

    @precondition(lambda self: self.older_nights())
    @rule(data=st.data())
    def load_an_older_night(self, data: st.DataObject) -> None:
        self.troubles.older(*data.draw(st.sampled_from(self.older_nights())))

    # ------------------------------------------------------------ what has to be

    @invariant()
    def same(self) -> None:
        self.troubles.check()

    def teardown(self) -> None:
        if not hasattr(self, "databases"):
            return
        with self.databases:
            if sys.exc_info()[0] is None:
                self.troubles.finish()
                self.troubles.check()
                straight = self.databases.enter_context(fresh_database(self.server, "straight"))
                assert "\n".join(self.troubles.straight(straight, self.folder())) == ""

    def to_do(self) -> list[str]:
        return [pipe for pipe in PIPES if self.troubles.pending(pipe)]

    def loaded(self) -> list[str]:
        return [pipe for pipe in PIPES if self.troubles.done(pipe)]

    def mappings_to_do(self) -> list[str]:
        """Pipes whose next stage has mappings."""
        return [pipe for pipe in self.to_do() if self.troubles.pending(pipe)[0] != "etl_sor"]

    def older_nights(self) -> list[tuple[str, int]]:
        """Nights that are behind the last one of a pipe."""
        last = {load.pipe: load.night for load in self.troubles.loads if load.kind == "etl_sor"}
        return [(pipe, night) for pipe, newest in last.items() for night in range(newest)]

    @staticmethod
    def one_of(pipe: str, pipes: list[str]) -> str:
        return pipe if pipe in pipes else pipes[0]


def test_whatever_happens_the_vault_is_what_the_model_says(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=SEED is None,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if SHRINK else ())),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    with Stagehand() as hand:
        TroubledNights.server, TroubledNights.hand = server, hand
        TroubledNights.folder = staticmethod(lambda: tmp_path_factory.mktemp("troubled"))
        test = get_state_machine_test(TroubledNights, settings=chosen)
        if SEED:
            test = seed(int(SEED))(test)
        test()

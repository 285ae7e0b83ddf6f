"""A soak: Airflow loads a story night by night while its processes and servers are killed, and what came of it is judged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from databases import Database
from grants import grant_loading
from nights.hospital import Hospital
from pyelt_provider.demo.failure import DemoError
from soak.harm import NEEDS_A_TASK, Harm, do, random_harms
from soak.judge import problems
from soak.stack import SoakStack
from soak.story import told

STALLED_SECONDS, GIVEN_UP_SECONDS = 90, 600
LONGEST_TEXT = 1000

PROGRESS = """
    select (select count(*) from dag_run where dag_id = %(dag)s and state = 'success'),
           (select sum(try_number) from task_instance where dag_id = %(dag)s),
           (select count(*) from task_instance where dag_id = %(dag)s and state in ('success', 'failed'))
"""


@dataclass
class Account:
    """What happened in a soak, and what is wrong at its end."""

    seed: int
    nights: int
    harms: Counter[str] = field(default_factory=Counter)
    died: Counter[str] = field(default_factory=Counter)
    """Components that ended by themselves, because of what was done to others."""
    cleared: list[str] = field(default_factory=list)
    stalled: int = 0
    attempts: int = 0
    seconds: float = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        done = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.harms.items()))
        died = ", ".join(f"{count} x {name}" for name, count in sorted(self.died.items())) or "nothing"
        lines = [
            f"seed {self.seed}: {self.nights} nights in {self.seconds / 60:.1f} min, {self.attempts} attempts of stages",
            f"  done to it: {done or 'nothing'}",
            f"  died of it: {died}; scheduler started again because nothing moved: {self.stalled}",
            f"  runs whose failed tasks had to be cleared: {', '.join(self.cleared) or 'none'}",
        ]
        return "\n".join([*lines, *(f"  WRONG: {text[:LONGEST_TEXT]}" for text in self.problems)])


def soak(stack: SoakStack, seed: int, nights: int, *, gap: float, say: Callable[[str], None]) -> Account:
    """Load a story of so many nights with a harm each `gap` seconds on average; return what happened.

    The seed decides the deliveries, the rules, and which harm follows which after how long; what a harm meets is timing.
    """
    return _Soak(stack, seed, nights, gap, say).play()


class _Soak:
    def __init__(self, stack: SoakStack, seed: int, nights: int, gap: float, say: Callable[[str], None]) -> None:
        self.stack, self.say, self.name = stack, say, f"soak_{seed}"
        self.account = Account(seed, nights)
        self.told = told(seed, nights)
        self.harms: Iterator[Harm] = random_harms(seed, gap)
        self.began = time.monotonic()
        self.moved, self.progress = self.began, (0, 0, 0)

    def play(self) -> Account:
        disturbed, undisturbed = self._database("disturbed"), self._database("undisturbed")
        folder = self.stack.places.home / self.name
        folder.mkdir()
        straight = Hospital(undisturbed, folder, self.told.story)
        self.told.deliver(straight)
        account = self.account
        account.problems = [f"without any harm: {text}" for text in self.told.load_undisturbed(straight)]
        if account.problems:
            return account
        for end in self.told.ends:
            chapter = self.told.chapter(end, self.name, disturbed, folder)
            self._tell(f"a chapter until night {end}, with {chapter.rules}")
            chapter.write(self.stack.places.dags)
            self._disturb_until_loaded(end)
            if account.problems:
                return account
        self.stack.mend(patience=0)
        account.attempts = disturbed.rows("select count(*) from sys.attempts")[0][0]
        account.problems = problems(disturbed, straight, self.told.story)
        account.seconds = time.monotonic() - self.began
        return account

    def _database(self, kind: str) -> Database:
        name = f"{self.name}_{kind}"
        self.stack.warehouses.ensure_database(name)
        return Database(name, grant_loading(self.stack.warehouses.url(name)))

    def _disturb_until_loaded(self, end: int) -> None:
        harm = next(self.harms)
        at = time.monotonic() + harm.pause
        self.moved = time.monotonic()
        while not self._loaded(end) and not self.account.problems:
            if time.monotonic() > at:
                self._harm(harm)
                harm = next(self.harms)
                at = time.monotonic() + harm.pause
            for name in self.stack.mend():
                self.account.died[name] += 1
                self._tell(f"{name} had ended by itself")
            self._clear_what_failed()
            self._look_at_progress()
            time.sleep(0.5)

    def _harm(self, harm: Harm) -> None:
        if not do(self.stack, harm):
            self._tell(f"{harm.kind}: there is none")
            return
        self.account.harms[harm.kind] += 1
        self._tell(harm.kind)
        if harm.kind not in NEEDS_A_TASK:
            time.sleep(harm.away)
            self.stack.mend()

    def _loaded(self, end: int) -> bool:
        return self.stack.nights_with_success(self.name) >= set(range(end + 1))

    def _clear_what_failed(self) -> None:
        failed = "select run_id from dag_run where dag_id = %s and state = 'failed' order by logical_date limit 1"
        for (run,) in self.stack.metadata(failed, self.name):
            why = self.stack.metadata(
                "select task_id from task_instance where (dag_id, run_id, state) = (%s, %s, 'failed') order by 1",
                self.name,
                run,
            )
            try:
                self.stack.api.clear_failed(self.name, run)
            except DemoError as error:
                self._tell(f"{run} cannot be cleared: {error}")
                continue
            self.account.cleared.append(f"{run} ({', '.join(str(task) for (task,) in why)})")
            self._tell(f"cleared what failed in {self.account.cleared[-1]}")

    def _look_at_progress(self) -> None:
        try:
            [now] = self.stack.metadata(PROGRESS.replace("%(dag)s", "%s"), *[self.name] * 3) or [self.progress]
        except psycopg2.Error:
            return
        if now != self.progress:
            self.progress, self.moved = (now[0], now[1], now[2]), time.monotonic()
        still = time.monotonic() - self.moved
        if still > GIVEN_UP_SECONDS:
            self.account.problems.append(f"nothing moves any more for {still:.0f} s")
        elif still > STALLED_SECONDS and int(still) % STALLED_SECONDS < 1:
            self.account.stalled += 1
            self._tell("nothing moves; the scheduler is started again")
            self.stack.kill_component("scheduler", alone=False)
            self.stack.mend()

    def _tell(self, text: str) -> None:
        self.say(f"{time.monotonic() - self.began:7.1f} s  {text}")


def write_logs(home: Path, target: Path) -> None:
    """Keep the logs of a stack whose story went wrong."""
    import shutil

    for name in ("logs", "airflow/logs"):
        shutil.copytree(home / name, target / name, dirs_exist_ok=True)

"""Following the sample's runs while the scheduler does them: a line for each run that ended, and what failed in it."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from pyelt_provider.demo.api import Api, Run
from pyelt_provider.demo.failure import DemoError

POLL_SECONDS = 2.0
IMPORT_SECONDS = 120.0
QUIET_POLLS = 2
"""So often in a row nothing must be left to do: between two runs the scheduler shows neither of them for a moment."""


class Screen:
    """Prints lines; on a terminal also one line below them that changes in place."""

    def __init__(self, output: TextIO = sys.stdout) -> None:
        self._output = output
        self._moving = output.isatty()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(line, file=self._output, flush=True)

    def show(self, line: str) -> None:
        """Replace the moving line; nothing is printed where there is no terminal."""
        if self._moving:
            self._output.write(f"\r\x1b[2K{line[:100]}")
            self._output.flush()

    def _clear(self) -> None:
        if self._moving:
            self._output.write("\r\x1b[2K")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the sample's runs ended: all of them, in the order in which they are shown."""

    runs: tuple[Run, ...]

    @property
    def failed(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.state == "failed")


def wait_for_dags(api: Api, pipeline: str, check: Callable[[], None]) -> tuple[str, ...]:
    """Return the ids of the pipeline's DAGs as soon as Airflow knows them; raises DemoError with its import errors."""
    deadline = time.monotonic() + IMPORT_SECONDS
    while True:
        found = api.dags(pipeline)
        if pipeline in found:
            return tuple(sorted(found))
        check()
        errors = [error for error in api.import_errors() if pipeline in error.splitlines()[0]]
        if errors or time.monotonic() > deadline:
            told = "\n".join(errors) or "it reports no error"
            raise DemoError(f"Airflow finds no DAG {pipeline}; {told}")
        time.sleep(POLL_SECONDS)


def follow(api: Api, dag_ids: Iterable[str], *, task_logs: Path, screen: Screen, check: Callable[[], None]) -> Outcome:
    """Wait until the scheduler has done every run that these DAGs have to do, showing each one when it ends.

    A DAG has nothing to do when none of its runs is open and no further one is due. `check` is called at each look and
    may raise to end the waiting.
    """
    shown: dict[tuple[str, str], Run] = {}
    quiet = 0
    names = tuple(dag_ids)
    while quiet < QUIET_POLLS:
        check()
        dags = {name: dag for name, dag in api.dags(names[0].split("__")[0]).items() if name in names}
        runs = [run for name in names for run in api.runs(name)]
        for run in runs:
            if run.ended and (run.dag_id, run.run_id) not in shown:
                shown[run.dag_id, run.run_id] = run
                _show(run, api, task_logs, screen)
        open_runs = [run for run in runs if not run.ended]
        screen.show(_moving_line(api, open_runs, ended=len(shown)))
        quiet = 0 if open_runs or not runs or _any_due(dags.values()) else quiet + 1
        time.sleep(POLL_SECONDS)
    screen.show("")
    return Outcome(runs=tuple(shown.values()))


def _show(run: Run, api: Api, task_logs: Path, screen: Screen) -> None:
    seconds = "" if run.seconds is None else f"{run.seconds:7.1f} s"
    screen.say(f"  {run.dag_id:<24} {run.day}  {run.state:<8} {seconds}")
    if run.state == "failed":
        for task in api.failed_tasks(run):
            folder = task_logs / f"dag_id={run.dag_id}" / f"run_id={run.run_id}" / f"task_id={task.task_id}"
            log = folder / f"attempt={task.attempt}.log"
            screen.say(f"      failed: {task.task_id}: {last_error(log)}\n              its log: {log}")


def last_error(log: Path) -> str:
    """Return the first line of the error that ended a task, from its log of JSON lines; a hint when it holds none."""
    found = "its log has no error; the scheduler's log may say more"
    if not log.exists():
        return found
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            for error in entry.get("error_detail") or []:
                found = f"{error['exc_type']}: {error['exc_value']}".split("\n")[0]
    return found


def _moving_line(api: Api, open_runs: list[Run], *, ended: int) -> str:
    if not open_runs:
        return f"  {ended} runs done, waiting for the scheduler"
    parts = []
    for run in open_runs[:2]:
        states = api.task_states(run)
        done = sum(state in {"success", "skipped", "failed", "upstream_failed"} for state in states)
        parts.append(f"{run.dag_id} {run.day}: {done} of {len(states)} tasks")
    return f"  {ended} runs done; now {', '.join(parts)}"


def _any_due(dags: Iterable[dict[str, Any]]) -> bool:
    now = datetime.now(UTC)
    return any(
        dag["next_dagrun_run_after"] is not None and datetime.fromisoformat(dag["next_dagrun_run_after"]) <= now
        for dag in dags
    )

"""Runs stages in processes of their own, several at once, and kills them at an instant: what a scheduler's workers are.

Started by the tests as a process without threads, from which each worker is forked warm: ``python -m nights.stagehand``.
Orders and answers are pickled, through its input and output.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import TracebackType

from crash.instants import Instants, WatchedEnvironment
from pyelt_provider.execution.rewinding import rewind
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.stages import Stage


@dataclass(frozen=True)
class Chain:
    """Stages of a run to do one after the other."""

    stages: tuple[Stage, ...]
    request: RunRequest
    now: datetime

    def work(self, instants: Instants) -> None:
        for stage in self.stages:
            run_stage(stage, self.request, WatchedEnvironment(instants), clock=lambda: self.now, log=_SILENT)
        instants.come("after the last statement")


@dataclass(frozen=True)
class Rewinding:
    """Runs to take back."""

    pipeline: Pipeline
    to: Decimal
    pipe: str | None
    now: datetime

    def work(self, instants: Instants) -> None:
        rewind(self.pipeline, self.to, WatchedEnvironment(instants), now=self.now, log=_SILENT, pipe=self.pipe)
        instants.come("after the last statement")


@dataclass(frozen=True)
class Ended:
    """How a worker ended: the instant at which it was killed, or its error, or neither."""

    killed: str = ""
    error: str = ""


Work = Chain | Rewinding
_SILENT = logging.getLogger("silent")


class Stagehand:
    """A process that starts workers; a context manager, at whose end it is gone."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nights.stagehand"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def __enter__(self) -> Stagehand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def work(self, *works: tuple[Work, int]) -> list[Ended]:
        """Do all of these at once, each in a process that is killed at its instant (0: never); return how they ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        pickle.dump(works, self._process.stdin)
        self._process.stdin.flush()
        ended: list[Ended] = pickle.load(self._process.stdout)
        return ended


def _start(work: Work, at: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        error = ""
        try:
            work.work(Instants(at, partial(_kill, writing)))
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
        os.write(writing, error.encode()[:60000])
        os._exit(0)
    os.close(writing)
    return process, reading


def _kill(writing: int, what: str) -> None:
    os.write(writing, what.encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _ended(process: int, reading: int) -> Ended:
    with os.fdopen(reading, encoding="utf-8", errors="replace") as told:
        text = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Ended(killed=text) if status == -signal.SIGKILL else Ended(error=text)


def _orders() -> Iterator[Sequence[tuple[Work, int]]]:
    with contextlib.suppress(EOFError):
        while True:
            yield pickle.load(sys.stdin.buffer)


def main() -> None:
    for works in _orders():
        children = [_start(work, at) for work, at in works]
        pickle.dump([_ended(*child) for child in children], sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    from nights import stagehand  # under its own name, by which the tests know what it answers

    stagehand.main()

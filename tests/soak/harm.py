"""What is done to a running Airflow and its servers: a random sequence from a seed, and how each of it is done."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from soak.stack import SoakStack

KINDS = {
    "kill a task": 6,
    "end a task politely": 2,
    "kill a worker": 3,
    "kill a worker and its task": 2,
    "end a worker politely": 2,
    "kill the scheduler": 2,
    "kill the scheduler and its workers": 2,
    "kill the dag-processor": 1,
    "kill the api-server": 1,
    "stop the warehouse": 4,
    "stop the metadata database": 1,
}
"""What may happen, and how often beside the others."""

NEEDS_A_TASK = frozenset(kind for kind in KINDS if " task" in kind or (" worker" in kind and "scheduler" not in kind))


@dataclass(frozen=True)
class Harm:
    """What happens after a pause, and how long what was killed stays away (seconds)."""

    kind: str
    pause: float
    away: float


def random_harms(seed: int, gap: float) -> Iterator[Harm]:
    """The harms of a seed, the same ones each time, with `gap` seconds between two of them on average."""
    chosen = random.Random(f"harms {seed}")
    kinds, weights = list(KINDS), list(KINDS.values())
    while True:
        kind = chosen.choices(kinds, weights)[0]
        yield Harm(kind, pause=chosen.uniform(0, 2 * gap), away=chosen.choice((0, 0, 1, 4)))


def do(stack: SoakStack, harm: Harm, *, patience: float = 10) -> bool:
    """Do it, waiting a little for a task to do it to; False when there was nothing to do it to."""
    match harm.kind:
        case "kill the scheduler":
            return stack.kill_component("scheduler", alone=True)
        case "kill the scheduler and its workers":
            return stack.kill_component("scheduler", alone=False)
        case "kill the dag-processor":
            return stack.kill_component("dag-processor", alone=False)
        case "kill the api-server":
            return stack.kill_component("api-server", alone=False)
        case "stop the warehouse":
            return stack.stop_server(stack.warehouses)
        case "stop the metadata database":
            return stack.stop_server(stack.server)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for worker in stack.workers():
            if _signalled(harm.kind, worker):
                return True
        time.sleep(0.1)
    return False


def _signalled(kind: str, worker: psutil.Process) -> bool:
    """Do it to a worker that looks after a task, or to the task; False when the task ended before we came."""
    with contextlib.suppress(psutil.NoSuchProcess):
        # Held, so that it does not come to its end, and to the queue of all workers, between our look and our blow.
        worker.suspend()
        try:
            tasks = [child for child in worker.children() if child.status() != psutil.STATUS_ZOMBIE]
            if not tasks:
                return False
            match kind:
                case "kill a task":
                    tasks[0].kill()
                case "end a task politely":
                    tasks[0].terminate()
                case "kill a worker":
                    worker.kill()
                case "kill a worker and its task":
                    worker.kill()
                    tasks[0].kill()
                case "end a worker politely":
                    worker.terminate()
                case _:
                    raise AssertionError(kind)
            return True
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()
    return False

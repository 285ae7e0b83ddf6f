"""Imports what every task needs before tasks are forked, so that each of them starts a quarter of a second earlier."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from collections.abc import Sequence

PACKAGES = ("config", "planning", "statements", "sources", "execution", "orchestration")
PARENTS_OF_TASKS = frozenset({"scheduler", "worker"})
"""The Airflow commands whose process forks tasks: the scheduler with LocalExecutor, and a Celery worker."""


def warm_up(command: Sequence[str] = tuple(sys.argv)) -> bool:
    """Import this package's modules when this process is a parent of tasks; tell whether it is.

    A task is a fork of its worker, which is a fork of the process that runs the command: what that one has imported,
    no task imports again. A module that cannot be imported is left for the task that needs it, which then says so.
    """
    if not PARENTS_OF_TASKS.intersection(command[1:3]):
        return False
    for name in PACKAGES:
        package = importlib.import_module(f"pyelt_provider.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(Exception):
                importlib.import_module(module.name)
    return True

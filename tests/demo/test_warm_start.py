"""Tasks start faster because the process that forks them has imported what they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "plugins"
QUESTION = """
import sys
from pyelt_provider.orchestration.warm_start import warm_up
warmed = warm_up(sys.argv)
print(warmed, "pyelt_provider.statements.programs" in sys.modules, "pyelt_provider.execution.runner" in sys.modules)
"""


def answer(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", QUESTION, *command],
        env={"PYTHONPATH": str(PLUGINS)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_the_scheduler_and_a_celery_worker_import_what_tasks_need() -> None:
    assert answer("scheduler", "--skip-serve-logs") == "True True True"
    assert answer("celery", "worker") == "True True True"


def test_other_commands_import_nothing() -> None:
    assert answer("api-server") == "False False False"
    assert answer("dags", "list") == "False False False"

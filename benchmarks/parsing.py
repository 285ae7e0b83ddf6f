"""How long Airflow takes to import many pipelines, against DAG files with the same tasks written by hand."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.project_files import PIPES, write_plain_dag, write_project
from benchmarks.report import heading, table

REPEATS = 7
IMPORT_GOAL, TASK_START_GOAL = 1.5, 0.050


def run(pipelines: int) -> bool:
    """Measure in fresh processes, as Airflow parses; True when both goals are reached."""
    heading(f"Airflow: {pipelines} pipelines of {PIPES} pipes")
    with tempfile.TemporaryDirectory(prefix="pyelt-parsing-") as name:
        folder = Path(name)
        _write(folder, pipelines)
        ours = folder / "dags"
        first = [_measure(folder, ours, forget=True)["seconds"] for _ in range(REPEATS // 2 + 1)]
        plain = [_measure(folder, folder / "plain") for _ in range(REPEATS)]
        warm = [_measure(folder, ours) for _ in range(REPEATS)]
        starts = [_measure(folder, ours, asked=f"p{pipelines // 2:02d}")["seconds"] for _ in range(REPEATS)]
        cold = [
            _measure(folder, ours, asked=f"p{pipelines // 2:02d}", forget=True)["seconds"] for _ in range(REPEATS // 2)
        ]
    tasks, plain_tasks = warm[0]["tasks"], plain[0]["tasks"]
    if tasks != plain_tasks:
        raise SystemExit(f"the DAGs differ: {tasks} tasks of ours, {plain_tasks} written by hand")
    by_hand = statistics.median(run["seconds"] for run in plain)
    ratio = statistics.median(run["seconds"] for run in warm) / by_hand
    start = statistics.median(starts)
    table(
        ("what", "measured", "goal", "reached"),
        [
            (
                f"import of all ({tasks:.0f} tasks), by hand = 1",
                f"{ratio:.2f}",
                f"{IMPORT_GOAL}",
                _yes(ratio <= IMPORT_GOAL),
            ),
            ("the same, every project read from YAML", f"{statistics.median(first) / by_hand:.2f}", "", ""),
            ("one DAG at the start of a task, ms", f"{start * 1000:.0f}", "50", _yes(start <= TASK_START_GOAL)),
            ("the same, read from YAML, ms", f"{statistics.median(cold) * 1000:.0f}", "", ""),
        ],
    )
    return ratio <= IMPORT_GOAL and start <= TASK_START_GOAL


def _yes(reached: bool) -> str:
    return "yes" if reached else "NO"


def _write(folder: Path, pipelines: int) -> None:
    for kind in ("dags", "plain", "configs", "home"):
        (folder / kind).mkdir()
    for number in range(pipelines):
        name = f"p{number:02d}"
        write_project(folder / "configs" / name, name)
        (folder / "dags" / f"{name}.py").write_text(
            "from pyelt_provider.orchestration.factory import build_dags  # Airflow DAGs\n\n"
            f'globals().update(build_dags("{name}"))\n'
        )
        write_plain_dag(folder / "plain" / f"{name}.py", folder / "configs" / name)


def _measure(folder: Path, dags: Path, *, asked: str | None = None, forget: bool = False) -> dict[str, float]:
    """Import every DAG file of a folder (or the one of the DAG that is asked for) in a fresh process."""
    if forget:
        for entry in (folder / "home" / "pyelt_cache").glob("*"):
            entry.unlink()
    # Python keeps what it compiled, as in an Airflow that has parsed before; else compiling would be most of the time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/home/airflow.db",
        "PYELT_CONFIGS": str(folder / "configs"),
    }
    if asked is not None:
        environment |= {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": asked, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "prepare"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.parsing", str(dags), asked or ""],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _import_all(dags: Path, asked: str) -> None:
    """In a process of its own: Airflow itself is imported first and does not count, as its processor forks."""
    import importlib.util

    from airflow.providers.standard.operators.empty import EmptyOperator  # noqa: F401
    from airflow.providers.standard.operators.python import PythonOperator  # noqa: F401
    from airflow.sdk import DAG, Asset, Param, TaskGroup, TriggerRule  # noqa: F401

    import pyelt_provider.orchestration.dag_builder
    import pyelt_provider.orchestration.factory  # noqa: F401

    files = sorted(dags.glob(f"{asked}*.py" if asked else "*.py"))
    tasks = 0
    started = time.perf_counter()
    for file in files:
        spec = importlib.util.spec_from_file_location(f"unusual_prefix_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        tasks += sum(len(value.tasks) for value in vars(module).values() if isinstance(value, DAG))
    print(json.dumps({"seconds": time.perf_counter() - started, "tasks": tasks}))


if __name__ == "__main__":
    _import_all(Path(sys.argv[1]), sys.argv[2])

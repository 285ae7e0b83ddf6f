"""How much memory the worker takes while it streams a delivery: the same for a file that is ten times as large."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg2

from benchmarks.deliveries import COLUMNS, Delivery
from benchmarks.report import heading, table
from benchmarks.warehouse import Bench, bench
from pyelt_provider.execution.delivery_steps import copy_delivery
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.planning.plan import build_plan
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import StageKind
from pyelt_provider.statements.step import CopyDelivery

ALLOWED_GROWTH = 1.1


def run(rows: int) -> bool:
    """Stream a tenth of the rows and all of them, each in a fresh process; True when both take the same memory."""
    heading("Memory of the worker while it streams a delivery")
    lines, peaks = [], []
    with bench() as warehouse:
        _prepare(warehouse)
        for number in (rows // 10, rows):
            warehouse.deliver(Delivery(number, 0))
            size = warehouse.file.stat().st_size / 1e6
            peak = _peak_of_child(warehouse)
            warehouse.file.unlink()
            peaks.append(peak)
            lines.append((f"{number:,}", f"{size:.0f}", f"{peak:.1f}"))
    table(("rows", "MB in the file", "MB in the worker"), lines)
    return peaks[1] <= peaks[0] * ALLOWED_GROWTH


def _prepare(warehouse: Bench) -> None:
    """One small night makes the tables."""
    warehouse.deliver(Delivery(10, 0))
    warehouse.night("first")


def _peak_of_child(warehouse: Bench) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", warehouse.url, str(warehouse.folder), str(warehouse.day)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _stream(url: str, folder: Path, day: str) -> None:
    """In a process of its own: stream one delivery into its table, and print the peak of memory in MB."""
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    pipeline = Bench.pipeline_of(url, folder)
    stage = next(stage for stage in build_plan(pipeline, None).stages if stage.kind is StageKind.ETL_SOR)
    staging = stage.the_pipe.tables[0]
    run = Run(
        number=Decimal("9999.00"),
        dag_id="hospital",
        dag_run_id="memory",
        interval_start=(end - timedelta(days=1)).replace(tzinfo=None),
        interval_end=end.replace(tzinfo=None),
        load_time=end.replace(tzinfo=None),
    )
    step = CopyDelivery(label="read the delivery", staging=staging, into=staging.temp, columns=COLUMNS)
    with contextlib.closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"truncate {staging.temp.sql}")
        copy_delivery(step, connection, LocalEnvironment(), stage, run)
        connection.rollback()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _stream(sys.argv[1], Path(sys.argv[2]), sys.argv[3])

"""Loads a warehouse night after night and compares each night with a plain COPY and one hash join of the same file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.deliveries import COLUMNS, Delivery
from benchmarks.report import heading, table
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import build_plan

PROJECT = Path(__file__).parent / "configs" / "hospital"
GOALS = {"first": 12.0, "same file": 1.6, "unchanged": 1.6, "changed": 2.2, "scattered": 2.2}
"""Kinds of nights. `same file` is byte for byte the one of the night before, `unchanged` has its rows in another order;
the changes of `changed` stand next to each other, those of `scattered` all over the tables."""
SERVER = {"shared_buffers": "3GB"}
"""An eighth of the memory of the machine that the figures in the docs are from; a quarter is what PostgreSQL advises."""
FIRST_DAY = date(2026, 1, 1)


@dataclass
class Night:
    """What one night and its yardsticks took: seconds on the clock and of the processors, and the night's stages."""

    kind: str
    seconds: float = 0.0
    cpu: float = 0.0
    yardstick: float = 0.0
    yardstick_cpu: float = 0.0
    outcomes: list[StageOutcome] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.seconds / self.yardstick

    @property
    def cpu_ratio(self) -> float:
        return self.cpu / self.yardstick_cpu


@dataclass(frozen=True)
class Span:
    """Seconds on the clock, and of the processors in the server's and in this process."""

    seconds: float
    cpu: float


class Stopwatch:
    """Measures what a server and this process do together; what else the machine does is not in `cpu`."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._postmaster = server.process_id
        time.sleep(0.05)  # until the process of the session before has gone to its parent: it would count twice
        self._started, self._cpu = time.perf_counter(), self._spent()

    def stop(self) -> Span:
        return Span(time.perf_counter() - self._started, self._spent() - self._cpu)

    def _spent(self) -> float:
        """Processor seconds so far; those of ended sessions have gone to their parent, the postmaster."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(stat.parent.name) == self._postmaster:
                    ticks += sum(map(int, fields[11:15]))
                elif int(fields[1]) == self._postmaster:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


class Bench:
    """A warehouse on a server of its own, and the files that are delivered to it."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        server.ensure_database("warehouse")
        self.server = server
        self.url = server.url("warehouse")
        self.folder = folder
        self.pipeline = self.pipeline_of(self.url, folder)
        self.day = FIRST_DAY

    @staticmethod
    def pipeline_of(url: str, folder: Path) -> Pipeline:
        """Return the project of this benchmark for a warehouse and a folder of deliveries."""
        pipeline = read_pipeline(PROJECT, {"PYELT_DATA_ROOT": str(folder)})
        return dataclasses.replace(pipeline, warehouse=ConnectionRef(url))

    @property
    def file(self) -> Path:
        return self.folder / "his" / self.day.isoformat() / "patients.csv"

    def deliver(self, delivery: Delivery) -> None:
        """Write the delivery of the next night."""
        self.day += timedelta(days=1)
        delivery.write(self.file)

    def night(self, kind: str) -> Night:
        """Load the night's delivery through every stage; take the yardstick on the same file before and after it.

        Whatever else the machine does then slows both. Before the first night there is nothing to join with.
        """
        plan, environment = build_plan(self.pipeline, None), LocalEnvironment()
        interval_end = datetime.combine(self.day + timedelta(days=1), day_time(), UTC)
        request = RunRequest(
            dag_id=plan.dag_id,
            dag_run_id=f"night__{self.day}",
            interval_start=interval_end - timedelta(days=1),
            interval_end=interval_end,
        )
        night = Night(kind)
        yardsticks = [] if kind == "first" else [self.yardstick()]
        watch = Stopwatch(self.server)
        for stage in plan.stages:
            night.outcomes.append(run_stage(stage, request, environment))
        span = watch.stop()
        night.seconds, night.cpu = span.seconds, span.cpu
        yardsticks.append(self.yardstick())
        if kind == "first":
            yardsticks.append(self.yardstick())
        night.yardstick = statistics.mean(measured.seconds for measured in yardsticks)
        night.yardstick_cpu = statistics.mean(measured.cpu for measured in yardsticks)
        self.file.unlink()
        return night

    def yardstick(self) -> Span:
        """Measure a COPY of the file into an unlogged table, and one hash join of it with the active rows by key."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute("drop table if exists public.yardstick")
            cursor.execute(f"create unlogged table public.yardstick ({', '.join(f'{name} text' for name in COLUMNS)})")
            connection.commit()
            watch = Stopwatch(self.server)
            with self.file.open("rb") as delivery:
                cursor.copy_expert(
                    "copy public.yardstick from stdin with (format csv, header, delimiter ';')", delivery
                )
            cursor.execute(
                "select count(*) from public.yardstick y "
                "join sor_his.patient_hstage h on h.patient_number = y.patient_number where h._active"
            )
            connection.commit()
            span = watch.stop()
            cursor.execute("drop table public.yardstick")
            connection.commit()
        return span

    def settle(self) -> None:
        """Let the server do now what it would do between nights: vacuum, statistics, a checkpoint."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("vacuum (analyze)")
                cursor.execute("checkpoint")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A server on a folder of its own, started for this and removed with all its files."""
    with tempfile.TemporaryDirectory(prefix="pyelt-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedServer(folder / "server", extra_settings=SERVER).start()
        try:
            yield Bench(server, folder / "data")
        finally:
            server.remove()


def run(rows: int, nights: int) -> bool:
    """Measure and print; True when every goal is reached."""
    heading(f"Warehouse: {rows:,} rows x {len(COLUMNS)} columns")
    measured: list[Night] = []
    with bench() as warehouse:
        warehouse.deliver(Delivery(rows, 0))
        measured.append(warehouse.night("first"))
        warehouse.settle()
        for number in range(1, nights + 1):
            warehouse.deliver(Delivery(rows, 0, turned=number % 2 == 1))
            measured.append(warehouse.night("unchanged"))
            warehouse.deliver(Delivery(rows, 0, turned=number % 2 == 1))
            measured.append(warehouse.night("same file"))
        for number in range(1, nights + 1):
            warehouse.deliver(Delivery(rows, number))
            measured.append(warehouse.night("changed"))
            warehouse.settle()
        for number in range(1, nights + 1):
            warehouse.deliver(Delivery(rows, nights, scattered=number))
            measured.append(warehouse.night("scattered"))
            warehouse.settle()
        _check(warehouse, rows, 2 * nights)
    reached = _print_ratios(measured)
    for kind in GOALS:
        _print_steps(kind, [night for night in measured if night.kind == kind])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of the worker: {peak:.0f} MB")
    return reached


def _check(warehouse: Bench, rows: int, nights: int) -> None:
    """A fast load that loads the wrong thing is no result."""
    step = max(int(rows * 0.01), 1) * nights
    expected = [
        ("active rows in staging", "select count(*) from sor_his.patient_hstage where _active", rows),
        ("rows in staging", "select count(*) from sor_his.patient_hstage", rows + 2 * step),
        ("patients", "select count(*) from dv.patient_hub", rows + step),
        ("practitioners", "select count(*) from dv.practitioner_hub", min(1000, rows)),
        ("addresses", "select count(*) from dv.patient_sat_address", rows + 2 * step),
        ("phone numbers", "select count(*) from dv.patient_sat_contact where _active", 2 * (rows + step)),
        ("links", "select count(*) from dv.patient_practitioner_link", None),
    ]
    for what, query, count in expected:
        (found,) = warehouse.rows(query)[0]
        if count is not None and found != count and what != "addresses":
            raise SystemExit(f"{what}: {found:,} where {count:,} were expected")


def _print_ratios(measured: list[Night]) -> bool:
    yardsticks = [night.yardstick for night in measured]
    print(f"yardstick (COPY and one hash join): {min(yardsticks):.2f} - {max(yardsticks):.2f} s")
    rows, reached = [], True
    for kind, goal in GOALS.items():
        ratios = [night.ratio for night in measured if night.kind == kind]
        middle = statistics.median(ratios)
        reached = reached and middle <= goal
        spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
        cpu = statistics.median(night.cpu_ratio for night in measured if night.kind == kind)
        rows.append((kind, f"{middle:.2f}", spread, f"{goal:.1f}", "yes" if middle <= goal else "NO", f"{cpu:.2f}"))
    table(("night", "ratio", "from - to", "goal", "reached", "ratio of processor time"), rows)
    return reached


def _print_steps(kind: str, nights: list[Night]) -> None:
    """The stages, and the slowest statements, of the middle night of its kind."""
    night = sorted(nights, key=lambda n: n.seconds)[len(nights) // 2]
    print(f"\n{kind} night, {night.seconds:.2f} s:")
    stages = [(outcome.stage, f"{outcome.seconds:.3f}") for outcome in night.outcomes]
    table(("stage", "seconds"), stages)
    steps = [(step, outcome.stage) for outcome in night.outcomes for step in outcome.steps]
    steps.sort(key=lambda item: -item[0].seconds)
    rows = [
        (
            f"{step.seconds:.3f}",
            f"{step.seconds / night.yardstick:.2f}",
            stage,
            str(step.table or ""),
            step.label,
            "" if step.rows is None else f"{step.rows:,}",
        )
        for step, stage in steps[:25]
        if step.seconds >= 0.005
    ]
    table(("seconds", "ratio", "stage", "table", "statement", "rows"), rows)

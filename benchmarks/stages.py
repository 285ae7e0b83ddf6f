"""What a stage costs when there is nothing to do: a night of a small delivery in which nothing changed."""

from __future__ import annotations

import statistics
from collections import defaultdict

from benchmarks.deliveries import Delivery
from benchmarks.report import heading, table
from benchmarks.warehouse import bench

NIGHTS = 9


def run(rows: int = 100) -> None:
    """Print the milliseconds of each stage, connecting included; the median of several nights."""
    heading("Cost of a stage with nothing to do")
    seconds: dict[str, list[float]] = defaultdict(list)
    statements: dict[str, int] = {}
    with bench() as warehouse:
        for number in range(NIGHTS + 1):
            warehouse.deliver(Delivery(rows, 0))
            night = warehouse.night("unchanged" if number else "first")
            if number:
                for outcome in night.outcomes:
                    seconds[outcome.stage].append(outcome.seconds)
                    statements[outcome.stage] = len(outcome.steps)
    lines = [
        (stage, f"{statistics.median(values) * 1000:.0f}", str(statements[stage])) for stage, values in seconds.items()
    ]
    table(("stage", "milliseconds", "statements"), lines)
    print(f"median of all stages: {statistics.median(v for values in seconds.values() for v in values) * 1000:.0f} ms")

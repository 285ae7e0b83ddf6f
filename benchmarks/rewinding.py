"""What taking a night back costs: it follows what the night changed, however large the warehouse is."""

from __future__ import annotations

import logging
import statistics
from datetime import datetime, timedelta
from decimal import Decimal

from benchmarks.deliveries import Delivery
from benchmarks.report import heading, table
from benchmarks.warehouse import Bench, Span, Stopwatch, bench
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.rewinding import rewind

SHARE = 0.01
"""Of the larger warehouse's rows, how many are new, how many changed and how many deleted in the night."""
ALLOWED_GROWTH = 1.5
"""Taking the same changes back in a warehouse of ten times the rows may cost so much more: pages are colder, indexes deeper."""
SCANNED = "select coalesce(sum(seq_tup_read), 0) from pg_stat_user_tables where schemaname not in ('sys', 'pg_catalog')"

_LOG = logging.getLogger(__name__)


def run(rows: int, nights: int) -> bool:
    """Take the same changes back from a tenth of the rows and from all of them; True when the cost does not follow the rows."""
    heading(f"Taking a night of {int(rows * SHARE):,} new, changed and deleted rows each back")
    lines, middles = [], []
    for number in (rows // 10, rows):
        loads, spans, scanned = _measure(number, int(rows * SHARE), nights)
        middle = statistics.median(span.seconds for span in spans)
        middles.append(middle)
        load = statistics.median(loads)
        lines.append((f"{number:,}", f"{load:.2f}", f"{middle:.2f}", f"{middle / load:.2f}", f"{scanned:,}"))
    table(("rows", "seconds of the load", "seconds to take it back", "ratio", "rows of whole tables read"), lines)
    growth = middles[1] / middles[0]
    print(f"taking back in ten times the rows: {growth:.2f} (goal {ALLOWED_GROWTH})")
    return growth <= ALLOWED_GROWTH


def _measure(rows: int, changes: int, nights: int) -> tuple[list[float], list[Span], int]:
    """Seconds of each load, what each taking back took, and the rows that those read by going through tables whole."""
    loads, spans, scanned = [], [], 0
    with bench() as warehouse:
        warehouse.deliver(Delivery(rows, 0))
        warehouse.night("first")
        first = _newest(warehouse)
        for _ in range(nights):
            warehouse.settle()
            warehouse.deliver(Delivery(rows, 1, share=changes / rows))
            loads.append(warehouse.night("changed").seconds)
            warehouse.settle()
            before = int(warehouse.rows(SCANNED)[0][0])
            watch = Stopwatch(warehouse.server)
            taken = rewind(warehouse.pipeline, first, LocalEnvironment(), now=datetime(2026, 1, 1), log=_LOG)
            spans.append(watch.stop())
            scanned = int(warehouse.rows(SCANNED)[0][0]) - before
            if sum(back.rows for back in taken) < 3 * changes or _newest(warehouse) < first:
                raise SystemExit("the night was not taken back")
            warehouse.day -= timedelta(days=1)  # a night that was taken back is the next one to be loaded
    return loads, spans, scanned


def _newest(warehouse: Bench) -> Decimal:
    return Decimal(str(warehouse.rows("select max(runid) from sys.stages where state <> 'to do'")[0][0]))

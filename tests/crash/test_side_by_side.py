"""Eight processes load pipes that share hubs, links, valuesets and satellites: the same state as one after the other.

PYELT_CRASH_ROUNDS says how many rounds; else as many as fit into a quarter of a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from crash.rounds import PIPELINES
from crash.state import difference
from pyelt_provider.embedded.server import EmbeddedServer

ROUNDS = int(os.environ.get("PYELT_CRASH_ROUNDS", "0"))
SECONDS = 15


def without_luck(state: dict[str, list[str]]) -> dict[str, list[str]]:
    """Of rows that several pipes deliver, who was first is luck; and a pipe's rows are compared without scratch tables."""
    kept = {}
    for table, rows in state.items():
        if table.endswith(("_hub", "_link")):
            cells = [json.loads(row) for row in rows]
            for row in cells:
                del row["_source_system"], row["_runid"]
            kept[table] = sorted(json.dumps(row, sort_keys=True) for row in cells)
        elif not table.endswith("_temp"):
            kept[table] = rows
    return kept


def test_rounds_of_eight_processes_end_like_one_process_after_the_other(server: EmbeddedServer, tmp_path: Path) -> None:
    order = {
        "folder": str(tmp_path),
        "server": server.url("postgres"),
        "rounds": ROUNDS or 1000,
        "seconds": 1e9 if ROUNDS else SECONDS,
    }
    done = subprocess.run(
        [sys.executable, "-m", "crash.rounds"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told: dict[str, Any] = json.loads(done.stdout)

    print(f"{told['rounds']} rounds")
    assert "\n".join(told["errors"]) == ""
    assert told["rounds"] > 0
    at_once, in_turn = map(without_luck, told["states"])
    assert "\n".join(difference(in_turn, at_once)) == ""
    assert len(at_once["dv.patient_hub"]) == 40
    numbers = [Decimal(number) for number, _ in told["runs"]]
    assert numbers == sorted(set(numbers)), "run ids are not unique and increasing"
    new = [name for _, name in told["runs"] if name.startswith("process_")]
    assert len(new) == 8 * 5
    assert len(PIPELINES["daily"]) + len(PIPELINES["weekly"]) == 8

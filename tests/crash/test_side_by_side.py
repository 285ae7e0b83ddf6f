"""Eight processes load pipes of three DAGs that share hubs, links, valuesets and satellites: the same as one after the other.

PYELT_CRASH_ROUNDS says how many rounds; else as many as fit into a few seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from crash.rounds import PIPES
from pyelt_provider.embedded.server import EmbeddedServer

ROUNDS = int(os.environ.get("PYELT_CRASH_ROUNDS", "0"))
SECONDS = 8


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
    assert told["rounds"] >= 2
    assert told["patients"] == [40]
    numbers = [Decimal(number) for number, _ in told["runs"]]
    assert numbers == sorted(set(numbers)), "run ids are not unique and increasing"
    assert len(numbers) == 8 * 5
    assert sum(map(len, PIPES.values())) == 8

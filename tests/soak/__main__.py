"""``make soak``: kill at random while nights load, for as long as asked, and compare; exit code 1 when a trace is left.

PYELT_SOAK_MINUTES: go on with further stories until so many minutes are over (without it: one story).
PYELT_SOAK_NIGHTS: nights per story (30). PYELT_SOAK_SEED: the first story's number (random; it is printed).
PYELT_SOAK_GAP: seconds between two harms on average (8). PYELT_SOAK_LOGS: where the logs go when something is wrong.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
from pathlib import Path

from soak.play import soak, write_logs
from soak.stack import soak_stack


def main() -> int:
    seed = int(os.environ.get("PYELT_SOAK_SEED") or random.randrange(1_000_000))
    nights = int(os.environ.get("PYELT_SOAK_NIGHTS") or 30)
    minutes = float(os.environ.get("PYELT_SOAK_MINUTES") or 0)
    gap = float(os.environ.get("PYELT_SOAK_GAP") or 8)
    logs = Path(os.environ.get("PYELT_SOAK_LOGS") or ".soak")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and all that was started is stopped
    logging.getLogger("pyelt").setLevel(logging.ERROR)  # the undisturbed load need not tell what it rejects
    began = time.monotonic()
    _say(
        f"PYELT_SOAK_SEED={seed} PYELT_SOAK_NIGHTS={nights} PYELT_SOAK_GAP={gap:g} repeats this, as far as timing allows"
    )
    with soak_stack(_say) as stack:
        while True:
            account = soak(stack, seed, nights, gap=gap, say=_say)
            _say(str(account))
            if account.problems:
                write_logs(stack.places.home, logs)
                _say(f"the logs are in {logs}")
                return 1
            if time.monotonic() - began >= minutes * 60:
                return 0
            seed += 1


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

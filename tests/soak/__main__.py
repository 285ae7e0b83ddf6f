"""``make soak``: kill at random while nights load, for as long as asked, and compare; exit code 1 when a trace is left.

Then a month of nights is backfilled after its newest night was loaded: refused, taken back, loaded in order; and another
one with several nights at a time.

PYELT_SOAK_MINUTES: go on with further stories until so many minutes are over (without it: one story, and the months).
PYELT_SOAK_NIGHTS: nights per story, and of the backfills (30). PYELT_SOAK_SEED: the first story's number (random; it is printed).
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

from soak.backfilling import load_newest_first, load_side_by_side
from soak.play import soak, write_logs
from soak.stack import SoakStack, soak_stack


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
                return _wrong(stack, logs)
            if time.monotonic() - began >= minutes * 60:
                break
            seed += 1
        for backfill in (load_newest_first, load_side_by_side):
            found = backfill(stack, nights)
            _say("\n".join([f"{backfill.__name__} of {nights} nights:", *(found or ["  as it should be"])]))
            if found:
                return _wrong(stack, logs)
    return 0


def _wrong(stack: SoakStack, logs: Path) -> int:
    write_logs(stack.places.home, logs)
    _say(f"the logs are in {logs}")
    return 1


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

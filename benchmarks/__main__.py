"""``python -m benchmarks``: measures everything, or one part, and says whether the goals are reached."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

PARTS = ("warehouse", "rewinding", "memory", "stages", "parsing")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="?", choices=("all", *PARTS), default="all")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the delivery (default 1,000,000)")
    parser.add_argument("--nights", type=int, default=3, help="unchanged and changed nights, the median counts")
    parser.add_argument("--pipelines", type=int, default=40, help="pipelines to parse (default 40)")
    options = parser.parse_args(arguments)
    reached = True
    if options.part in ("all", "warehouse"):
        from benchmarks import warehouse

        reached = warehouse.run(options.rows, options.nights) and reached
    if options.part in ("all", "rewinding"):
        from benchmarks import rewinding

        reached = rewinding.run(options.rows, options.nights) and reached
    if options.part in ("all", "memory"):
        from benchmarks import memory

        reached = memory.run(options.rows) and reached
    if options.part in ("all", "stages"):
        from benchmarks import stages

        stages.run()
    if options.part in ("all", "parsing"):
        from benchmarks import parsing

        reached = parsing.run(options.pipelines) and reached
    print("\nall goals reached" if reached else "\nNOT all goals reached")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())

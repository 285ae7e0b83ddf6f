"""`pyelt demo-data`: makes the deliveries of the sample project, as large as you like."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pyelt_provider.sample.calendar_days import DAYS, FIRST_DAY, PATIENTS, day_of
from pyelt_provider.sample.deliveries import SEED, write_deliveries

DESCRIPTION = f"""\
Write the deliveries of the sample project configs/clinic: CSV and fixed width files below FOLDER, and with --lab the
tables of the laboratory's database. The people in them are made up. The same arguments give the same bytes, and memory
does not grow with the number of patients. What an earlier call wrote there is replaced.

Day 1 of the story is {FIRST_DAY}; the project's DAG runs {DAYS} days of it by itself."""


def register(subparsers: Any) -> None:
    """Add the command to `pyelt`'s argument parser."""
    parser = subparsers.add_parser(
        "demo-data",
        help="make the deliveries of the sample project",
        description=DESCRIPTION,
        epilog="example: pyelt demo-data /tmp/clinic --patients 100000 --days 3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(os.environ.get("PYELT_DATA_ROOT") or "configs/clinic/data"),
        metavar="FOLDER",
        help="where to write: the project's data_root (default: PYELT_DATA_ROOT, or configs/clinic/data)",
    )
    parser.add_argument(
        "--patients", type=_positive, default=PATIENTS, metavar="N", help="how many patients (default: %(default)s)"
    )
    parser.add_argument(
        "--days", type=_positive, default=DAYS, metavar="N", help="how many days (default: %(default)s)"
    )
    parser.add_argument(
        "--lab",
        metavar="URL",
        help="postgresql:// address of a database whose schema lab is to hold the laboratory's tables",
    )
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="another number, other people")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the deliveries and say where; exit code 0, or 1 with a message when the database cannot take them."""
    write_deliveries(args.folder, args.lab, days=args.days, patients=args.patients, seed=args.seed)
    places = f"{args.folder}" + (" and in the schema lab of the database" if args.lab else "")
    print(f"{args.patients} patients over {args.days} days, {day_of(1)} to {day_of(args.days)}, are in {places}")
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a number of at least 1")
    return number

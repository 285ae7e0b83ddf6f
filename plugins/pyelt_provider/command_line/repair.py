"""`pyelt repair`: mend what an old PyELT left broken in the warehouse of a project."""

from __future__ import annotations

import argparse
import logging
import sys

from pyelt_provider.command_line.run_options import add_project, read
from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.repairing import Repaired, repair
from pyelt_provider.execution.runner import utc_now
from pyelt_provider.statements.repair.damage import damage_lines


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "repair",
        help="mend what an old PyELT left broken in the warehouse",
        description="Mend what an old PyELT left broken in this pipeline's tables: rows that are active twice, links that are "
        "there twice or half, rows without a key or a source, keys that are frozen, runs that were never closed. Every row "
        "that changes or goes is kept as it was in sys.repaired_rows. One transaction, in which nothing loads these pipes.",
        epilog="example: pyelt repair configs/clinic --dry-run",
    )
    add_project(parser)
    parser.add_argument("--dry-run", action="store_true", help="do it, print what it does, and undo it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Repair the warehouse; returns 0, or raises PyeltError."""
    pipeline = read(arguments)
    if not arguments.yes and not arguments.dry_run and not _confirmed(pipeline.name):
        raise PyeltError("nothing was repaired; answer yes, or give --yes where nobody can answer")
    done = repair(
        pipeline,
        LocalEnvironment(),
        now=utc_now(),
        log=logging.getLogger("pyelt.repair"),
        dry_run=arguments.dry_run,
    )
    _print(done)
    if not done.tables:
        print(f"{pipeline.name}: nothing to repair" + (" that can be mended here" if done.left else ""))
    elif arguments.dry_run:
        print(f"{pipeline.name}: {done.rows:,} rows would be mended; nothing was changed (--dry-run)")
    else:
        print(f"{pipeline.name}: {done.rows:,} rows were mended; sys.repaired_rows has what they were")
    return 0


def _print(done: Repaired) -> None:
    for line in damage_lines(done.mended):
        print(line)
    if done.tables:
        print("  rows that change, with what hangs on them:")
        for table, rows in done.tables:
            print(f"    {rows:,}  {table}")
    if done.left:
        print("  left for you:")
        for line in damage_lines(done.left):
            print(f"  {line}")


def _confirmed(name: str) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"Repair the warehouse of {name}? [y/N] ").strip().lower() in ("y", "yes", "j", "ja")

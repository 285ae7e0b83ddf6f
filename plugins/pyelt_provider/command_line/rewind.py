"""`pyelt rewind`: take the newest runs of a pipeline back, so that an older one can be loaded again."""

from __future__ import annotations

import argparse
import logging
import sys
from decimal import Decimal, InvalidOperation

from pyelt_provider.command_line.run_options import add_project, read
from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.rewinding import rewind
from pyelt_provider.execution.runner import utc_now


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "rewind",
        help="take back the runs after a run id",
        description="Take back everything that runs of this pipeline with a greater run id loaded: their rows go, rows that "
        "they closed are open again. Datamarts follow: their tables are filled from what is left. One transaction, in which "
        "nothing else loads these pipes.",
        epilog="example: pyelt rewind configs/clinic --to 12.00 --yes",
    )
    add_project(parser)
    parser.add_argument(
        "--to", required=True, metavar="RUNID", help="the last run that stays, such as 12.00; 0 for none"
    )
    parser.add_argument("--pipe", help="only this pipe; without it, all pipes of the pipeline")
    parser.add_argument("--dry-run", action="store_true", help="do it, print the rows per table, and undo it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Take the runs back; returns 0, or raises PyeltError."""
    pipeline = read(arguments)
    try:
        to = Decimal(arguments.to)
    except InvalidOperation:
        raise PyeltError(f"--to {arguments.to!r} is not a run id; write it as 12.00 (sys.runs lists them)") from None
    if not arguments.yes and not arguments.dry_run and not _confirmed(to):
        raise PyeltError("nothing was taken back; answer yes, or give --yes where nobody can answer")
    taken = rewind(
        pipeline,
        to,
        LocalEnvironment(),
        now=utc_now(),
        log=logging.getLogger("pyelt.rewind"),
        pipe=arguments.pipe,
        dry_run=arguments.dry_run,
    )
    for back in taken:
        print(
            f"run {back.run}, pipe {back.pipe}: {back.rows:,} rows" if back.pipe else f"datamarts: {back.rows:,} rows"
        )
        for table, rows in back.tables:
            print(f"    {table}  {rows:,}")
    what = f"pipe {arguments.pipe} of {pipeline.name}" if arguments.pipe else pipeline.name
    if not taken:
        print(f"no run of {what} is later than {to}: nothing to take back")
    elif arguments.dry_run:
        print(f"{what} would stand at run {to}; nothing was changed (--dry-run)")
    else:
        print(f"{what} stands at run {to}")
    return 0


def _confirmed(to: Decimal) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"Take back every run after {to}? [y/N] ").strip().lower() in ("y", "yes", "j", "ja")

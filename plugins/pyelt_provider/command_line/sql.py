"""`pyelt sql`: every statement that a stage would run, from the same program that runs it."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from decimal import Decimal

from pyelt_provider.command_line.run_options import (
    add_interval,
    add_project,
    add_selection,
    chosen_plan,
    chosen_stages,
    interval,
    read,
)
from pyelt_provider.planning.run import Run
from pyelt_provider.statements.printing import printed_stage


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "sql",
        help="print every statement that a stage would run",
        description="Print the statements of the chosen stages, each under the label that the run log shows. Nothing is "
        "opened or run; where a program looks at the database first, its usual answer is assumed.",
        epilog="example: pyelt sql configs/clinic --stage his.dv.etl_hubs",
    )
    add_project(parser)
    add_selection(parser)
    add_interval(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the statements; returns 0, or raises PyeltError."""
    plan = chosen_plan(read(arguments), arguments.schedule)
    start, end = interval(arguments, datetime.now(UTC))
    shown = Run(
        number=Decimal("1.00"),
        dag_id=plan.dag_id,
        dag_run_id="printed",
        interval_start=start,
        interval_end=end,
        load_time=start.replace(tzinfo=None),
    )
    for stage in chosen_stages(plan, arguments):
        print(f"-- ======== {stage.id}: {stage.title}\n\n{printed_stage(stage, shown)}")
    return 0

"""`pyelt run`: stages in the foreground, without Airflow: for a debugger, for cron, for tests."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from pyelt_provider.command_line.run_options import (
    add_interval,
    add_project,
    add_selection,
    chosen_plan,
    chosen_stages,
    interval,
    read,
)
from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment, LocalEnvironment
from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.planning.plan import Condition, Plan
from pyelt_provider.planning.stages import Stage, StageKind


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "run",
        help="run a stage, a layer, a pipe or the whole pipeline here and now",
        description="Run the chosen stages one after the other in this process, through the executor that Airflow's tasks use. "
        "A stage whose upstream failed is left out; close runs at the end all the same. Connection ids are looked up in "
        "AIRFLOW_CONN_<ID> environment variables.",
        epilog="example: pyelt run configs/clinic --pipe his --date 2026-01-31",
    )
    add_project(parser)
    add_selection(parser)
    add_interval(parser)
    parser.add_argument(
        "--run-id",
        metavar="TEXT",
        help="name of the run; the same name continues a run (default: one per data interval)",
    )
    parser.add_argument(
        "--allow-deletions",
        action="store_true",
        help="let a delivery through that has too few rows or deletes more than its limit",
    )
    parser.add_argument(
        "--allow-rejections", action="store_true", help="let more rows be rejected than the limit of their table"
    )
    parser.add_argument(
        "--allow-ddl", action="store_true", help="let DDL through although ask_confirm_on_db_changes is on"
    )
    parser.add_argument("--allow-key-change", action="store_true", help="let a changed business key expression through")
    parser.add_argument("--verbose", "-v", action="store_true", help="print every statement with its rows and seconds")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the stages; returns 0 when all of them were done, 1 when one failed; raises PyeltError for wrong options."""
    plan = chosen_plan(read(arguments), arguments.schedule)
    start, end = interval(arguments, datetime.now(UTC))
    request = RunRequest(
        dag_id=plan.dag_id,
        dag_run_id=arguments.run_id or f"cli__{start:%Y-%m-%d}__{end:%Y-%m-%d}",
        interval_start=start,
        interval_end=end,
        allow_deletions=arguments.allow_deletions,
        allow_rejections=arguments.allow_rejections,
        allow_ddl=arguments.allow_ddl or (plan.pipeline.ask_confirm_on_db_changes and _confirmed()),
        allow_key_change=arguments.allow_key_change,
    )
    log = run_logger(arguments.verbose)
    failed: set[str] = set()
    for stage in chosen_stages(plan, arguments):
        if stage.pipe is not None and not stage.pipe.active:
            print(f"{stage.id}: skipped, the pipe is inactive")
        elif blocker := failed_upstream(plan, stage, failed):
            failed.add(stage.id)
            print(f"{stage.id}: not started, {blocker} failed")
        elif not do_stage(stage, request, LocalEnvironment(), log):
            failed.add(stage.id)
    return 1 if failed else 0


def run_logger(verbose: bool) -> logging.Logger:
    """Return the log of a run in the foreground, on standard error; `verbose` has every statement."""
    log = logging.getLogger("pyelt.run")
    log.setLevel(logging.INFO if verbose else logging.ERROR)
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("    %(message)s"))
        log.addHandler(handler)
        log.propagate = False
    return log


def do_stage(
    stage: Stage,
    request: RunRequest,
    environment: Environment,
    log: logging.Logger,
    on_outcome: Callable[[StageOutcome], None] | None = None,
) -> bool:
    """Do one stage, print what came of it (and give it to `on_outcome`), and say whether all of it was done."""
    try:
        outcome = run_stage(stage, request, environment, log=log)
    except PyeltError as error:
        print(f"{stage.id}: failed", flush=True)
        print(str(error), file=sys.stderr, flush=True)
        return False
    if on_outcome is not None:
        on_outcome(outcome)
    print(f"{stage.id}: {outcome.state}, run {outcome.run}, {outcome.seconds:.2f} s{_numbers(outcome)}", flush=True)
    for mapping, error_text in outcome.failures:
        print(f"{stage.id}: {mapping}: {error_text}", file=sys.stderr, flush=True)
    return not outcome.failures


def failed_upstream(plan: Plan, stage: Stage, failed: set[str]) -> str | None:
    """Return a stage that failed and that this one cannot do without, None when there is none."""
    if stage.kind is StageKind.CLOSE:
        return None
    waits = [e.upstream for e in plan.edges if e.downstream == stage.id and e.condition is Condition.NOT_FAILED]
    return next((upstream for upstream in waits if upstream in failed), None)


def _numbers(outcome: StageOutcome) -> str:
    parts = [
        f"{table}: " + ", ".join(f"{rows} {count}" for count, rows in counts.items() if rows)
        for table, counts in outcome.numbers.items()
        if any(counts.values())
    ]
    return "".join(f"\n    {part}" for part in parts)


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Tables may be created or extended in the warehouse. Go on? [y/N] ").strip().lower() in (
        "y",
        "yes",
        "j",
        "ja",
    )

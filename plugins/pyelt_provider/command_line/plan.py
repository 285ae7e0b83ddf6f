"""`pyelt plan`: the stages of a project and what waits for what, as a tree."""

from __future__ import annotations

import argparse
from typing import assert_never

from pyelt_provider.command_line.run_options import add_project, read
from pyelt_provider.model.pipeline import AssetSchedule, CronSchedule, Schedule, TimetableSchedule
from pyelt_provider.planning.describe import describe
from pyelt_provider.planning.plan import Condition, Plan, build_plans
from pyelt_provider.planning.stages import Stage


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "plan",
        help="print the stages and edges of a project",
        description="Print the stages of each DAG of a project as a tree, and which stages each of them waits for.",
        epilog="example: pyelt plan configs/clinic --details",
    )
    add_project(parser)
    parser.add_argument("--details", action="store_true", help="print of each stage what it reads, writes and maps")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plans; returns 0, or raises ConfigError."""
    print("\n\n".join(plan_text(plan, details=arguments.details) for plan in build_plans(read(arguments))))
    return 0


def plan_text(plan: Plan, *, details: bool = False) -> str:
    """Return a plan as a tree of pipes, layers and stages."""
    lines = [f"{plan.dag_id}  ({schedule_text(plan.schedule)})"]
    groups: list[tuple[str, str]] = []
    for stage in plan.stages:
        group = (stage.pipe_name, stage.layer.value if stage.pipe else "")
        if stage.pipe and (not groups or groups[-1][0] != stage.pipe_name):
            note = "" if stage.pipe.active else "  (inactive: shown, not run)"
            lines.append(f"├── {stage.pipe_name}{note}")
        if stage.pipe and (not groups or groups[-1] != group):
            lines.append(f"│   ├── {stage.layer}")
        groups.append(group)
        margin = "│   │   ├── " if stage.pipe else "├── "
        lines.append(f"{margin}{stage.kind}{_waits_for(plan, stage)}")
        if details:
            inner = "│   │   │     " if stage.pipe else "│     "
            lines += [(inner + text).rstrip() for text in describe(stage).splitlines()]
    last = max(i for i, line in enumerate(lines) if line.startswith("├── "))
    lines[last] = "└── " + lines[last][4:]
    return "\n".join(lines)


def schedule_text(schedule: Schedule | None) -> str:
    """Return when runs start, in words."""
    match schedule:
        case None:
            return "no schedule: started by hand"
        case CronSchedule(cron=cron, start_date=start):
            return cron + (f", from {start}" if start else "")
        case TimetableSchedule(import_path=path):
            return f"timetable {path}"
        case AssetSchedule(assets=assets):
            return f"when updated: {', '.join(assets)}"
        case _:
            assert_never(schedule)


def _waits_for(plan: Plan, stage: Stage) -> str:
    names = [
        edge.upstream + (" (ended)" if edge.condition is Condition.ENDED else "")
        for edge in plan.edges
        if edge.downstream == stage.id
    ]
    return f"  <- {', '.join(names)}" if names else ""

"""Options that plan, sql and run share: which project, which stages, which data interval."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import PyeltError
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import Plan, build_plans
from pyelt_provider.planning.stages import Layer, Stage


def add_project(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the project's folder."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder of a project, such as configs/clinic")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose stages: by pipe, by layer, by id."""
    parser.add_argument(
        "--schedule", metavar="NAME", help="the extra schedule whose pipes are meant (default: the pipeline's own)"
    )
    parser.add_argument("--pipe", action="append", metavar="NAME", help="only this pipe; may be given several times")
    parser.add_argument(
        "--part",
        action="append",
        choices=[layer.value for layer in Layer if layer is not Layer.SYS],
        help="only this layer; may be given several times",
    )
    parser.add_argument(
        "--stage",
        action="append",
        metavar="ID",
        help="only this stage, such as his.sor.etl_sor; may be given several times",
    )


def add_interval(parser: argparse.ArgumentParser) -> None:
    """Add the options that say for which data interval files and queries are read."""
    parser.add_argument(
        "--date",
        metavar="DAY",
        help="first day of the data interval, which is {{ ds }} in paths (default: today); with --end for a longer interval",
    )
    parser.add_argument(
        "--end",
        metavar="DAY",
        help="day (not included) on which the data interval ends (default: the day after --date)",
    )


def read(arguments: argparse.Namespace) -> Pipeline:
    """Read the project; raises ConfigError with every problem."""
    return read_pipeline(arguments.project)


def chosen_plan(pipeline: Pipeline, schedule: str | None) -> Plan:
    """Return the plan of a schedule; raises PyeltError naming the known ones."""
    plans = {plan.schedule_name: plan for plan in build_plans(pipeline)}
    if schedule not in plans:
        known = ", ".join(name for name in plans if name) or "none"
        raise PyeltError(f"{pipeline.name} has no schedule {schedule!r} with pipes; its extra schedules: {known}")
    return plans[schedule]


def chosen_stages(plan: Plan, arguments: argparse.Namespace) -> tuple[Stage, ...]:
    """Return the stages that the options choose, in the plan's order; raises PyeltError for names that nothing has."""
    _must_know("pipe", arguments.pipe, (pipe.name for pipe in plan.pipes))
    _must_know("stage", arguments.stage, (stage.id for stage in plan.stages))
    return tuple(stage for stage in plan.stages if _is_chosen(stage, arguments))


def interval(arguments: argparse.Namespace, now: datetime) -> tuple[datetime, datetime]:
    """Return the data interval (UTC) that --date and --end mean."""
    start = (
        _day("--date", arguments.date)
        if arguments.date
        else now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    )
    end = _day("--end", arguments.end) if arguments.end else start + timedelta(days=1)
    if end <= start:
        raise PyeltError("--end must be a later day than --date")
    return start, end


def _is_chosen(stage: Stage, arguments: argparse.Namespace) -> bool:
    if arguments.stage and stage.id not in arguments.stage:
        return False
    if arguments.pipe and stage.pipe is not None and stage.pipe_name not in arguments.pipe:
        return False
    return not (arguments.part and stage.layer is not Layer.SYS and stage.layer.value not in arguments.part)


def _must_know(kind: str, wanted: list[str] | None, known: Iterable[str]) -> None:
    names = list(known)
    for name in wanted or ():
        if name not in names:
            raise PyeltError(f"there is no {kind} {name!r} in this plan; there are: {', '.join(names)}")


def _day(option: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise PyeltError(f"{option} {text!r} is not a day; write it as 2026-01-31") from None

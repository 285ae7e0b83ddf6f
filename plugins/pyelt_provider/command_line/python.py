"""`pyelt python`: starts a program that was written for PyELT; its `pipeline.run()` runs our stages in the foreground."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyelt_provider.command_line.run import do_stage, failed_upstream, run_logger
from pyelt_provider.command_line.run_options import add_interval, interval
from pyelt_provider.config.reading import pipeline_of_program
from pyelt_provider.errors import ConfigError, PyeltError, StageFailed
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.execution.program_hooks import hook_of
from pyelt_provider.execution.runner import RunRequest
from pyelt_provider.model.connection import masked
from pyelt_provider.model.pipe import PROGRAM_HOOK, Hook
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import build_plans
from pyelt_provider.planning.stages import Layer, Stage, StageKind
from pyelt_provider.pyelt_api.binding import bound
from pyelt_provider.pyelt_api.loading import Program, run_script
from pyelt_provider.pyelt_api.pipelines import PARTS
from pyelt_provider.pyelt_api.session import Session, entered
from pyelt_provider.pyelt_api.written import is_of_program

_KINDS = {
    "valuesets": StageKind.ETL_VALSET,
    "refs": StageKind.ETL_VALSET,
    "hubs": StageKind.ETL_HUBS,
    "views": StageKind.ETL_HUBS,
    "links": StageKind.ETL_LINKS,
    "viewlinks": StageKind.ETL_LINKS,
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "python",
        help="run a PyELT program here and now, with its pyelt there",
        description="Run a program that was written for PyELT, as `python FILE` did: `import pyelt` finds our implementation, and "
        "pipeline.run(parts) does the same stages as Airflow's tasks, one after the other in this process, on the same "
        "warehouse. With --project, or a pipeline.yaml beside the program, what that file says counts too.",
        epilog="example: pyelt python etl/run_clinic.py --project configs/clinic",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the program")
    parser.add_argument("--project", type=Path, metavar="FOLDER", help="folder with the pipeline.yaml of the program")
    parser.add_argument("--argument", action="append", default=[], metavar="TEXT", help="an argument for the program")
    add_interval(parser)
    parser.add_argument("--verbose", "-v", action="store_true", help="print every statement with its rows and seconds")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the program; returns 0 when it ended well, its own exit code when it says one; raises PyeltError."""
    file = arguments.file.resolve()
    if not file.is_file():
        raise PyeltError(f"there is no program {arguments.file}; name the Python file that ends in pipeline.run()")
    folder = (arguments.project or file.parent).resolve()
    roots = tuple(dict.fromkeys((folder, file.parent, Path.cwd().resolve())))
    session = Session(roots=roots)
    session.runner = _runner(session, roots, folder, arguments)
    with bound(roots), entered(session):
        sys.argv[:] = [str(file), *arguments.argument]
        try:
            run_script(file.stem, file)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except PyeltError:
            raise
        except Exception as error:
            _print_traceback(error, roots)
            return 1
    return 0


def _print_traceback(error: Exception, roots: tuple[Path, ...]) -> None:
    """Print where the program failed, from its own first line on, as Python does."""
    trace = error.__traceback__
    while trace is not None and not is_of_program(trace.tb_frame.f_code.co_filename, roots):
        trace = trace.tb_next
    print(masked("".join(traceback.format_exception(type(error), error, trace))), file=sys.stderr, end="")


def _runner(
    session: Session, roots: tuple[Path, ...], folder: Path, arguments: argparse.Namespace
) -> Callable[[Any, tuple[str, ...], tuple[str, ...] | None], None]:
    def run_parts(front: Any, parts: tuple[str, ...], pipes: tuple[str, ...] | None) -> None:
        unknown = [part for part in parts if part not in (*PARTS, *_KINDS)]
        if unknown:
            raise PyeltError(f"there is no part {unknown[0]!r} of a run; there are: {', '.join(PARTS)}")
        pipeline = pipeline_of_program(Program(session, front, roots), folder, os.environ)
        if session.problems:
            raise ConfigError(session.problems.sorted())
        environment = _ProgramEnvironment(pipeline=front)
        failed = run_in_foreground(pipeline, parts, pipes, environment, arguments, datetime.now(UTC))
        if failed:
            raise StageFailed(f"the run ended with failures: {', '.join(failed)}; each is told above")

    return run_parts


@dataclass(frozen=True, slots=True)
class _ProgramEnvironment(LocalEnvironment):
    """The command line's environment, with the functions of the program that is running."""

    pipeline: Any = None

    def note(self, outcome: StageOutcome) -> None:
        """Let the program read the number of its run."""
        self.pipeline.runid = float(outcome.run)

    def hook(self, hook: Hook, project_folder: str) -> Callable[[Any], None]:
        if hook.target.startswith(PROGRAM_HOOK):
            return hook_of(hook, self.pipeline, lambda function, pipe: function(pipe))
        # Named, because a dataclass with slots is another class than the one that `super()` would look for.
        return LocalEnvironment.hook(self, hook, project_folder)


def run_in_foreground(
    pipeline: Pipeline,
    parts: tuple[str, ...],
    pipes: tuple[str, ...] | None,
    environment: _ProgramEnvironment,
    arguments: argparse.Namespace,
    now: datetime,
) -> list[str]:
    """Do the stages of all plans that have something to do, and return the ids of those that failed.

    Without --date a run's data interval is today until now, so that runs of one day stand in their order.
    """
    log = run_logger(arguments.verbose)
    start, end = (
        interval(arguments, now) if arguments.date else (now.replace(hour=0, minute=0, second=0, microsecond=0), now)
    )
    everything: list[str] = []
    for plan in build_plans(pipeline):
        stages = [stage for stage in plan.stages if _is_asked_for(stage, parts, pipes)]
        if not any(stage.pipe is not None for stage in stages):
            continue
        request = RunRequest(
            dag_id=plan.dag_id,
            dag_run_id=f"program__{now:%Y-%m-%dT%H:%M:%S.%f}",
            interval_start=start,
            interval_end=end,
        )
        failed: set[str] = set()
        for stage in stages:
            if stage.pipe is not None and not stage.pipe.active:
                print(f"{stage.id}: skipped, the pipe is inactive")
            elif blocker := failed_upstream(plan, stage, failed):
                failed.add(stage.id)
                print(f"{stage.id}: not started, {blocker} failed")
            elif not do_stage(stage, request, environment, log, environment.note):
                failed.add(stage.id)
        everything += [stage.id for stage in stages if stage.id in failed]
    return everything


def _is_asked_for(stage: Stage, parts: tuple[str, ...], pipes: tuple[str, ...] | None) -> bool:
    """Say whether a run of these parts does the stage: all layers have their DDL, datamarts go with a whole run."""
    if stage.pipe is not None:
        if pipes is not None and stage.pipe_name not in pipes:
            return False
        if stage.layer is Layer.SOR:
            return "sor" in parts
        return any(_KINDS.get(part) is stage.kind for part in parts)
    return stage.layer is not Layer.DM or (pipes is None and set(parts) >= set(PARTS))

"""`pyelt check`: reads projects and lists every problem with file and line, or says what each project holds."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pyelt_provider.command_line.dags import stale_dag_files
from pyelt_provider.command_line.exit_codes import ExitCode, UsageError
from pyelt_provider.command_line.projects import DEFAULT_ROOT, projects_at
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError, Problem, PyeltError
from pyelt_provider.model.connection import masked
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import build_plans
from pyelt_provider.statements.repair.damage import damage_lines

if TYPE_CHECKING:
    from pyelt_provider.command_line.database_check import DatabaseCheck

DESCRIPTION = """\
Read projects and list every problem, each as file:line: path: what is wrong; what would be right. Opens no delivery, no
database and no network. With --database, every SQL expression is also checked by the databases themselves: the tables are
made inside a transaction of the warehouse that is rolled back, and the source databases are asked for their columns.
Then it also tells what the next run would add to the warehouse, and what an old PyELT left broken in it."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "check",
        help="read projects and list every problem in them",
        description=DESCRIPTION,
        epilog="example: pyelt check configs/clinic --database",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        type=Path,
        nargs="?",
        default=DEFAULT_ROOT,
        metavar="PATH",
        help="a folder of projects, a project, or a file in one (default: configs)",
    )
    parser.add_argument(
        "--database",
        action="store_true",
        help="also check the mappings and their SQL against the warehouse and sources",
    )
    parser.add_argument(
        "--date", metavar="DAY", help="with --database: the day whose deliveries are asked for columns (default: today)"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="count notes (a stale file in dags/, a table that was not checked) as problems",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print summaries on stdout and problems on stderr; returns 1 when there is a problem, else 0."""
    projects = projects_at(arguments.path)
    code = ExitCode.FINE
    notes: list[str] = []
    for project in projects:
        seen: DatabaseCheck | None = None
        try:
            pipeline = read_pipeline(project)
            check_views(pipeline)
            build_plans(pipeline)
            if arguments.database:
                seen = _database(pipeline, arguments.date)
                if seen.problems:
                    raise ConfigError(tuple(seen.problems))
        except ConfigError as error:
            code = ExitCode.FAILED
            print(_listing(project, error.problems), file=sys.stderr)
        else:
            print(summary(pipeline, with_database=arguments.database))
        if seen is not None:
            notes += seen.notes
            for line in _seen(project, seen):
                print(line)
            notes += _broken(project, seen)
    notes += stale_dag_files(projects)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return ExitCode.FAILED if notes and arguments.strict else code


def check_views(pipeline: Pipeline) -> None:
    """Raise ConfigError when the columns of the vault's views would clash or be cut."""
    from pyelt_provider.statements.vault.views import vault_views

    try:
        vault_views(pipeline)
    except PyeltError as error:
        place = pipeline.domains[0].hubs[0].place if pipeline.domains and pipeline.domains[0].hubs else pipeline.place
        problems = [Problem(place.file, 1 if place.file else 0, "", line) for line in str(error).splitlines()]
        raise ConfigError(tuple(problems)) from None


def _seen(project: Path, seen: DatabaseCheck) -> list[str]:
    """What the next run would add, and what an old PyELT left broken."""
    lines = []
    added = seen.additions.lines()
    if added and (seen.damage or not seen.problems):
        some = ", as far as the problems let it be seen" if seen.problems else ""
        lines.append(f"  the next run adds to the warehouse{some}:")
        lines += [f"    {line}" for line in added]
    elif not seen.problems:
        lines.append("  the warehouse has all that it needs")
    if seen.damage:
        lines.append("  broken in the warehouse:")
        lines += [f"  {line}" for line in damage_lines(seen.damage)]
    if any(found.damage.repair is not None for found in seen.damage):
        lines.append(f"  what mends it: pyelt repair {project} --dry-run")
    return lines


def _broken(project: Path, seen: DatabaseCheck) -> list[str]:
    if not seen.damage:
        return []
    tables = len({found.damage.table for found in seen.damage})
    return [f"{project}: rows of {_count(tables, 'table')} in the warehouse are broken, as listed"]


def _database(pipeline: Pipeline, day: str | None) -> DatabaseCheck:
    from pyelt_provider.command_line.database_check import check_database
    from pyelt_provider.execution.environment import LocalEnvironment

    start = None
    if day is not None:
        try:
            start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        except ValueError:
            raise UsageError(f"--date {day!r} is not a day; write it as 2026-01-31") from None
    return check_database(pipeline, LocalEnvironment(), start)


def _listing(project: Path, problems: tuple[Problem, ...]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{project}: {count}"]
    for problem in problems:
        place = f"{project / problem.file}:{problem.line}: " if problem.file else ""
        path = f"{problem.path}: " if problem.path else ""
        mend = f"; {problem.mend}" if problem.mend else ""
        lines.append(masked(f"{place}{path}{problem.what}{mend}"))
    return "\n".join(lines)


def summary(pipeline: Pipeline, *, with_database: bool = False) -> str:
    """Return what a project holds, in two lines."""
    pipes = pipeline.pipes
    mappings = sum(len(pipe.entities) + len(pipe.links) + len(pipe.valuesets) for pipe in pipes)
    inactive = [pipe.name for pipe in pipes if not pipe.active]
    counts = [
        _count(len(pipes), "pipe"),
        _count(sum(len(pipe.tables) for pipe in pipes), "staging table"),
        _count(len(pipeline.hubs), "hub"),
        _count(len(pipeline.links), "link"),
        _count(len(pipeline.valuesets), "valueset"),
        _count(mappings, "mapping"),
        _count(len(pipeline.datamarts), "datamart"),
    ]
    names = [pipeline.name, *(f"{pipeline.name}__{name}" for name, _ in pipeline.schedules)]
    dags = f"DAG{'s' if len(names) > 1 else ''} {', '.join(names)}"
    more = f"; inactive: {', '.join(inactive)}" if inactive else ""
    proved = "; every expression works on the databases" if with_database else ""
    return f"{pipeline.name}: fine{proved}\n  {', '.join(counts)}; {dags}{more}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")

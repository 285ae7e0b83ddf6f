"""`pyelt dags`: the small file in dags/ by which Airflow finds the DAGs of a project, one file per project."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from pyelt_provider.command_line.exit_codes import UsageError
from pyelt_provider.command_line.projects import DEFAULT_ROOT, dags_folder, projects_at
from pyelt_provider.shown_text import visible

DESCRIPTION = """\
Write the file that Airflow's dags folder needs for each project. One file per project: Airflow takes away all DAGs of a
file that fails, so a broken project takes nothing else down. Files that are right already stay untouched."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "dags",
        help="write the file in dags/ that each project needs",
        description=DESCRIPTION,
        epilog="example: pyelt dags configs --folder dags",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path", type=Path, nargs="?", default=DEFAULT_ROOT, help="a project, or a folder of projects (default: configs)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="Airflow's dags folder (default: dags, beside the folder of projects)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write what is missing or stale and say so; returns 0."""
    for project in projects_at(arguments.path):
        folder = arguments.folder or dags_folder(project)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / dag_file_name(project)
        text = dag_file_text(project)
        if path.is_file() and path.read_text() == text:
            print(f"{_short(path)} is up to date")
        else:
            path.write_text(text)
            print(f"{_short(path)} written")
    return 0


def dag_file_name(project: Path) -> str:
    """Return the name of a project's file; a name that Python could not import stays out of it."""
    return re.sub(r"\W", "_", project.absolute().name) + ".py"


def dag_file_text(project: Path) -> str:
    """Return the text of a project's file; Airflow looks only at files that have the words airflow and dag in them.

    Raises UsageError for a folder whose name has characters that are not seen: they could end the file's first line.
    """
    name = project.absolute().name
    if not name.isprintable():
        raise UsageError(f"the folder {visible(name)} has a line end or an invisible character in its name; rename it")
    return (
        f"from pyelt_provider.orchestration.factory import build_dags  # the Airflow DAGs of configs/{name}\n"
        "\n"
        f"globals().update({_call(name)}))\n"
    )


def _call(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'build_dags("{escaped}"'


def stale_dag_files(projects: list[Path]) -> list[str]:
    """Return what is not right in the dags folder beside the projects; nothing where there is no such folder."""
    told = []
    for project in projects:
        folder = dags_folder(project)
        path = folder / dag_file_name(project)
        if not folder.is_dir():
            continue
        if not path.is_file():
            told.append(f"{_short(path)} is missing, so Airflow does not see {project.name}; run: pyelt dags {project}")
        elif _call(project.absolute().name) not in path.read_text():
            told.append(f"{_short(path)} does not build the DAGs of {project.name}; run: pyelt dags {project}")
    for folder in sorted({dags_folder(project) for project in projects}):
        told += [
            f"{_short(path)} builds the DAGs of {name!r}, which is no project; remove it"
            for path, name in _orphans(folder)
        ]
    return told


def _orphans(folder: Path) -> list[tuple[Path, str]]:
    found = []
    for path in sorted(folder.glob("*.py")):
        match = re.search(r'build_dags\("((?:[^"\\]|\\.)+)"\s*\)', path.read_text(errors="replace"))
        if match:
            name = re.sub(r"\\(.)", r"\1", match.group(1))
            if not (folder.parent / "configs" / name).is_dir():
                found.append((path, name))
    return found


def _short(path: Path) -> str:
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

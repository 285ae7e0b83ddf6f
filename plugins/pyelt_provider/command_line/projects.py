"""Which projects a command means: a folder of projects, a project's folder, or a file in one."""

from __future__ import annotations

from pathlib import Path

from pyelt_provider.command_line.exit_codes import UsageError
from pyelt_provider.config.project_files import find_projects

DEFAULT_ROOT = Path("configs")


def projects_at(path: Path) -> list[Path]:
    """Return the project folders that a path means; raise UsageError when there is none."""
    if not path.exists():
        mend = "go to the folder that holds configs/, or name a project's folder" if path == DEFAULT_ROOT else ""
        raise UsageError(f"there is no {path}" + (f"; {mend}" if mend else ""))
    projects = find_projects(path)
    if not projects:
        raise UsageError(f"there is no project in {path}; a project's folder has a pipeline.yaml or a config.py")
    return projects


def dags_folder(project: Path) -> Path:
    """Return the folder dags/ that stands beside the folder of projects."""
    return project.absolute().parent.parent / "dags"

"""What a file in the dags folder calls: ``globals().update(build_dags("clinic"))``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from pyelt_provider.errors import ConfigError, Problem, PyeltError
from pyelt_provider.orchestration.project_cache import cached_plans
from pyelt_provider.planning.plan import Plan

FOLDER_VARIABLE = "PYELT_CONFIGS"


def build_dags(project: str, folder: Path | str | None = None) -> dict[str, DAG]:
    """Return the DAGs of a project by dag id, one per schedule; only the DAG that is asked for when a task starts.

    `folder` holds the projects. Without it: the environment variable PYELT_CONFIGS, Airflow's option configs_folder in
    section [pyelt], or the folder ``configs`` beside the folder of the calling file (or beside one above it).

    Reads the project's files and nothing else: no delivery, no database, no network. Raises ConfigError with every
    problem as ``file:line``, which Airflow shows as the import error of the calling file and of no other.
    """
    caller = Path(sys._getframe(1).f_code.co_filename)
    path = project_folder(project, folder, caller)
    try:
        return _dags_of(cached_plans(path, _cache_folder()))
    except PyeltError as error:
        # Airflow shows the last frames above the text: the calling file and this line, not where we noticed.
        raise error.with_traceback(None) from None


def project_folder(project: str, folder: Path | str | None, caller: Path) -> Path:
    """Return the folder of a project, or raise ConfigError that says where it was looked for."""
    given = folder or os.environ.get(FOLDER_VARIABLE) or _airflow_option()
    if given is not None:
        candidates = [Path(given).expanduser() / project]
    else:
        above = dict.fromkeys([*caller.absolute().parents, *caller.resolve().parents])
        candidates = [parent / "configs" / project for parent in above if parent != parent.parent]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates[:3])
    mend = f"make it, or set {FOLDER_VARIABLE} (or configs_folder in section [pyelt] of airflow.cfg) to the folder of projects"
    raise ConfigError((Problem(str(caller), 0, "build_dags", f"there is no project {project!r} in {looked}", mend),))


def _dags_of(plans: tuple[Plan, ...]) -> dict[str, DAG]:
    # The building of DAGs needs most of Airflow; a project that cannot be read is told before that is imported.
    from pyelt_provider.orchestration.dag_builder import build_dag

    asked = get_parsing_context().dag_id
    return {plan.dag_id: build_dag(plan) for plan in plans if asked is None or plan.dag_id == asked}


def _cache_folder() -> Path:
    """Return a folder for our cache in Airflow's home, where whoever could change it could change Airflow itself."""
    return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "pyelt_cache"


def _airflow_option() -> str | None:
    from airflow.sdk import conf

    return conf.get("pyelt", "configs_folder", fallback=None) or None

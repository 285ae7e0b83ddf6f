"""Where the demo finds the project and keeps its own files: one checkout, one data folder, nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyelt_provider.demo.failure import DemoError

PIPELINE = "clinic"
"""The sample project's pipeline: its DAGs are `clinic` and `clinic__<schedule>`."""


@dataclass(frozen=True, slots=True)
class Places:
    """The project's folder and the data folder, with everything that lies in them."""

    project: Path
    home: Path

    @property
    def dags(self) -> Path:
        return self.project / "dags"

    @property
    def data_root(self) -> Path:
        """Where the sample's deliveries arrive; configs see it as PYELT_DATA_ROOT."""
        return self.demo / "data"

    @property
    def demo(self) -> Path:
        return self.home / "demo"

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    @property
    def plugins(self) -> Path:
        """An empty folder: the plugin comes through its entry point, and coming twice is an error in Airflow."""
        return self.airflow / "plugins"

    @property
    def logs(self) -> Path:
        """The logs of Airflow's components, one file each; the logs of tasks are in `task_logs`."""
        return self.home / "logs"

    @property
    def task_logs(self) -> Path:
        return self.airflow / "logs"

    @property
    def environment(self) -> Path:
        """A file for a shell to read, after which `airflow` and `pyelt` talk to the demo; its owner's only."""
        return self.home / "environment"

    @property
    def lock(self) -> Path:
        return self.home / "demo.lock"

    def make(self) -> None:
        """Make the folders that are missing; the data folder is closed to other users' writing."""
        for folder in (self.data_root, self.plugins, self.logs, self.task_logs):
            folder.mkdir(parents=True, exist_ok=True)


def find_places(environment: Mapping[str, str] = os.environ) -> Places:
    """Return the places for this call: the checkout that we are in, or else the one that this package lies in.

    PYELT_HOME names another data folder than `.pyelt` in the checkout. Raises DemoError when there is no checkout.
    """
    checkout = Path(__file__).resolve().parents[3]
    for project in (Path.cwd(), checkout):
        if (project / "dags").is_dir() and (project / "configs" / PIPELINE).is_dir():
            home = environment.get("PYELT_HOME")
            return Places(project=project, home=Path(home).absolute() if home else project / ".pyelt")
    raise DemoError(
        f"the demo needs the folders dags and configs/{PIPELINE} of the project's checkout, "
        f"and neither {Path.cwd()} nor {checkout} has them; change into the checkout"
    )

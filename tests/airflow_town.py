"""A project in the dags folder of the tests' Airflow, whose DAG a test runs day by day through `dag.test()`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from databases import Database
from town_files import deliver, write_town

WAITING = """
select distinct ti.task_id from task_reschedule join task_instance as ti on ti.id = task_reschedule.ti_id
where ti.dag_id = ?"""
"""The tasks of a DAG that gave their worker back and look again later."""

DAG_FILE = """\
from pyelt_provider.orchestration.factory import build_dags  # Airflow looks for this word
globals().update(build_dags("{project}"))
"""


@dataclass
class Town:
    """A project in the dags folder of the test's Airflow, and its warehouse."""

    name: str
    home: Path
    warehouse: Database
    runs: dict[str, Any] = field(default_factory=dict)

    @property
    def configs(self) -> Path:
        return self.home / "configs"

    def write(self, settings: str = "", *, south_active: bool = True) -> Path:
        folder = write_town(self.configs, self.warehouse.url, settings, south_active=south_active, name=self.name)
        (self.home / "dags" / f"{self.name}.py").write_text(DAG_FILE.format(project=self.name))
        return folder

    def change(self, file: str, old: str, new: str) -> None:
        path = self.configs / self.name / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def deliver(self, pipe: str, day: str, *rows: str) -> None:
        deliver(self.configs, f"{self.name}/{pipe}", day, *rows)

    def run(self, day: str, **conf: Any) -> tuple[str, dict[str, str]]:
        """Run the DAG for a day; returns the state of the run and the states of its tasks."""
        from airflow.dag_processing.dagbag import BundleDagBag

        dags = self.home / "dags"
        bag = BundleDagBag(dag_folder=dags, bundle_path=dags, bundle_name="dags-folder")
        assert bag.import_errors == {}
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
        run = bag.dags[self.name].test(logical_date=moment, run_after=moment, run_conf=conf or None)
        self.runs[day] = run
        return str(run.state), {ti.task_id: str(ti.state) for ti in run.get_task_instances()}

    def metadata(self, query: str, *parameters: Any) -> list[Any]:
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            return database.execute(query, parameters).fetchall()

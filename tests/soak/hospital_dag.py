"""The random hospital of tests/nights as a DAG: what the files in the soak's dags folder call, in Airflow's processes.

The rules of the hospital and its last night stand in a file beside the DAG file, which the soak writes anew for each
chapter of the story; so a config changes in the middle, as it does in real life.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from databases import Database
from nights.hospital import DAY_1, Hospital, day_of
from nights.story import Rules, Story
from pyelt_provider.model.pipeline import AirflowSettings, CronSchedule, Pipeline
from pyelt_provider.planning.plan import build_plans

DAG_FILE = """\
from soak.hospital_dag import dags  # Airflow looks for this word

globals().update(dags(__file__))
"""


@dataclass(frozen=True)
class Chapter:
    """What the DAG is for a while: the hospital with these rules, with runs until the last night."""

    name: str
    warehouse: str
    deliveries: str
    driving: bool
    prefer: bool
    delta: bool
    last_night: int
    rules: Rules
    retries: int = 20
    max_active_runs: int = 1
    catchup: bool = True
    execution_timeout: float | None = None

    def write(self, dags: Path) -> None:
        """Write the DAG file and what it reads; a reader sees the chapter before or this one, whole."""
        partial = dags / f"{self.name}.partial"
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(dags / f"{self.name}.json")
        file = dags / f"{self.name}.py"
        if not file.exists():
            file.write_text(DAG_FILE)

    @classmethod
    def read(cls, file: Path) -> Chapter:
        """Return what `write` wrote."""
        values = json.loads(file.read_text())
        rules = values.pop("rules")
        return cls(**values, rules=Rules(**{**rules, "rejects": tuple(rules["rejects"])}))

    @property
    def pipeline(self) -> Pipeline:
        """The hospital with everything that Airflow has to know of it."""
        story = Story(self.driving, self.prefer, self.delta)
        hospital = Hospital(Database(self.name, self.warehouse), Path(self.deliveries), story)
        hospital.obey(self.rules)
        seconds = self.execution_timeout
        settings = AirflowSettings(
            catchup=self.catchup,
            max_active_runs=self.max_active_runs,
            retries=self.retries,
            retry_delay=timedelta(seconds=1),
            execution_timeout=None if seconds is None else timedelta(seconds=seconds),
            end_date=day_of(self.last_night),
        )
        return replace(
            hospital.pipeline,
            name=self.name,
            schedule=CronSchedule(cron="0 0 * * *"),
            start_date=DAY_1,
            airflow=settings,
        )


def dags(dag_file: str) -> dict[str, Any]:
    """Return the DAG of the chapter that is written beside the DAG file."""
    from pyelt_provider.orchestration.dag_builder import build_dag

    pipeline = Chapter.read(Path(dag_file).with_suffix(".json")).pipeline
    return {plan.dag_id: build_dag(plan) for plan in build_plans(pipeline)}

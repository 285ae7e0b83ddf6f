"""The sample project on an empty warehouse: its nights and months, one by one or all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from databases import Database, fresh_database, fresh_source
from grants import grant_reading
from loading import Loader
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.sample.deliveries import write_deliveries

CLINIC = Path(__file__).parents[2] / "configs" / "clinic"
NIGHTS = [date(2026, 1, 29), date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2), date(2026, 2, 3)]
JANUARY, FEBRUARY = (date(2026, 1, 1), date(2026, 1, 31)), (date(2026, 2, 1), date(2026, 2, 28))


@dataclasses.dataclass
class Clinic:
    """The sample project on an empty warehouse, with its deliveries."""

    pipeline: Pipeline
    loader: Loader
    warehouse: Database

    def night(self, day: date) -> None:
        outcomes = self.loader.run(day)
        assert {stage: outcome.failures for stage, outcome in outcomes.items() if outcome.failures} == {}

    def month(self, days: tuple[date, date]) -> None:
        outcomes = self.loader.run(days[1], schedule="monthly", interval_start=days[0], name=f"monthly__{days[0]}")
        assert {stage: outcome.failures for stage, outcome in outcomes.items() if outcome.failures} == {}

    def whole_story(self) -> None:
        for day in NIGHTS[:3]:
            self.night(day)
        self.month(JANUARY)
        for day in NIGHTS[3:]:
            self.night(day)
        self.month(FEBRUARY)


@contextmanager
def clinic(
    server: EmbeddedServer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    pipes_reversed: bool = False,
    project: Path = CLINIC,
) -> Iterator[Clinic]:
    with fresh_database(server, "warehouse") as warehouse, fresh_source(server, "lab") as lab:
        write_deliveries(folder, lab.dba_url)
        grant_reading(lab.dba_url, "lab")
        monkeypatch.setenv("PYELT_DATA_ROOT", str(folder))
        monkeypatch.setenv("AIRFLOW_CONN_LAB", lab.url)
        pipeline = read_pipeline(project)
        if pipes_reversed:
            pipeline = dataclasses.replace(pipeline, pipes=tuple(reversed(pipeline.pipes)))
        yield Clinic(pipeline, Loader(warehouse, pipeline), warehouse)

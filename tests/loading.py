"""Loads a pipeline in tests as its DAG would: every stage of a plan in order, through the real runner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from databases import Database
from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment, LocalEnvironment
from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.execution.runner import RunRequest, run_stage
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import Plan, build_plan


class Loader:
    """Runs a pipeline against a test warehouse, day after day; load times are the day's 02:00 plus a minute per stage."""

    def __init__(self, warehouse: Database, pipeline: Pipeline, environment: Environment | None = None) -> None:
        self.warehouse = warehouse
        self.pipeline = dataclasses.replace(pipeline, warehouse=ConnectionRef(warehouse.url))
        self.environment = environment or LocalEnvironment()
        self._clock = 0

    def plan(self, schedule: str | None = None) -> Plan:
        return build_plan(self.pipeline, schedule)

    def run(
        self,
        day: date = date(2026, 1, 1),
        *,
        stages: Collection[str] | None = None,
        name: str | None = None,
        schedule: str | None = None,
        interval_start: date | None = None,
        **allowed: bool,
    ) -> dict[str, StageOutcome]:
        """Run the stages (all, or those named by their ids) for the data interval that ends with `day`.

        A stage that raises ends the run, as an exception. Run again with the same `day` (and `name`), it is the same
        run: its stages are taken back and done anew.
        """
        plan = self.plan(schedule)
        outcomes = {}
        for stage in plan.stages:
            if stages is None or stage.id in stages:
                start = datetime.combine(interval_start or day, time(), UTC)
                request = RunRequest(
                    dag_id=plan.dag_id,
                    dag_run_id=name or f"scheduled__{day}",
                    interval_start=start,
                    interval_end=datetime.combine(day + timedelta(days=1), time(), UTC),
                    **allowed,
                )
                outcomes[stage.id] = run_stage(stage, request, self.environment, clock=self._tick(day))
        return outcomes

    def fails(self, day: date = date(2026, 1, 1), **arguments: Any) -> str:
        """Run and return the text of the error that ends it."""
        try:
            self.run(day, **arguments)
        except PyeltError as error:
            return str(error)
        raise AssertionError("the run was expected to fail, and did not")

    def rows(self, query: str, params: Any = None) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(query, params)

    def _tick(self, day: date) -> Callable[[], datetime]:
        self._clock += 1
        moment = datetime.combine(day, time(2)) + timedelta(seconds=self._clock)
        return lambda: moment

"""What Airflow knows of a run, as the warehouse asks for it: which run it is and which time it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pyelt_provider.execution.runner import RunRequest


def request_of(context: Mapping[str, Any]) -> RunRequest:
    """Return what a run asks for, from a task's context."""
    dag_run, params, ti = context["dag_run"], context["params"], context["ti"]
    start, end = interval_of(dag_run, context["dag"].timetable)
    return RunRequest(
        dag_id=ti.dag_id,
        dag_run_id=ti.run_id,
        interval_start=start,
        interval_end=end,
        try_number=ti.try_number,
        allow_deletions=bool(params.get("allow_deletions")),
        allow_rejections=bool(params.get("allow_rejections")),
        allow_ddl=bool(params.get("allow_ddl")),
        allow_key_change=bool(params.get("allow_key_change")),
    )


def interval_of(dag_run: Any, timetable: Any) -> tuple[datetime, datetime]:
    """Return the data interval that a run stands for; the order of loads is judged by its end.

    It is Airflow's, with two exceptions. A run without one stands for the moment at which it was asked for. And a run
    that somebody starts for a day in the past (``airflow dags trigger --logical-date``) has the newest interval in
    Airflow, although its ``{{ ds }}`` names the old day's delivery: for us it stands for the interval that begins then.
    """
    logical, start, end = dag_run.logical_date, dag_run.data_interval_start, dag_run.data_interval_end
    if start is None or end is None:
        moment = logical or dag_run.run_after
        return moment, moment
    if logical is not None and start > logical:
        return logical, _next_tick(timetable, logical)
    return start, end


def _next_tick(timetable: Any, moment: datetime) -> datetime:
    expression = getattr(timetable, "expression", None)
    if not isinstance(expression, str):
        return moment
    import pendulum
    from croniter import croniter  # type: ignore[import-untyped]

    local = pendulum.instance(moment).in_timezone(timetable.timezone)
    tick: datetime = croniter(expression, local).get_next(datetime)
    return tick

"""Fills the template places of paths and queries with a run's dates, under the names that Airflow users know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.model.connection import masked
from pyelt_provider.planning.run import Run


class Macros:
    """The part of Airflow's `macros` that paths need; inside Airflow the real ones are used."""

    datetime = datetime
    timedelta = timedelta

    @staticmethod
    def ds_add(ds: str, days: int) -> str:
        return (date.fromisoformat(ds) + timedelta(days=days)).isoformat()

    @staticmethod
    def ds_format(ds: str, input_format: str, output_format: str) -> str:
        return datetime.strptime(ds, input_format).strftime(output_format)


def template_names(run: Run, timezone: str = "UTC") -> dict[str, Any]:
    """Return Airflow's names for a run. `ds` is the day on which the data interval starts, as in Airflow (UTC)."""
    start, end = run.interval_start, run.interval_end
    return {
        "ds": start.strftime("%Y-%m-%d"),
        "ds_nodash": start.strftime("%Y%m%d"),
        "ts": start.isoformat(),
        "ts_nodash": start.strftime("%Y%m%dT%H%M%S"),
        "data_interval_start": start,
        "data_interval_end": end,
        "logical_date": start,
        "run_id": run.dag_run_id,
        "runid": run.number,
        "macros": Macros(),
    }


def render_template(text: str, run: Run, names: Mapping[str, Any] | None = None) -> str:
    """Return `text` with its {{ }} places filled; raises PyeltError naming the text when a name is unknown."""
    if "{{" not in text and "{%" not in text:
        return text
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    try:
        template = SandboxedEnvironment(undefined=StrictUndefined).from_string(text)
        return template.render(template_names(run) if names is None else names)
    except TemplateError as error:
        raise PyeltError(
            f"the template {masked(text)!r} cannot be filled: {masked(str(error))}; see the names in the configuration docs"
        ) from None

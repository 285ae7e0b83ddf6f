"""What Airflow loads as a plugin."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


class PyeltPlugin(AirflowPlugin):
    """Makes the provider known to Airflow's web UI and commands (``airflow plugins``)."""

    name = "pyelt"

    @classmethod
    def on_load(cls, *arguments: Any, **settings: Any) -> None:
        """Make tasks start faster where this process is going to fork them; does nothing elsewhere."""
        from pyelt_provider.orchestration.warm_start import warm_up

        warm_up()

"""What Airflow loads as a plugin."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class PyeltPlugin(AirflowPlugin):
    """Makes the provider known to Airflow's web UI and commands (``airflow plugins``)."""

    name = "pyelt"

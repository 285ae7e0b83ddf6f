"""What Airflow lists about this package under `airflow providers`."""

from __future__ import annotations

from typing import Any

from pyelt_provider import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the provider's name, description and version, in the form of Airflow's provider schema.

    The plugin is not named here: Airflow takes plugins of providers from the entry point only, and naming one channel
    keeps it from being registered twice.
    """
    return {
        "package-name": "airflow-provider-pyelt",
        "name": "PyELT",
        "description": "Reads PyELT configs and emits DAGs which load a Data Vault on PostgreSQL.",
        "versions": [__version__],
    }

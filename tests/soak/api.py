"""What the soak asks Airflow's API server beside what the demo asks it."""

from __future__ import annotations

import urllib.parse

from pyelt_provider.demo.api import Api


class SoakApi(Api):
    """Clears tasks and marks them, as a person does in the UI."""

    def clear_failed(self, dag_id: str, run_id: str) -> None:
        """Clear what failed in a run and what was not done because of that."""
        self._clear(dag_id, {"dag_run_id": run_id, "only_failed": True})

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> None:
        """Clear tasks of a run with downstream."""
        self._clear(
            dag_id, {"dag_run_id": run_id, "only_failed": False, "task_ids": task_ids, "include_downstream": True}
        )

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Say that a task has failed, whatever it does just now."""
        run, task = urllib.parse.quote(run_id, safe=""), urllib.parse.quote(task_id, safe="")
        self._call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}", {"new_state": "failed"})

    def _clear(self, dag_id: str, what: dict[str, object]) -> None:
        body = {"dry_run": False, "reset_dag_runs": True, **what}
        self._call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

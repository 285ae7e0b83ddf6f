"""What the demo asks Airflow's API server: is it healthy, which runs are there, which tasks failed."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyelt_provider.demo.failure import DemoError

PAGE = 100
TIMEOUT_SECONDS = 20
ATTEMPTS = 5
UNAUTHORIZED, SERVER_ERROR = 401, 500
ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run as the API shows it."""

    dag_id: str
    run_id: str
    state: str
    day: str
    seconds: float | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class FailedTask:
    """One task of a run that ended failed, with what leads to its log."""

    task_id: str
    state: str
    attempt: int


class Api:
    """Airflow's REST API at one address, with the demo's login; a token that expired is renewed."""

    def __init__(self, address: str, user: str, password: str) -> None:
        self._address = address
        self._login = {"username": user, "password": password}
        self._token: str | None = None

    def healthy(self) -> bool:
        """Tell whether the API server answers and the scheduler, DAG processor and triggerer are alive."""
        try:
            answer = self._send("GET", "/api/v2/monitor/health", None, authorized=False)
        except OSError:
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((answer.get(part) or {}).get("status") == "healthy" for part in parts)

    def dags(self, pipeline: str) -> dict[str, dict[str, Any]]:
        """Return the DAGs of a pipeline by id: the one of its name, and those of its further schedules."""
        found = self._pages("/api/v2/dags", "dags", {"dag_id_pattern": pipeline, "exclude_stale": "true"})
        return {
            dag["dag_id"]: dag
            for dag in found
            if dag["dag_id"] == pipeline or dag["dag_id"].startswith(f"{pipeline}__")
        }

    def import_errors(self) -> list[str]:
        """Return the files that Airflow cannot read DAGs from, each with the error's text."""
        errors = self._pages("/api/v2/importErrors", "import_errors", {})
        return [f"{error['filename']}\n{error['stack_trace']}" for error in errors]

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG."""
        self._call("PATCH", f"/api/v2/dags/{_quoted(dag_id)}?update_mask=is_paused", {"is_paused": False})

    def runs(self, dag_id: str) -> list[Run]:
        """Return all runs of a DAG, oldest first."""
        runs = self._pages(f"/api/v2/dags/{_quoted(dag_id)}/dagRuns", "dag_runs", {"order_by": "run_after"})
        return [_run(run) for run in runs]

    def task_states(self, run: Run) -> list[str]:
        """Return the states of a run's tasks; a task that nothing is known of yet is `none`."""
        return [task["state"] or "none" for task in self._tasks(run)]

    def failed_tasks(self, run: Run) -> list[FailedTask]:
        """Return the tasks of a run that failed themselves, in the order in which they ended."""
        tasks = sorted(self._tasks(run), key=lambda task: task["end_date"] or "")
        return [
            FailedTask(task_id=task["task_id"], state=task["state"], attempt=task["try_number"])
            for task in tasks
            if task["state"] == "failed"
        ]

    def is_waiting(self, dag_id: str, task_id: str) -> bool:
        """Tell whether a task of any run has looked for something in vain and will look again."""
        path = f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/~/taskInstances"
        waiting = self._pages(path, "task_instances", {"state": "up_for_reschedule"})
        return any(task["task_id"] == task_id for task in waiting)

    def _tasks(self, run: Run) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{_quoted(run.dag_id)}/dagRuns/{_quoted(run.run_id)}/taskInstances"
        return list(self._pages(path, "task_instances", {}))

    def _pages(self, path: str, name: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = query | {"limit": str(PAGE), "offset": str(offset)}
            answer = self._call("GET", f"{path}?{urllib.parse.urlencode(page)}")
            yield from answer[name]
            offset += PAGE
            if offset >= answer["total_entries"]:
                return

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, authorized: bool = True
    ) -> dict[str, Any]:
        # Every call here may be made twice. A machine with too much to do answers late, or drops a connection.
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._send(method, path, body, authorized=authorized)
            except urllib.error.HTTPError as error:
                if attempt == ATTEMPTS or (error.code != UNAUTHORIZED and error.code < SERVER_ERROR):
                    text = error.read(500).decode(errors="replace")
                    raise DemoError(f"Airflow's API answered {error.code} to {method} {path}: {text}") from None
                self._token = None
            except OSError as error:
                if attempt == ATTEMPTS:
                    raise DemoError(f"Airflow's API does not answer {method} {path}: {error}") from None
            time.sleep(attempt - 1)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(self, method: str, path: str, body: dict[str, Any] | None, *, authorized: bool) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if authorized:
            headers["Authorization"] = f"Bearer {self._fresh_token()}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def _fresh_token(self) -> str:
        if self._token is None:
            answer = self._send("POST", "/auth/token", dict(self._login), authorized=False)
            self._token = str(answer["access_token"])
        return self._token


def _run(run: dict[str, Any]) -> Run:
    moment = run["data_interval_start"] or run["logical_date"] or run["run_after"]
    return Run(
        dag_id=run["dag_id"], run_id=run["dag_run_id"], state=run["state"], day=moment[:10], seconds=_seconds(run)
    )


def _seconds(run: dict[str, Any]) -> float | None:
    if not run["start_date"] or not run["end_date"]:
        return None
    return (datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["start_date"])).total_seconds()


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")

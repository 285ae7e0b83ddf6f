"""What happens when a task runs: the stage, seen from Airflow. Imported on the worker only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import psycopg2
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from pyelt_provider.errors import (
    ConfigError,
    DdlRefused,
    DeliveryMissing,
    IdentifierError,
    OlderRunOpen,
    OrderRefused,
    PyeltError,
)
from pyelt_provider.execution.database_errors import safe_message
from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.execution.runner import run_stage
from pyelt_provider.identifiers import TableName
from pyelt_provider.orchestration.airflow_environment import AirflowEnvironment, mask_passwords
from pyelt_provider.orchestration.assets import asset_name
from pyelt_provider.orchestration.interruption import Interruption
from pyelt_provider.orchestration.run_mails import mail_after_run, mail_before_run
from pyelt_provider.orchestration.run_parameters import Selection
from pyelt_provider.orchestration.run_request import request_of
from pyelt_provider.orchestration.stage_log import SectionedLog, log_outcome, xcom_value
from pyelt_provider.planning.stages import Stage, StageKind

FAILED_STATES = frozenset({"failed", "upstream_failed"})

ONLY_A_PERSON_CAN_HELP = (DdlRefused, OrderRefused, ConfigError, IdentifierError)
"""Errors that a retry would meet again. A refused delivery is not among them: a better file may come."""

LOOK_AGAIN_SOONEST, LOOK_AGAIN_LATEST = timedelta(seconds=5), timedelta(seconds=60)
"""How long a waiting task leaves its worker before it looks again: the longer it has waited, the longer."""

WAIT_FOR_OLDER_RUN = timedelta(hours=24)
"""How long a task waits for an older run of its pipe before it fails."""


class EndedBySignal(PyeltError, AirflowException):
    """Airflow ended the task: somebody marked it, cleared it or stopped the worker. Its text may stand in `sys.attempts`."""


class StageTask:
    """One attempt of one task."""

    def __init__(self, stage: Stage, foundations: tuple[str, ...], context: Any, log: Any) -> None:
        self._stage = stage
        self._foundations = foundations
        self._context = context
        self._ti = context["ti"]
        self._log = log
        self._request = request_of(context)
        self._environment = AirflowEnvironment(context)
        self._interruption = Interruption()

    def run(self) -> dict[str, Any]:
        """Do the stage and return its XCom value; raises Airflow's exceptions for skipped, waiting and failed."""
        stage = self._stage
        mask_passwords(stage.pipeline)
        if reason := Selection.of(self._context["params"]).reason_to_skip(stage):
            raise AirflowSkipException(reason)
        self._check_foundations()
        match stage.kind:
            case StageKind.PREPARE:
                outcome = self._do_stage()
                mail_before_run(stage.pipeline, self._request, outcome.run, self._environment, self._log)
            case StageKind.CLOSE:
                outcome = self._close()
            case _:
                outcome = self._do_stage()
        if outcome.failures:
            self._ti.xcom_push("return_value", xcom_value(outcome))
            raise AirflowException(_failure_text(stage.id, dict(outcome.failures)))
        self._tell_assets(outcome)
        return xcom_value(outcome)

    def kill(self) -> NoReturn:
        """End the statement that runs now and the task with it."""
        self._interruption.cancel()
        raise EndedBySignal(f"{self._stage.id} was ended by a signal; its transaction is rolled back")

    def _do_stage(self) -> StageOutcome:
        log = SectionedLog(self._log)
        with ExitStack() as ending:
            ending.callback(log.end)
            ending.enter_context(self._interruption.watched())
            try:
                outcome = run_stage(
                    self._stage, self._request, self._environment, log=log, on_session=self._interruption.watch
                )
            except DeliveryMissing as error:
                self._wait(error, error.wait_for)
            except OlderRunOpen as error:
                self._wait(error, WAIT_FOR_OLDER_RUN)
            except ONLY_A_PERSON_CAN_HELP as error:
                raise AirflowFailException(str(error)) from None
            except PyeltError as error:
                raise AirflowException(str(error)) from None
            except psycopg2.Error as error:
                raise AirflowException(f"{self._stage.id}: {safe_message(error)}") from None
        log_outcome(outcome, self._log)
        return outcome

    def _close(self) -> StageOutcome:
        """Close the run, mail, and fail when anything failed, so that the run is red although this task came to run."""
        failed = self._failed_tasks()
        pipeline = self._stage.pipeline
        try:
            outcome = self._do_stage()
        except Exception:
            if self._ti.try_number > self._ti.max_tries:
                # No warehouse to remember it in, and no further try: better a mail too many than none.
                failed = {**failed, self._stage.id: "failed"}
                mail_after_run(pipeline, self._request, None, failed, self._environment, self._log)
            raise
        mail_after_run(pipeline, self._request, outcome.run, failed, self._environment, self._log)
        if not failed:
            for task, error in outcome.failures:
                self._log.warning("%s did not end well, but Airflow counts it as done: %s", task, error)
            return StageOutcome(
                stage=outcome.stage,
                run=outcome.run,
                attempt=outcome.attempt,
                state=outcome.state,
                seconds=outcome.seconds,
                steps=outcome.steps,
            )
        self._ti.xcom_push("return_value", xcom_value(outcome))
        errors = dict(outcome.failures)
        # No retry: what failed does not mend by looking at it again.
        text = _failure_text(
            "the run", {task: errors.get(task, state) for task, state in failed.items() if state == "failed"}
        )
        not_done = ", ".join(task for task, state in failed.items() if state != "failed")
        raise AirflowFailException(text + (f"\nnot done because of that: {not_done}" if not_done else ""))

    def _failed_tasks(self) -> dict[str, str]:
        states = self._task_states(None)
        return {
            task: state for task, state in sorted(states.items()) if state in FAILED_STATES and task != self._stage.id
        }

    def _check_foundations(self) -> None:
        if not self._foundations:
            return
        states = self._task_states(list(self._foundations))
        if broken := [task for task in self._foundations if states.get(task) in FAILED_STATES]:
            raise AirflowFailException(f"{self._stage.id} has nothing to stand on: {', '.join(broken)} failed")

    def _task_states(self, task_ids: list[str] | None) -> Mapping[str, str]:
        run_id = self._request.dag_run_id
        states = self._ti.get_task_states(dag_id=self._ti.dag_id, task_ids=task_ids, run_ids=[run_id])
        return {task: str(getattr(state, "value", state)) for task, state in states.get(run_id, {}).items()}

    def _wait(self, error: PyeltError, patience: timedelta) -> NoReturn:
        now = datetime.now(UTC)
        since = self._ti.get_first_reschedule_date(self._context) or self._ti.start_date or now
        left = since + patience - now
        if left <= timedelta(0):
            waited = f" (waited since {since:%Y-%m-%d %H:%M} UTC)" if patience else ""
            raise AirflowException(f"{error}{waited}") from None
        self._log.info("%s; looking again in a while, until %s UTC.", error, f"{since + patience:%Y-%m-%d %H:%M}")
        pause = min(max(now - since, LOOK_AGAIN_SOONEST), LOOK_AGAIN_LATEST, left)
        raise AirflowRescheduleException(now + pause)  # type: ignore[no-untyped-call]

    def _tell_assets(self, outcome: StageOutcome) -> None:
        stage = self._stage
        tables = {asset_name(stage.pipeline.warehouse, target.table): target.table for target in stage.writes}
        for asset in self._context["task"].outlets:
            table = tables.get(asset.name)
            if table is not None:
                self._context["outlet_events"][asset].extra = _event(outcome, table)


def _event(outcome: StageOutcome, table: TableName) -> dict[str, Any]:
    return {"run": str(outcome.run), "changed_rows": outcome.changed_rows(table), **outcome.numbers.get(str(table), {})}


def _failure_text(what: str, failures: Mapping[str, str]) -> str:
    # Errors of a stage begin with its name; it is said once.
    reasons = [f"  {name}: {why.removeprefix(f'{name}: ')}" for name, why in failures.items()]
    return "\n".join([f"{what} failed in {len(reasons)} place{'' if len(reasons) == 1 else 's'}:", *reasons])

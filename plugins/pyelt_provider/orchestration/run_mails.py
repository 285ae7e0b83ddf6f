"""Sends the mails of a run at its two moments, with what the warehouse knows of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment
from pyelt_provider.execution.runner import RunRequest, utc_now
from pyelt_provider.execution.warehouse import session
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.orchestration.notifications import (
    MailKind,
    RunOutcome,
    RunReport,
    StageLine,
    send,
    stage_lines,
    stages_of_run,
    wanted,
)


def mail_before_run(
    pipeline: Pipeline, request: RunRequest, number: Decimal, environment: Environment, log: Any
) -> None:
    """Mail that the run starts, when the project asks for it; never raises."""
    if not wanted(pipeline.email, MailKind.BEFORE_RUN):
        return
    with _mail_session(pipeline, environment, log) as connection:
        report = _report(pipeline, request, number, RunOutcome.STARTED)
        send(pipeline, MailKind.BEFORE_RUN, report, connection, utc_now(), log)


def mail_after_run(
    pipeline: Pipeline,
    request: RunRequest,
    number: Decimal | None,
    failed: Mapping[str, str],
    environment: Environment,
    log: Any,
) -> None:
    """Mail how the run ended, with counts, rejected rows and links to the logs; never raises.

    Without a `number` the warehouse is out of reach: the mail goes out without counts and is not remembered.
    """
    if not wanted(pipeline.email, MailKind.AFTER_RUN):
        return
    outcome = RunOutcome.FAILED if failed else RunOutcome.SUCCEEDED
    if number is None:
        send(pipeline, MailKind.AFTER_RUN, _report(pipeline, request, None, outcome, failed), None, utc_now(), log)
        return
    with _mail_session(pipeline, environment, log) as connection:
        lines: tuple[StageLine, ...] = ()
        if connection is not None:
            with connection.cursor() as cursor:
                cursor.execute(stages_of_run(pipeline.sys_schema), {"runid": number})
                lines = stage_lines(cursor.fetchall())
        report = _report(pipeline, request, number, outcome, failed, lines)
        send(pipeline, MailKind.AFTER_RUN, report, connection, utc_now(), log)


def log_address(dag_id: str, dag_run_id: str, task_id: str) -> str:
    """Return the address of a task's log in Airflow's web pages."""
    from airflow.sdk import conf

    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base}/dags/{quote(dag_id)}/runs/{quote(dag_run_id)}/tasks/{quote(task_id)}"


def _report(
    pipeline: Pipeline,
    request: RunRequest,
    number: Decimal | None,
    outcome: RunOutcome,
    failed: Mapping[str, str] | None = None,
    stages: tuple[StageLine, ...] = (),
) -> RunReport:
    end = request.interval_end
    return RunReport(
        pipeline=pipeline.name,
        dag_id=request.dag_id,
        dag_run_id=request.dag_run_id,
        number=number,
        outcome=outcome,
        day=end.astimezone(UTC) if end.tzinfo else end,
        link=lambda task: log_address(request.dag_id, request.dag_run_id, task),
        stages=stages,
        failed=tuple((failed or {}).items()),
    )


@contextmanager
def _mail_session(pipeline: Pipeline, environment: Environment, log: Any) -> Iterator[Any]:
    """Open a session on the warehouse, None when it just went away: a mail is worth a try all the same."""
    try:
        opened = session(pipeline, environment, f"pyelt:{pipeline.name}:mail")
        connection = opened.__enter__()
    except PyeltError as error:
        log.warning("%s", error)
        yield None
        return
    try:
        yield connection
    finally:
        opened.__exit__(None, None, None)

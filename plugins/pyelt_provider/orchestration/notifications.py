"""The mails of a run: before it, and after it with its counts, rejected rows and links to the task logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from html import escape
from typing import Any

from pyelt_provider.identifiers import quote
from pyelt_provider.model.pipeline import EmailSettings, Pipeline


class MailKind(StrEnum):
    """When a mail goes out."""

    BEFORE_RUN = "before run"
    AFTER_RUN = "after run"


class RunOutcome(StrEnum):
    """What the mail says of the run; the same kind goes out once for each of these."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """A stage in the mail: its state in the warehouse, seconds, and rows per table and count."""

    stage: str
    state: str
    seconds: float
    numbers: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a mail tells. `failed` are (task id, state) pairs; `link` gives the address of a task's log."""

    pipeline: str
    dag_id: str
    dag_run_id: str
    number: Decimal | None
    outcome: RunOutcome
    day: datetime
    link: Callable[[str], str]
    stages: tuple[StageLine, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is ready to go: a line of text and a page of HTML."""

    subject: str
    html: str


def wanted(settings: EmailSettings | None, kind: MailKind) -> bool:
    """Return whether the project asks for this kind of mail."""
    if settings is None or not settings.to:
        return False
    return settings.send_mail_before_run if kind is MailKind.BEFORE_RUN else settings.send_log_mail_after_run


def compose(settings: EmailSettings, report: RunReport) -> Mail:
    """Return the mail of a report; everything in it is escaped, nothing in it is a value of the data."""
    run = f"run {report.number}" if report.number is not None else "a run without a number"
    subject = f"{settings.subject or f'Pipeline {report.pipeline}'}: {run} {report.outcome}"
    parts = [f"<p>Pipeline <b>{escape(report.pipeline)}</b>, {escape(run)}: <b>{report.outcome}</b>.</p>"]
    if settings.message:
        parts.append(f"<p>{escape(settings.message)}</p>")
    parts.append(
        f"<p>DAG {escape(report.dag_id)}, {escape(report.dag_run_id)}, data until {report.day:%Y-%m-%d %H:%M} UTC.</p>"
    )
    if report.failed:
        parts.append("<h3>Failed</h3><ul>")
        parts += [f"<li>{_log_link(report, task)}: {escape(state)}</li>" for task, state in report.failed]
        parts.append("</ul>")
    parts += _stage_table(report)
    return Mail(" ".join(subject.split()), "\n".join(parts))


def _stage_table(report: RunReport) -> list[str]:
    if not report.stages:
        return []
    rejected = sum(counts.get("rejected", 0) for line in report.stages for counts in line.numbers.values())
    parts = [f"<h3>Rows</h3><p>{rejected} rejected rows.</p>", "<table border='1' cellpadding='3' cellspacing='0'>"]
    parts.append("<tr><th>task</th><th>state</th><th>seconds</th><th>table</th><th>rows</th></tr>")
    for line in report.stages:
        tables = [(table, counts) for table, counts in line.numbers.items() if any(counts.values())] or [("", {})]
        for table, counts in tables:
            rows = ", ".join(f"{rows} {count.replace('_', ' ')}" for count, rows in counts.items() if rows)
            parts.append(
                f"<tr><td>{_log_link(report, line.stage)}</td><td>{escape(line.state)}</td>"
                f"<td align='right'>{line.seconds:.1f}</td><td>{escape(table)}</td><td>{escape(rows)}</td></tr>"
            )
    parts.append("</table>")
    return parts


def _log_link(report: RunReport, task: str) -> str:
    return f'<a href="{escape(report.link(task))}">{escape(task)}</a>'


def remember_mail(sys_schema: str) -> str:
    """Return the statement that notes a mail; it gives no row when this mail went out before."""
    return f"""
insert into {quote(sys_schema)}.mails (runid, kind, outcome, date)
values (%(runid)s, %(kind)s, %(outcome)s, %(now)s)
on conflict (runid, kind, outcome) do nothing
returning 1"""


def stages_of_run(sys_schema: str) -> str:
    """Return the query for what the stages of a run did, in the order in which they ended."""
    return f"""
select stage, state, seconds, numbers from {quote(sys_schema)}.stages
where runid = %(runid)s and stage <> 'close'
order by finished, load_order"""


def stage_lines(rows: Iterable[tuple[Any, ...]]) -> tuple[StageLine, ...]:
    """Read the rows of `stages_of_run`."""
    return tuple(
        StageLine(stage=stage, state=state, seconds=seconds, numbers=numbers) for stage, state, seconds, numbers in rows
    )


def send(
    pipeline: Pipeline, kind: MailKind, report: RunReport, connection: Any, now: datetime, log: logging.Logger
) -> None:
    """Send a mail once per run, kind and outcome; a mail that cannot be sent is a warning in the log, never an error.

    `connection` is a session on the warehouse; None when there is none, then the mail goes out and is not remembered.
    """
    settings = pipeline.email
    if settings is None or not wanted(settings, kind):
        return
    try:
        if connection is None or report.number is None:
            _deliver(settings, compose(settings, report))
            return
        with connection.cursor() as cursor:
            parameters = {"runid": report.number, "kind": kind, "outcome": report.outcome, "now": now}
            cursor.execute(remember_mail(pipeline.sys_schema), parameters)
            if cursor.fetchone() is None:
                log.info("The mail %r about this run went out before.", f"{kind}: {report.outcome}")
                return
        # Remembered only when it went out: the commit comes after the sending.
        _deliver(settings, compose(settings, report))
        connection.commit()
        log.info("Mail %r sent to %s.", f"{kind}: {report.outcome}", ", ".join(settings.to))
    except Exception as error:
        log.warning("The mail %r could not be sent: %s: %s", f"{kind}: {report.outcome}", type(error).__name__, error)
        if connection is not None and not connection.closed:
            connection.rollback()


def _deliver(settings: EmailSettings, mail: Mail) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    notifier = SmtpNotifier(
        to=list(settings.to),
        from_email=settings.sender,
        subject=mail.subject,
        html_content=mail.html,
        smtp_conn_id=settings.conn_id,
    )
    # Not notifier(context): that would fill template places, and what stands in an error is not a template.
    notifier.notify({})

"""The mails of a run, through Airflow's SMTP notifier to a real SMTP server on the loopback address."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage

import pytest

from databases import Database
from postbox import Postbox
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.runner import RunRequest
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.pipeline import EmailSettings, Pipeline
from pyelt_provider.orchestration.run_mails import mail_after_run, mail_before_run
from pyelt_provider.statements.runs.bookkeeping import create_bookkeeping
from visits_project import pipeline

LOG = logging.getLogger("mails")
REQUEST = RunRequest(
    dag_id="town",
    dag_run_id="scheduled__2026-01-02T01:00:00+00:00",
    interval_start=datetime(2026, 1, 1, 1, tzinfo=UTC),
    interval_end=datetime(2026, 1, 2, 1, tzinfo=UTC),
)


@pytest.fixture
def project(warehouse: Database) -> Pipeline:
    warehouse.execute(create_bookkeeping("sys").replace("%%", "%"))
    settings = EmailSettings(
        to=("night@example.test", "day@example.test"),
        sender="loads@example.test",
        subject="Town",
        message="Questions? Call <the desk>.",
        send_mail_before_run=True,
        send_log_mail_after_run=True,
        conn_id="mail",
    )
    return pipeline(warehouse=ConnectionRef(warehouse.url), email=settings)


def body(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_the_mail_after_a_run_has_counts_rejected_rows_and_links_to_the_logs(
    postbox: Postbox, project: Pipeline, warehouse: Database
) -> None:
    warehouse.execute(
        """insert into sys.stages (runid, stage, pipe, kind, state, attempt, fingerprint, finished, seconds, numbers) values
           (3, 'north.sor.etl_sor', 'north', 'etl_sor', 'done', 1, 'f', '2026-01-02 01:00', 2.34,
            '{"sor_north.visit_hstage": {"read": 9, "inserted": 7, "rejected": 2, "closed": 0}}'),
           (3, 'close', '', 'close', 'done', 1, 'f', '2026-01-02 01:01', 1, '{}'),
           (2, 'south.sor.etl_sor', 'south', 'etl_sor', 'done', 1, 'f', '2026-01-01 01:00', 1, '{}')"""
    )
    mail_after_run(project, REQUEST, Decimal("3.00"), {"south.dv.etl_hubs": "failed"}, LocalEnvironment(), LOG)

    assert postbox.subjects == ["Town: run 3.00 failed"]
    mail = postbox.mails[0]
    assert (mail["from"], mail["to"]) == ("loads@example.test", "night@example.test, day@example.test")
    text = body(mail)
    address = "http://airflow.example.test:8080/dags/town/runs/scheduled__2026-01-02T01%3A00%3A00%2B00%3A00/tasks"
    assert f'<li><a href="{address}/south.dv.etl_hubs">south.dv.etl_hubs</a>: failed</li>' in text
    assert "<p>2 rejected rows.</p>" in text
    assert (
        f"<tr><td><a href=\"{address}/north.sor.etl_sor\">north.sor.etl_sor</a></td><td>done</td><td align='right'>2.3</td>"
        "<td>sor_north.visit_hstage</td><td>9 read, 7 inserted, 2 rejected</td></tr>"
    ) in text
    assert "Questions? Call &lt;the desk&gt;." in text
    assert "south.sor.etl_sor" not in text


def test_a_mail_goes_out_once_per_run_kind_and_outcome(postbox: Postbox, project: Pipeline) -> None:
    for number in (Decimal("3.00"), Decimal("3.01")):
        for _ in range(2):
            mail_before_run(project, REQUEST, number, LocalEnvironment(), LOG)
            mail_after_run(project, REQUEST, number, {"close": "failed"}, LocalEnvironment(), LOG)
            mail_after_run(project, REQUEST, number, {}, LocalEnvironment(), LOG)
    assert postbox.subjects == [
        "Town: run 3.00 started",
        "Town: run 3.00 failed",
        "Town: run 3.00 succeeded",
        "Town: run 3.01 started",
        "Town: run 3.01 failed",
        "Town: run 3.01 succeeded",
    ]


def test_a_mail_that_cannot_be_sent_fails_nothing_and_goes_out_at_the_next_chance(
    postbox: Postbox, project: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AIRFLOW_CONN_MAIL", "smtp://127.0.0.1:9/?disable_ssl=true&disable_tls=true&retry_limit=1")
        mail_after_run(project, REQUEST, Decimal("3.00"), {}, LocalEnvironment(), LOG)
    assert "could not be sent" in caplog.text
    assert postbox.subjects == []

    mail_after_run(project, REQUEST, Decimal("3.00"), {}, LocalEnvironment(), LOG)
    assert postbox.subjects == ["Town: run 3.00 succeeded"]


def test_a_warehouse_that_is_away_stops_no_mail(postbox: Postbox, project: Pipeline) -> None:
    away = replace(project, warehouse=ConnectionRef("postgresql://loader:s3cret@127.0.0.1:9/nothing"))
    mail_after_run(away, REQUEST, None, {"prepare": "failed"}, LocalEnvironment(), LOG)
    mail_after_run(away, REQUEST, Decimal("3.00"), {"prepare": "failed"}, LocalEnvironment(), LOG)
    assert postbox.subjects == ["Town: a run without a number failed", "Town: run 3.00 failed"]
    assert not [mail for mail in postbox.mails if "s3cret" in mail.as_string()]


def test_only_the_mails_that_the_project_asks_for_go_out(postbox: Postbox, project: Pipeline) -> None:
    assert project.email is not None
    for settings in (None, replace(project.email, send_mail_before_run=False, send_log_mail_after_run=False)):
        quiet = replace(project, email=settings)
        mail_before_run(quiet, REQUEST, Decimal("3.00"), LocalEnvironment(), LOG)
        mail_after_run(quiet, REQUEST, Decimal("3.00"), {}, LocalEnvironment(), LOG)
    assert postbox.subjects == []

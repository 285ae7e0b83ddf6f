"""Hostile arguments of commands, names of folders, texts of mails: each is one value, and stays one."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from command_line.commands import pyelt
from databases import Database
from pyelt_provider.model.connection import ConnectionRef, masked, secrets_in
from pyelt_provider.model.pipeline import EmailSettings
from pyelt_provider.orchestration.notifications import RunOutcome, RunReport, StageLine, compose
from pyelt_provider.shown_text import code, markdown, visible
from security.hostile import NAMES, TEXTS, Hostile
from security.test_hostile_projects import ACTING, nothing_acts

EVERY = [value for value in NAMES if value != "nul"]  # no process can be given an argument with a NUL


@pytest.fixture
def project(warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    hostile = Hostile({})
    hostile.write(tmp_path / "project")
    hostile.deliver(tmp_path / "project", "2026-01-01")
    return str(tmp_path / "project")


@pytest.mark.parametrize("value", EVERY)
def test_a_hostile_argument_is_refused_in_one_message(
    value: str, project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "x" + TEXTS[value]
    for arguments in (
        [text],
        ["check", text],
        ["run", project, "--pipe", text],
        ["run", project, "--part", text],
        ["run", project, "--stage", text],
        ["run", project, "--date", text],
        ["sql", project, "--schedule", text],
        ["rewind", project, "--to", text, "--yes"],
    ):
        said = pyelt(capsys, *arguments)
        assert said.code in (1, 2), arguments
        assert said.err and "an error inside pyelt" not in said.err
        assert ACTING.findall(said.out + said.err) == []


@pytest.mark.parametrize("value", EVERY)
def test_a_run_may_have_any_name_and_keeps_it(
    value: str, project: str, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    said = pyelt(capsys, "run", project, "--date", "2026-01-01", "--run-id", TEXTS[value], "--stage", "prepare")
    assert said.code == 0, said.err
    assert warehouse.rows("select dag_run_id from sys.runs") == [(TEXTS[value],)]
    nothing_acts(said)
    for log in Path(project).rglob("*.log"):
        assert all(
            not line.startswith(("forged", "2026-01-01 00:00:00 forged")) for line in log.read_text().splitlines()
        )


@pytest.mark.parametrize("value", [value for value in EVERY if value != "long"])
def test_the_file_in_dags_of_a_hostile_folder_calls_one_function_with_one_text(
    value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "configs" / NAMES[value]
    Hostile({}).write(folder)
    said = pyelt(capsys, "dags", str(folder), "--folder", str(tmp_path / "dags"))
    if said.code == 2:
        assert "invisible character" in said.err
        assert list((tmp_path / "dags").iterdir()) == []
    else:
        (file,) = (tmp_path / "dags").iterdir()
        first, second = ast.parse(file.read_text()).body
        assert isinstance(first, ast.ImportFrom)
        calls = [node for node in ast.walk(second) if isinstance(node, ast.Call)]
        (built,) = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "build_dags"]
        assert [argument.value for argument in built.args if isinstance(argument, ast.Constant)] == [NAMES[value]]
        assert len(calls) == 3
    nothing_acts(said)


@pytest.mark.parametrize("value", EVERY)
def test_a_mail_has_one_line_of_subject_and_no_tag_but_its_own(value: str) -> None:
    text = TEXTS[value]
    settings = EmailSettings(to=("a@b.example",), sender=None, subject=text, message=text)
    report = RunReport(
        pipeline=text,
        dag_id=text,
        dag_run_id=text,
        number=Decimal("1.00"),
        outcome=RunOutcome.FAILED,
        day=datetime(2026, 1, 1, tzinfo=UTC),
        link=lambda task: f"http://airflow.example/{task}",
        stages=(StageLine(stage=text, state=text, seconds=1.0, numbers={text: {"read": 1, text: 2}}),),
        failed=((text, text),),
    )
    mail = compose(settings, report)
    assert "\n" not in mail.subject and "\r" not in mail.subject
    for tag in ("<script", "<img", "<svg", "<b onload"):
        assert tag not in mail.html
    harmless = compose(EmailSettings(to=("a@b.example",), sender=None, subject="s", message="m"), report)
    assert mail.html.count("<") == harmless.html.count("<")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("é ✓ 你", "é ✓ 你"),
    ],
)
def test_what_acts_is_shown_as_its_escape_and_all_else_as_it_is(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_markdown_shows_a_text_as_it_was_written() -> None:
    assert markdown("snake_case, 3 < 4 & *all*: [x](y) `z`") == (
        "snake_case, 3 \\< 4 \\& \\*all\\*: \\[x\\](y) \\`z\\`"
    )
    assert markdown("# no heading\n- no list\n_no emphasis_") == "\\# no heading\n\\- no list\n\\_no emphasis\\_"
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a`") == "`` `a` ``"


@pytest.mark.parametrize(
    ("url", "shown", "passwords"),
    [
        ("postgresql://u:p@ss@h/d", "postgresql://u:***@h/d", {"p@ss"}),
        ("postgresql://u:p/a#s?s@h/d", "postgresql://u:***@h/d", {"p/a#s?s"}),
        ("postgresql://u:p%40s@h/d", "postgresql://u:***@h/d", {"p%40s", "p@s"}),
        ("postgresql://u:my pass@h/d", "postgresql://u:***@h/d", {"my pass"}),
        ("postgresql://u@h/d?sslpassword=abc&x=1", "postgresql://u@h/d?sslpassword=***&x=1", {"abc"}),
        ("s3://bucket/folder", "s3://bucket/folder", set()),
    ],
)
def test_a_url_never_shows_a_part_of_its_password(url: str, shown: str, passwords: set[str]) -> None:
    assert str(ConnectionRef(url)) == shown
    assert secrets_in(url) == passwords


@pytest.mark.parametrize(
    "text",
    ["{'password': 'abc'}", '{"aws_secret_access_key": "abc"}', "PGPASSWORD=abc", "api_key: abc", "ftp://u:abc@h/x"],
)
def test_a_password_in_a_longer_text_is_masked(text: str) -> None:
    assert "abc" not in masked(text)

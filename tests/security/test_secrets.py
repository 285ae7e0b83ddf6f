"""Whole nights through the real scheduler, good and bad ones: no part of any password is in anything that they leave."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from postbox import Postbox
from pyelt_provider.embedded.server import EmbeddedServer
from security.live import LiveStack, variables_of, write

NAMES = ("warehouse", "crm", "lab", "wrong", "down", "smtp", "store", "raw")
PIECES = ("Aq1", "Bq2", "Cq3", "Dq4", "Eq5", "Fq6", "Gq7", "Hq8")


def secret(name: str) -> str:
    """A password with every sign between its pieces that could make somebody show a part of it."""
    signs = ["@", "/", "#", ":", "?", "%", "&", ""]
    return "".join(f"{piece}{name}{sign}" for piece, sign in zip(PIECES, signs, strict=True))


SECRET_PIECES = [f"{piece}{name}" for name in NAMES for piece in PIECES]

DOMAIN = "hubs: {Person: {satellites: {Default: {name: text}}}}\n"
PIPE = """
pipe: {name}
source_connection: {connection}
sor_schema: sor_{name}
sor:
  person_hstage: {{table: person, key: [id]}}
entities:
  - {{from: person_hstage, to: Person, bk: id, fields: {{Default.name: name}}}}
"""
FILES = """
pipe: files
source_path: "ftp://reader:${STORE_PASSWORD}@127.0.0.1/in"
sor_schema: sor_files
sor:
  person_hstage: {csv: persons.csv, columns: [id, name], key: [id]}
"""
PIPELINE = """
pipeline: {name}
conn_dwh: {warehouse}
start_date: 2026-01-01
data_root: {data}
log_path: logs
ddl_log_path: logs
sql_log_path: logs
email_settings: {{from: a@example.test, to: b@example.test, conn_id: mail, send_log_mail_after_run: true,
  send_mail_before_run: true}}
"""


@pytest.fixture(scope="module")
def mail() -> Iterator[tuple[Postbox, int]]:
    """A mail server that asks for a login."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    server = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        authenticator=lambda *_: AuthResult(success=True),
        auth_required=True,
        auth_require_tls=False,
    )
    server.start()
    yield box, port
    server.stop()


@pytest.fixture(scope="module")
def stack(mail: tuple[Postbox, int]) -> Iterator[LiveStack]:
    """A stack that has run the projects `good` and `bad`, beside one that cannot be read."""
    with tempfile.TemporaryDirectory(prefix="pyelt-secrets-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, PostgreSQL runs under another account and has to get in
        stack = LiveStack(home, variables_of())
        try:
            stack.server.start()
            stack.variables |= connections(stack.server, mail[1])
            for database, role, name in (("warehouse", "loader", "warehouse"), ("crm", "reader", "crm")):
                stack.role(role, database, secret(name))
            with contextlib.closing(psycopg2.connect(stack.server.url("crm"))) as source, source.cursor() as cursor:
                cursor.execute("create table person as select '1' as id, 'Ann' as name")
                source.commit()
            write_projects(stack)
            with stack:
                yield stack
        finally:
            EmbeddedServer(home).remove()


def connections(server: EmbeddedServer, mail_port: int) -> dict[str, str]:
    def url(role: str, name: str, database: str, port: int = 0) -> str:
        return f"postgresql://{role}:{quote(secret(name), safe='')}@127.0.0.1:{port or server.port}/{database}"

    return {
        "AIRFLOW_CONN_DWH": url("loader", "warehouse", "warehouse"),
        "AIRFLOW_CONN_CRM": url("reader", "crm", "crm"),
        "AIRFLOW_CONN_WRONG": url("reader", "wrong", "crm"),
        "AIRFLOW_CONN_MAIL": f"smtp://night:{quote(secret('smtp'), safe='')}@127.0.0.1:{mail_port}"
        "/?disable_ssl=true&disable_tls=true&timeout=5",
        "DWH_URL": url("loader", "warehouse", "warehouse"),
        "CRM_PASSWORD": quote(secret("crm"), safe=""),
        "DOWN_PASSWORD": quote(secret("down"), safe=""),
        "STORE_PASSWORD": quote(secret("store"), safe=""),
        "RAW_PASSWORD": secret("raw"),
        "SOURCE_PORT": str(server.port),
    }


def write_projects(stack: LiveStack) -> None:
    data = stack.places.home / "data"
    crm_url = "postgresql://reader:${CRM_PASSWORD}@127.0.0.1:${SOURCE_PORT}/crm"
    good = {
        "pipeline.yaml": PIPELINE.format(name="good", warehouse="${DWH_URL}", data=data),
        "domain.yaml": DOMAIN,
        "pipes/by_id.yaml": PIPE.format(name="by_id", connection="crm"),
        "pipes/by_url.yaml": PIPE.format(name="by_url", connection=crm_url),
    }
    down_url = "postgresql://reader:${DOWN_PASSWORD}@127.0.0.1:9/crm"
    bad = {
        "pipeline.yaml": PIPELINE.format(name="bad", warehouse="dwh", data=data),
        "domain.yaml": DOMAIN,
        "pipes/wrong.yaml": PIPE.format(name="wrong", connection="wrong"),
        "pipes/down.yaml": PIPE.format(name="down", connection=down_url),
        "pipes/files.yaml": FILES,
        "pipes/stored.yaml": PIPE.format(name="stored", connection="stored"),
    }
    unreadable = {
        "pipeline.yaml": "conn_dwh: postgresql://loader:${RAW_PASSWORD}@127.0.0.1/warehouse\nnonsense: 1\n",
        "domain.yaml": DOMAIN,
        "pipes/raw.yaml": PIPE.format(name="raw", connection="postgresql://reader:${RAW_PASSWORD}@127.0.0.1:x/crm"),
    }
    for name, files in (("good", good), ("bad", bad), ("unreadable", unreadable)):
        write(stack.configs / name, files)


def leaks(name: str, text: str) -> list[str]:
    return [f"{name}: {piece}" for piece in SECRET_PIECES if piece in text]


def test_no_part_of_a_password_is_in_anything_that_runs_leave(stack: LiveStack, mail: tuple[Postbox, int]) -> None:
    stack.api._call(
        "POST",
        "/api/v2/connections",
        {"connection_id": "stored", "conn_type": "postgres", "host": "127.0.0.1", "port": stack.server.port,
         "login": "reader", "password": secret("lab"), "schema": "crm"},
    )  # fmt: skip
    assert stack.load("good") == "success"
    assert stack.load("bad") == "failed"
    stack._wait(lambda: stack.api.import_errors(), "the project that cannot be read is no import error")

    found = [leak for name, text in stack.files() for leak in leaks(name, text)]
    for database in ("airflow", "warehouse"):
        found += [leak for name, text in stack.tables(database) for leak in leaks(name, text)]
    mails = [message.as_string() for message in mail[0].mails]
    found += [leak for text in mails for leak in leaks("mail", text)]
    for path in ("importErrors", "dags/good/details", "dags/good/tasks", "dags/bad/tasks", "connections", "assets"):
        found += leaks(path, str(stack.api._call("GET", f"/api/v2/{path}")))
    assert sorted(set(found)) == []

    # What was looked through is what runs leave, not nothing.
    names = {name for name, _ in stack.files()}
    assert any("task_id=by_url.sor.etl_sor" in name for name in names)
    assert any(name.startswith("data/logs/") for name in names)
    logs = "\n".join(text for name, text in stack.files() if "task_id=" in name)
    assert "password authentication failed" in logs and "Connection refused" in logs
    assert {subject.partition(":")[2].split()[-1] for subject in mail[0].subjects} == {"started", "succeeded", "failed"}
    tables = {name for name, _ in stack.tables("airflow")}
    assert tables >= {f"airflow: public.{table}" for table in ("serialized_dag", "xcom", "connection", "import_error")}


def test_no_part_of_a_password_is_in_what_pyelt_says(stack: LiveStack) -> None:
    raw = f"postgresql://loader:{secret('raw')}@127.0.0.1:{stack.server.port}/warehouse"
    down = f"postgresql://loader:{quote(secret('down'), safe='')}@127.0.0.1:9/warehouse"
    wrong = f"postgresql://loader:{quote(secret('wrong'), safe='')}@127.0.0.1:{stack.server.port}/warehouse"
    option = f"postgresql://loader@127.0.0.1:{stack.server.port}/warehouse?sslpassword={secret('wrong')[:3]}&nonsense=1"
    blank = raw.replace("@", " ", 1)
    said = {}
    for project in ("good", "bad", "unreadable"):
        at = f"configs/{project}"
        for command in (("check",), ("check", "--database"), ("plan", "--details"), ("sql",)):
            said[f"{project} {' '.join(command)}"] = stack.pyelt(command[0], at, *command[1:])
        said[f"{project} run"] = stack.pyelt("run", at, "--date", "2026-01-06", "--verbose")
    said["rewind"] = stack.pyelt("rewind", "configs/good", "--to", "1.00", "--dry-run")
    said["dags"] = stack.pyelt("dags")
    for name, url in {
        "raw": raw,
        "down": down,
        "wrong": wrong,
        "option": option,
        "blank": blank,
        "no url": "x" + raw,
    }.items():
        for command in (("run", "configs/bad", "--stage", "prepare"), ("check", "configs/bad", "--database")):
            said[f"{name} {command[0]}"] = stack.pyelt("--debug", *command, AIRFLOW_CONN_DWH=url)
            assert not said[f"{name} {command[0]}"].startswith("0"), name
        said[f"{name} good"] = stack.pyelt("--debug", "run", "configs/good", "--stage", "prepare", DWH_URL=url)
    assert [leak for name, text in said.items() for leak in leaks(name, text)] == []
    assert said["good run"].startswith("0"), said["good run"]
    assert "password authentication failed" in said["wrong run"] and "Connection refused" in said["down run"]
    assert "cannot be read: its host or port is none" in said["raw run"]

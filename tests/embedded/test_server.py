"""The embedded server where things go wrong: killed processes, stale files, taken ports, closed folders."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from databases import TEST_SETTINGS
from pyelt_provider.embedded.account import server_account
from pyelt_provider.embedded.failure import EmbeddedServerError
from pyelt_provider.embedded.postmaster import Postmaster, running_postmaster
from pyelt_provider.embedded.server import EmbeddedServer

SMALL = {**TEST_SETTINGS, "shared_buffers": "16MB"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that the server's account can enter, removed with the server in it."""
    path = Path(tempfile.mkdtemp(prefix="pyelt-tests-"))
    path.chmod(0o755)
    yield path
    EmbeddedServer(path).remove()
    shutil.rmtree(path, ignore_errors=True)


def small_server(folder: Path, port: int | None = None) -> EmbeddedServer:
    return EmbeddedServer(folder, port=port, extra_settings=SMALL)


def cluster_of(server: EmbeddedServer) -> Path:
    return server.log.parent / "cluster"


def process_of(server: EmbeddedServer) -> Postmaster:
    postmaster = running_postmaster(cluster_of(server))
    assert postmaster is not None
    return postmaster


def run(server: EmbeddedServer, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(psycopg2.connect(server.url("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


def test_a_second_start_reuses_the_running_server(folder: Path) -> None:
    first = small_server(folder).start()
    process = process_of(first).process.pid

    second = small_server(folder).start()

    assert second.url("x") == first.url("x")
    assert process_of(second).process.pid == process


def test_data_password_and_port_survive_stop_and_start(folder: Path) -> None:
    server = small_server(folder).start()
    run(server, "create table kept as select 1 as id")
    url = server.url("postgres")

    server.stop()
    assert running_postmaster(cluster_of(server)) is None
    server.stop()
    server.start()

    assert server.url("postgres") == url
    assert run(server, "select id from kept") == [(1,)]


def test_only_the_loopback_address_answers_and_only_with_the_password(folder: Path) -> None:
    server = small_server(folder).start()

    assert run(server, "show listen_addresses") == [("127.0.0.1",)]
    assert run(server, "show unix_socket_directories") == [("",)]
    assert run(server, "select distinct auth_method from pg_hba_file_rules") == [("scram-sha-256",)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(host="127.0.0.1", port=server.port, user="pyelt", password="wrong", dbname="postgres")
    assert (folder / "postgres.json").stat().st_mode & 0o777 == 0o600


def test_fsync_and_checksums_are_on_unless_a_test_asks_otherwise(folder: Path) -> None:
    server = EmbeddedServer(folder, extra_settings={"shared_buffers": "16MB"}).start()

    assert run(server, "select current_setting('fsync'), current_setting('data_checksums')") == [("on", "on")]
    assert run(server, "select current_setting('wal_level'), current_setting('jit')") == [("minimal", "off")]


def test_a_killed_server_starts_again_with_what_was_committed(folder: Path) -> None:
    server = small_server(folder).start()
    run(server, "create table kept as select 1 as id")
    process = process_of(server).process
    process.send_signal(signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)
    assert (cluster_of(server) / "postmaster.pid").exists()

    server.start()

    assert run(server, "select id from kept") == [(1,)]


def test_a_busy_session_that_outlived_a_killed_server_does_not_block_the_next(folder: Path) -> None:
    server = small_server(folder).start()

    def keep_busy() -> None:
        with contextlib.suppress(psycopg2.Error):
            run(server, "do $$ begin loop end loop; end $$")

    session = threading.Thread(target=keep_busy)
    session.start()
    while run(server, "select count(*) from pg_stat_activity where query like 'do %' and state = 'active'") != [(1,)]:
        time.sleep(0.05)
    postmaster = process_of(server).process
    backends = postmaster.children()
    postmaster.send_signal(signal.SIGKILL)
    psutil.wait_procs([postmaster], timeout=10)
    assert any(backend.is_running() for backend in backends)

    server.start()
    session.join(timeout=10)

    assert not session.is_alive()
    assert run(server, "select 1") == [(1,)]
    assert not [b for b in backends if b.is_running() and b.status() != psutil.STATUS_ZOMBIE]


def test_a_stranger_who_has_the_number_of_a_killed_server_is_neither_trusted_nor_harmed(folder: Path) -> None:
    server = small_server(folder).start()
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        pid_file = cluster_of(server) / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{cluster_of(server)}\n1\n{server.port}\n\n127.0.0.1\n\nready\n")
        account = server_account()
        account.own(pid_file)

        server.stop()
        assert stranger.poll() is None
        server.start()

        assert run(server, "select 1") == [(1,)]
        assert process_of(server).process.pid != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_initdb_leaves_nothing_half_done(folder: Path) -> None:
    half = small_server(folder).log.parent / "cluster.partial"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    server = small_server(folder).start()

    assert run(server, "select 1") == [(1,)]
    assert not half.exists()


def test_processes_that_start_it_at_once_share_one_server(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pyelt_provider.embedded.server import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1]), extra_settings={'shared_buffers': '16MB'}).start()\n"
        "server.ensure_database('shared'); print(server.url('shared'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True, env=env)
        for env in [{"PYTHONPATH": str(Path(__file__).parents[2] / "plugins")}] * 4
    ]

    answers = {process.communicate(timeout=60)[0] for process in processes}

    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert answers == {small_server(folder).start().url("shared") + "\n"}


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_that_names_it(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(EmbeddedServerError, match=f"port {port} of 127.0.0.1 is taken"):
            small_server(folder, port).start()

    assert small_server(folder, port).start().port == port


def test_a_remembered_port_that_somebody_took_meanwhile_is_replaced(folder: Path) -> None:
    server = small_server(folder).start()
    before = server.port
    server.stop()

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before))
        taken.listen()
        server.start()

    assert server.port != before
    assert run(server, "select 1") == [(1,)]


def test_files_of_another_major_version_are_refused_with_both_versions(folder: Path) -> None:
    server = small_server(folder).start()
    server.stop()
    (cluster_of(server) / "PG_VERSION").write_text("14\n")

    with pytest.raises(EmbeddedServerError, match=r"was made by PostgreSQL 14, but .* is version 1"):
        server.start()


def test_variables_for_other_postgresql_programs_do_not_leak_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGHOST": "/nowhere", "LC_ALL": "xx_YY.UTF-8"}.items():
        monkeypatch.setenv(name, value)

    assert run(small_server(folder).start(), "select 1") == [(1,)]


def test_a_data_folder_that_is_closed_to_others_works_too(folder: Path) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    server = small_server(closed / "checkout" / ".pyelt").start()
    try:
        assert run(server, "select 1") == [(1,)]
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        server.remove()
    assert not server.log.parent.joinpath("cluster").exists()


def test_a_database_is_made_once(folder: Path) -> None:
    server = small_server(folder).start()
    server.ensure_database('with "quotes"')
    server.ensure_database('with "quotes"')

    assert run(server, "select count(*) from pg_database where datname = 'with \"quotes\"'") == [(1,)]

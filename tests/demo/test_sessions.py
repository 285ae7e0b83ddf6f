"""What the demo started ends with it: children that left their group, after a kill, and never a stranger."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from pyelt_provider.demo import sessions
from pyelt_provider.demo.sessions import Session, end_sessions, members

FAMILY = """
import os, signal, subprocess, sys, time
if sys.argv[1] == "stubborn":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def start(kind: str) -> subprocess.Popen[str]:
    """Start a process in a session of its own with a child which has left its process group."""
    process = subprocess.Popen(
        [sys.executable, "-c", FAMILY, kind], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
    return process


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    process = start("polite")
    yield process
    process.kill()
    process.wait()


def test_a_session_ends_with_children_that_left_the_group(family: subprocess.Popen[str]) -> None:
    session = Session.of(family.pid)
    assert len(members([session])) == 2

    end_sessions([session])

    assert members([session]) == []


def test_processes_that_ignore_polite_signals_are_ended_too() -> None:
    process = start("stubborn")
    session = Session.of(process.pid)

    end_sessions([session], patience=0.2)

    assert members([session]) == []
    process.wait()


def test_a_stranger_with_the_number_of_an_old_session_is_left_alone(family: subprocess.Popen[str]) -> None:
    old = Session(leader=family.pid, started=psutil.Process(family.pid).create_time() - 3600)

    end_sessions([old])

    assert members([old]) == []
    assert len(members([Session.of(family.pid)])) == 2


def test_a_session_is_found_again_from_its_text(family: subprocess.Popen[str]) -> None:
    session = Session.of(family.pid)

    assert Session.parse(str(session)) == session


def guardian() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-I", sessions.__file__], stdin=subprocess.PIPE, text=True)


def test_the_guardian_ends_the_sessions_and_the_server_when_the_demo_is_gone(family: subprocess.Popen[str]) -> None:
    server = subprocess.Popen(["sleep", "60"])
    watcher = guardian()

    watcher.communicate(f"server {Session.of(server.pid)}\nsession {Session.of(family.pid)}\n", timeout=30)

    assert server.wait(timeout=10) != 0
    assert members([Session.of(family.pid)]) == []


def test_the_guardian_does_nothing_after_an_orderly_end(family: subprocess.Popen[str]) -> None:
    watcher = guardian()

    watcher.communicate(f"session {Session.of(family.pid)}\ndone\n", timeout=30)

    time.sleep(0.1)
    assert len(members([Session.of(family.pid)])) == 2

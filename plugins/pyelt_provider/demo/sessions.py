"""Ending what the demo started, to the last process: every component runs in a session of its own.

Airflow's tasks leave their parent's process group, but nothing that it starts leaves the session. So the session is
what is remembered, and what is ended. Run as a program, this module is the guardian: it waits until the demo has gone,
in whatever way, and then ends the sessions that it was told about. It needs nothing of the project then.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

PATIENCE_SECONDS = 8.0
CHILDREN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Session:
    """A session that we made: the number of its first process, and when that was started (seconds since 1970).

    The time tells our session from a later one which got the same number.
    """

    leader: int
    started: float

    @classmethod
    def of(cls, leader: int) -> Session:
        """Return the session whose first process has this number; it must be running."""
        return cls(leader=leader, started=psutil.Process(leader).create_time())

    @classmethod
    def parse(cls, text: str) -> Session:
        """Return what `str` made."""
        leader, started = text.split("@")
        return cls(leader=int(leader), started=float(started))

    def __str__(self) -> str:
        return f"{self.leader}@{self.started}"


def members(sessions: Iterable[Session]) -> list[psutil.Process]:
    """Return the running processes of these sessions."""
    by_number = {session.leader: session for session in sessions}
    found = []
    for process in psutil.process_iter():
        try:
            session = by_number.get(os.getsid(process.pid))
            if session is not None and _belongs(process, session) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def end_sessions(sessions: Iterable[Session], *, patience: float = PATIENCE_SECONDS) -> None:
    """End every process of these sessions: their first processes politely, then all that is left, then by force.

    Airflow's components stop their own children on SIGINT, which SIGTERM does not make all of them do.
    """
    wanted = tuple(sessions)
    leaders = {session.leader for session in wanted}
    _send([process for process in members(wanted) if process.pid in leaders], signal.SIGINT)
    if _all_gone(wanted, patience):
        return
    _send(members(wanted), signal.SIGTERM)
    if _all_gone(wanted, patience / 4):
        return
    while left := members(wanted):
        _send(left, signal.SIGKILL)
        time.sleep(0.05)


def _belongs(process: psutil.Process, session: Session) -> bool:
    if process.pid == session.leader:
        return abs(process.create_time() - session.started) < 1
    return process.create_time() >= session.started - 1 and _leader_is_ours_or_gone(session)


def _leader_is_ours_or_gone(session: Session) -> bool:
    try:
        return abs(psutil.Process(session.leader).create_time() - session.started) < 1
    except psutil.NoSuchProcess:
        return True


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _all_gone(sessions: tuple[Session, ...], seconds: float) -> bool:
    leaders = {session.leader for session in sessions}
    orphaned = time.monotonic()
    deadline = orphaned + seconds
    while left := members(sessions):
        if not any(process.pid in leaders for process in left):
            # Nobody is there any more who would stop them.
            deadline = min(deadline, orphaned + CHILDREN_SECONDS)
        else:
            orphaned = time.monotonic()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _guard() -> None:
    """Read sessions, a line each, until the demo's end of the pipe closes; end them all unless the last line is `done`.

    A line `server <pid>` names the PostgreSQL which is to be stopped after them.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: list[Session] = []
    server: Session | None = None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "done":
            return
        if word == "server":
            server = Session.parse(rest)
        else:
            sessions.append(Session.parse(rest))
    end_sessions(sessions)
    if server is not None and psutil.pid_exists(server.leader):
        process = psutil.Process(server.leader)
        if abs(process.create_time() - server.started) < 1:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown


if __name__ == "__main__":
    _guard()

"""The running server as the operating system sees it: which process is really ours, and what a crash left behind."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from pyelt_provider.embedded.failure import EmbeddedServerError

PID_FILE = "postmaster.pid"
FAST_STOP_SECONDS = 30.0
ORPHAN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server's main process, proven to be ours, and the port that it says it listens on."""

    process: psutil.Process
    port: int
    ready: bool


def running_postmaster(cluster: Path) -> Postmaster | None:
    """Return the server that runs on these files; None when none does, whatever the pid file claims.

    A pid file survives kill -9, and its number may belong to a stranger by now. So the process has to be a postgres
    that works in this very folder; nothing else is ever trusted, or signalled.
    """
    claim = _read_pid_file(cluster)
    if claim is None or not _is_ours(claim.pid, cluster):
        return None
    try:
        return Postmaster(process=psutil.Process(claim.pid), port=claim.port, ready=claim.ready)
    except psutil.NoSuchProcess:
        return None


def clear_leftovers(cluster: Path) -> None:
    """End what a killed server left behind: its busy backends, and a pid file whose number a stranger has now.

    Call it only when `running_postmaster` found none, under the lock. The backends come first: while one of them is
    attached to the old shared memory, PostgreSQL must not start, and only the pid file would tell it so.
    """
    orphans = [process for process in psutil.process_iter() if _is_ours(process.pid, cluster)]
    _end(orphans, signal.SIGTERM, ORPHAN_SECONDS)
    _end(orphans, signal.SIGQUIT, ORPHAN_SECONDS)
    _end(orphans, signal.SIGKILL, ORPHAN_SECONDS)
    claim = _read_pid_file(cluster)
    if claim is not None and psutil.pid_exists(claim.pid):
        (cluster / PID_FILE).unlink(missing_ok=True)


def stop_postmaster(cluster: Path) -> None:
    """Stop the server that runs on these files, sessions and all; at once when a clean stop takes too long."""
    postmaster = running_postmaster(cluster)
    if postmaster is not None:
        _end([postmaster.process], signal.SIGINT, FAST_STOP_SECONDS)
        _end([postmaster.process], signal.SIGQUIT, ORPHAN_SECONDS)
    if running_postmaster(cluster) is not None:
        raise EmbeddedServerError(
            f"the PostgreSQL on {cluster} does not stop (process {_claimed_pid(cluster)}); its log may say why"
        )


@dataclass(frozen=True, slots=True)
class _Claim:
    pid: int
    port: int
    ready: bool


def _read_pid_file(cluster: Path) -> _Claim | None:
    try:
        lines = (cluster / PID_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    try:
        pid = abs(int(lines[0]))
        port = int(lines[3]) if len(lines) > 3 else 0
    except (IndexError, ValueError):
        return None
    return _Claim(pid=pid, port=port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def _claimed_pid(cluster: Path) -> int | None:
    claim = _read_pid_file(cluster)
    return claim.pid if claim else None


def _is_ours(pid: int, cluster: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return Path(process.cwd()).resolve() == cluster.resolve()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _end(processes: list[psutil.Process], number: signal.Signals, seconds: float) -> None:
    for process in processes:
        if _alive(process):
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_alive(process) for process in processes):
        time.sleep(0.02)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""Airflow's four components as processes: started apart, each in its own session, watched, and stopped together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pyelt_provider.demo import sessions as guardian
from pyelt_provider.demo.failure import DemoError
from pyelt_provider.demo.sessions import Session, end_sessions
from pyelt_provider.embedded.failure import last_lines

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # Logs are read from the disk that all components share, so no component needs a port to serve them.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


class Components:
    """The running processes of one demo.

    `stop` leaves nothing of them behind. So does the end of this process in any other way: a guardian process notices
    it and stops them; and should that be killed too, the next start ends what `sessions_file` still names.
    """

    def __init__(self, *, folder: Path, logs: Path, sessions_file: Path) -> None:
        self.environment: dict[str, str] = {}
        self._folder = folder
        self._logs = logs
        self._sessions_file = sessions_file
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: list[Session] = []
        self._guardian: subprocess.Popen[str] | None = None

    def end_earlier_ones(self) -> None:
        """End what an earlier demo in this data folder left behind; nothing happens after an orderly stop."""
        if self._sessions_file.exists():
            end_sessions(Session.parse(text) for text in json.loads(self._sessions_file.read_text()))
            self._sessions_file.unlink()

    def guard(self, server_process: int) -> None:
        """Start the guardian, which also stops the PostgreSQL of this process number when this process dies."""
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", guardian.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self.server_is(server_process)

    def server_is(self, process: int) -> None:
        """Tell the guardian that PostgreSQL has another process number since it was started again."""
        self._tell(f"server {Session.of(process)}")

    def run(self, name: str, *arguments: str) -> None:
        """Run an Airflow command to its end, its output in a log file; raises DemoError when it fails."""
        process = self._start(name, arguments)
        code = process.wait()
        del self._processes[name]
        if code != 0:
            raise DemoError(f"airflow {' '.join(arguments)} ended with exit code {code}; {self._end_of_log(name)}")

    def start(self) -> None:
        """Start all components; they need some seconds until they answer."""
        for name, arguments in COMPONENTS.items():
            self._start(name, arguments)

    def session_of(self, name: str) -> Session | None:
        """Return the session of a component, whose leader is the component's first process; None when that has ended."""
        process = self._processes[name]
        if process.poll() is not None:
            return None
        return next(session for session in reversed(self._sessions) if session.leader == process.pid)

    def start_again(self, name: str) -> None:
        """Start a component whose first process has ended; what that left running keeps its session until `stop`."""
        self._processes.pop(name).wait()
        self._start(name, COMPONENTS[name])

    def check(self) -> None:
        """Raise DemoError when one of the components has ended by itself."""
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None:
                raise DemoError(f"Airflow's {name} ended with exit code {code}; {self._end_of_log(name)}")

    def stop(self) -> None:
        """Stop all components and everything that they started; again is safe."""
        # The scheduler goes first, and alone: its running tasks still need the API server to tell how they ended.
        scheduler = self._processes.get("scheduler")
        first = [session for session in self._sessions if scheduler is not None and session.leader == scheduler.pid]
        end_sessions(first)
        end_sessions(self._sessions)
        for process in self._processes.values():
            process.wait()
        self._processes.clear()
        self._sessions.clear()
        self._sessions_file.unlink(missing_ok=True)
        if self._guardian is not None:
            self._tell("done")
            self._guardian.communicate()
            self._guardian = None

    def _start(self, name: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with self._new_log(name) as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self.environment,
                start_new_session=True,
            )
        session = Session.of(process.pid)
        self._processes[name] = process
        self._sessions.append(session)
        self._tell(f"session {session}")
        self._sessions_file.write_text(json.dumps([str(one) for one in self._sessions]))
        return process

    def _tell(self, line: str) -> None:
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.write(f"{line}\n")
            self._guardian.stdin.flush()

    def _new_log(self, name: str) -> IO[bytes]:
        file = self._logs / f"{name}.log"
        if file.exists():
            file.replace(file.with_suffix(".previous.log"))
        return file.open("wb")

    def _end_of_log(self, name: str) -> str:
        file = self._logs / f"{name}.log"
        return f"the end of {file} says:\n{last_lines(file)}"

"""The instants of a stage at which something may happen to it: before each statement, inside COPY, around the commit.

Counted in the driver's sessions, which the environment of a stage hands out; nothing in the product knows of it. What
follows a statement at once is the instant before the next one: in between, nothing reaches the server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from pyelt_provider.execution.environment import Environment, HookContext, LocalEnvironment, SourceDatabase
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.pipe import Hook
from pyelt_provider.planning.run import Run


@dataclass
class Instants:
    """Counts instants from 1, and acts when the one with the number `at` has come; 0 only counts."""

    at: int = 0
    act: Callable[[str], None] = print
    count: int = 0
    seen: list[str] = field(default_factory=list)

    def come(self, what: str) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # the thread that sends a source's rows has no order in time with the one that takes them
        self.count += 1
        self.seen.append(what)
        if self.count == self.at:
            self.act(f"instant {self.count}, {what}")


class WatchedEnvironment:
    """The command line's environment, whose sessions tell their instants."""

    def __init__(self, instants: Instants, inner: Environment | None = None) -> None:
        self._instants = instants
        self._inner = inner or LocalEnvironment()

    def warehouse(self, ref: ConnectionRef) -> Mapping[str, Any]:
        return {**self._inner.warehouse(ref), "connection_factory": session_class(self._instants, "warehouse")}

    def source_database(self, ref: ConnectionRef) -> SourceDatabase:
        url = self._inner._url(ref)  # type: ignore[attr-defined]
        factory = session_class(self._instants, "source")
        return SourceDatabase("postgresql", lambda: psycopg2.connect(url, connection_factory=factory))

    def open_file(self, path: str, conn_id: str | None) -> BinaryIO:
        self._instants.come(f"before opening {Path(path).name}")
        return self._inner.open_file(path, conn_id)

    def render(self, text: str, run: Run) -> str:
        return self._inner.render(text, run)

    def hook(self, hook: Hook, project_folder: str) -> Callable[[HookContext], None]:
        return self._inner.hook(hook, project_folder)


def session_class(instants: Instants, whose: str) -> type[Connection]:
    """Return a class of sessions that tell their instants."""

    class WatchedCursor(Cursor):
        def execute(self, query: Any, parameters: Any = None) -> None:
            text = query.decode() if isinstance(query, bytes) else str(query)
            instants.come(f"before {whose}: {' '.join(text.split())[:90]}")
            super().execute(query, parameters)

        def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
            instants.come(f"before {whose}: {str(sql)[:90]}")
            super().copy_expert(sql, _Blocks(instants, file) if "from stdin" in str(sql) else file, size)

    class WatchedSession(Connection):
        def cursor(self, *arguments: Any, **keywords: Any) -> Any:
            return super().cursor(*arguments, **{"cursor_factory": WatchedCursor, **keywords})

        def commit(self) -> None:
            instants.come(f"just before the commit of {whose}")
            super().commit()
            instants.come(f"just after the commit of {whose}")

    return WatchedSession


class _Blocks:
    """What COPY reads; an instant lies behind each block that was sent."""

    def __init__(self, instants: Instants, file: Any) -> None:
        self._instants, self._file, self._sent = instants, file, 0

    def read(self, size: int = -1) -> Any:
        if self._sent:
            self._instants.come(f"after block {self._sent} of COPY")
        self._sent += 1
        return self._file.read(size)

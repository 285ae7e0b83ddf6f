"""What a stage needs from outside: connections, files, templates and hook functions. Airflow gives one, the CLI another."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.templates import render_template
from pyelt_provider.model.connection import ConnectionRef, masked
from pyelt_provider.model.pipe import PROGRAM_HOOK, Hook, Pipe
from pyelt_provider.planning.run import Run


@dataclass(frozen=True, slots=True)
class SourceDatabase:
    """A source database that can be opened: `dialect` is ``postgresql``, ``sqlite``, ``mysql``, ``mssql`` or ``oracle``.

    `connect` gives a new DB-API connection at each call; the caller closes it.
    """

    dialect: str
    connect: Callable[[], Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookContext:
    """What a hook function gets: its pipe, the task's own connection (inside its transaction) and the run."""

    pipe: Pipe
    connection: Any
    run: Run


class Environment(Protocol):
    """The outside of a stage. Implementations raise PyeltError with a clear text and no secret in it."""

    def warehouse(self, ref: ConnectionRef) -> Mapping[str, Any]:
        """Return the keyword arguments with which psycopg2 connects to the warehouse."""

    def source_database(self, ref: ConnectionRef) -> SourceDatabase:
        """Return the source database behind a connection id or URL."""

    def open_file(self, path: str, conn_id: str | None) -> BinaryIO:
        """Open a delivered file for reading bytes; raises FileNotFoundError when it is not there."""

    def render(self, text: str, run: Run) -> str:
        """Return a path or query with its template places filled for this run."""

    def hook(self, hook: Hook, project_folder: str) -> Callable[[HookContext], None]:
        """Return the Python function that a hook names."""


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """The environment of the command line: URLs, ``AIRFLOW_CONN_<ID>`` variables, local files, the usual template names.

    A connection id without such a variable is looked up in Airflow, when Airflow is installed and has it: that is slower.
    """

    lookup: Callable[[str], str] | None = None

    def warehouse(self, ref: ConnectionRef) -> Mapping[str, Any]:
        return postgres_arguments(self._url(ref), ref)

    def source_database(self, ref: ConnectionRef) -> SourceDatabase:
        url = self._url(ref)
        parts, _ = url_parts(url, ref)
        dialect = parts.scheme.split("+")[0].replace("postgres", "postgresql").replace("postgresqlql", "postgresql")
        if dialect == "postgresql":
            import psycopg2

            arguments = postgres_arguments(url, ref)
            return SourceDatabase("postgresql", lambda: psycopg2.connect(**arguments))
        if dialect == "sqlite":
            import sqlite3

            # Three or four slashes: always an absolute path; it may hold any character.
            path = "/" + unquote(parts.path).lstrip("/")
            return SourceDatabase("sqlite", lambda: sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True))
        raise PyeltError(
            f"the source database {ref} is of kind {dialect!r}, which the command line cannot open by itself; "
            "run the stage in Airflow, whose hooks can"
        )

    def open_file(self, path: str, conn_id: str | None) -> BinaryIO:
        if "://" in path:
            raise PyeltError(
                f"{masked(path)} is in object storage, which only Airflow's hooks can open; run the stage in Airflow"
            )
        return Path(path).open("rb")

    def render(self, text: str, run: Run) -> str:
        return render_template(text, run)

    def hook(self, hook: Hook, project_folder: str) -> Callable[[HookContext], None]:
        return load_hook(hook, project_folder)

    def _url(self, ref: ConnectionRef) -> str:
        if ref.is_url:
            return ref.text
        variable = f"AIRFLOW_CONN_{ref.text.upper()}"
        if url := os.environ.get(variable):
            return url
        if self.lookup is not None:
            return self.lookup(ref.text)
        raise PyeltError(
            f"the connection {ref.text!r} is not known here; set the environment variable {variable} to its URL "
            "(postgresql://user:password@host:port/database), or write a URL in the config"
        )


def postgres_arguments(url: str, ref: ConnectionRef) -> Mapping[str, Any]:
    """Return psycopg2's connection arguments for a postgresql:// URL; raises PyeltError when it is none."""
    parts, port = url_parts(url, ref)
    if parts.scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise PyeltError(f"the connection {ref} is of kind {parts.scheme!r}; the warehouse is a postgresql:// database")
    arguments: dict[str, Any] = {
        "host": unquote(parts.hostname) if parts.hostname else None,
        "port": port,
        "user": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "dbname": unquote(parts.path.lstrip("/")) or None,
    }
    for pair in filter(None, parts.query.split("&")):
        name, _, value = pair.partition("=")
        if name != "__extra__":
            arguments[name] = unquote(value)
    return {name: value for name, value in arguments.items() if value is not None}


def url_parts(url: str, ref: ConnectionRef) -> tuple[SplitResult, int | None]:
    """Return the parts of a connection's URL and its port; raises PyeltError, without the URL, when it cannot be read.

    A password with a ``/``, ``?`` or ``#`` in it ends the host too early, and Python's own error would show its beginning.
    """
    try:
        parts = urlsplit(url)
        if parts.netloc and "@" in url.partition("://")[2][len(parts.netloc) :]:
            raise ValueError("what stands before this @ belongs to the password, not to the host")
        return parts, parts.port
    except ValueError:
        raise PyeltError(
            f"the URL of the connection {ref} cannot be read: its host or port is none; write signs such as / @ # ? in "
            "its user and password as %2F %40 %23 %3F"
        ) from None


def load_hook(hook: Hook, project_folder: str) -> Callable[[HookContext], None]:
    """Import the function that a hook names: ``file.py:function`` below the project, or ``package.module:function``.

    A hook that a program registered is found by loading the program; it is called as PyELT did, with its pipe.
    """
    if hook.target.startswith(PROGRAM_HOOK):
        from pyelt_provider.execution.program_hooks import program_hook

        return program_hook(hook, project_folder)
    module_text, _, function_name = hook.target.partition(":")
    if module_text.endswith(".py"):
        path = Path(project_folder) / module_text
        name = f"pyelt_project_hooks_{abs(hash(str(path.resolve())))}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise PyeltError(f"{hook.place}: hook {hook.target}: there is no file {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(module_text)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise PyeltError(f"{hook.place}: hook {hook.target}: {module_text} has no function {function_name!r}")
    return function  # type: ignore[no-any-return]

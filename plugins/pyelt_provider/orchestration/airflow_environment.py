"""The outside of a stage in Airflow: its connections, its object storage, its template context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import (
    HookContext,
    LocalEnvironment,
    SourceDatabase,
    load_hook,
    postgres_arguments,
)
from pyelt_provider.execution.templates import template_names
from pyelt_provider.model.connection import ConnectionRef, masked
from pyelt_provider.model.pipe import Hook
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.run import Run

if TYPE_CHECKING:
    from airflow.sdk import Connection

POSTGRES = ("postgres", "postgresql")

DIALECTS = {"mysql": "mysql", "mariadb": "mysql", "mssql": "mssql", "odbc": "mssql", "oracle": "oracle"}
"""Airflow's connection types, and the dialect that their databases speak."""

# fmt: off
POSTGRES_EXTRAS = frozenset({
    "hostaddr", "passfile", "require_auth", "channel_binding", "connect_timeout", "client_encoding", "options",
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "gssencmode",
    "gsslib", "krbsrvname", "sslmode", "sslnegotiation", "sslcert", "sslkey", "sslpassword", "sslcertmode",
    "sslrootcert", "sslcrl", "sslcrldir", "sslcompression", "sslsni", "ssl_min_protocol_version",
    "ssl_max_protocol_version", "service", "target_session_attrs", "load_balance_hosts",
})
# fmt: on
"""What a connection's extra may say to libpq; Airflow keeps other things there too."""


@dataclass(frozen=True, slots=True)
class AirflowEnvironment:
    """Connections by Airflow's conn ids (or URLs), files by paths or object storage URLs, templates with Airflow's names."""

    context: Mapping[str, Any] = field(repr=False)

    def warehouse(self, ref: ConnectionRef) -> Mapping[str, Any]:
        return _postgres(ref)

    def source_database(self, ref: ConnectionRef) -> SourceDatabase:
        kind = urlsplit(ref.text).scheme.split("+")[0] if ref.is_url else airflow_connection(ref).conn_type
        if kind in POSTGRES:
            import psycopg2

            arguments = _postgres(ref)
            return SourceDatabase("postgresql", lambda: psycopg2.connect(**arguments))
        if kind == "sqlite":
            if ref.is_url:
                return LocalEnvironment().source_database(ref)
            connection = airflow_connection(ref)
            path = connection.host or connection.schema or ""
            return LocalEnvironment().source_database(ConnectionRef(f"sqlite:///{quote(path)}"))
        return SourceDatabase(DIALECTS.get(str(kind), str(kind)), _db_api_connect(ref))

    def open_file(self, path: str, conn_id: str | None) -> BinaryIO:
        if "://" not in path and conn_id is None:
            return Path(path).open("rb")
        from airflow.sdk import ObjectStoragePath

        return cast(BinaryIO, ObjectStoragePath(path, conn_id=conn_id).open("rb"))  # type: ignore[no-untyped-call]

    def render(self, text: str, run: Run) -> str:
        if "{{" not in text and "{%" not in text:
            return text
        from jinja2 import TemplateError

        # Runs without a logical date have no ds and no interval in Airflow's context; ours are the run's start.
        names = {**template_names(run), **self.context}
        try:
            return str(self.context["dag"].get_template_env(force_sandboxed=True).from_string(text).render(names))
        except (TemplateError, TypeError, ValueError) as error:
            raise PyeltError(
                f"the template {masked(text)!r} cannot be filled: {masked(str(error))}; see the names in the configuration docs"
            ) from None

    def hook(self, hook: Hook, project_folder: str) -> Callable[[HookContext], None]:
        return load_hook(hook, project_folder)


def airflow_connection(ref: ConnectionRef) -> Connection:
    """Return Airflow's connection of that id, or one made of a URL; raises PyeltError when Airflow has none."""
    from airflow.sdk import BaseHook, Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    if ref.is_url:
        return Connection.from_uri(ref.text, conn_id="pyelt")
    try:
        return BaseHook.get_connection(ref.text)
    except AirflowNotFoundException:
        raise PyeltError(
            f"Airflow has no connection {ref.text!r}; add it (Admin, Connections; or the environment variable "
            f"AIRFLOW_CONN_{ref.text.upper()})"
        ) from None


def mask_passwords(pipeline: Pipeline) -> None:
    """Tell Airflow the passwords that stand in the project's URLs, so that no log, XCom or error page shows them."""
    from airflow.sdk.log import mask_secret

    for secret in sorted(pipeline.secrets):
        mask_secret(secret)


def _postgres(ref: ConnectionRef) -> Mapping[str, Any]:
    if ref.is_url:
        return postgres_arguments(ref.text, ref)
    connection = airflow_connection(ref)
    if connection.conn_type not in POSTGRES:
        raise PyeltError(
            f"Airflow's connection {ref} is of type {connection.conn_type!r}; a PostgreSQL database is asked for here"
        )
    extra = connection.extra_dejson
    login, password, port = connection.login, connection.password, connection.port
    if extra.get("iam"):
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        login, password, port = PostgresHook(postgres_conn_id=ref.text).get_iam_token(connection)
    arguments = {
        "host": connection.host,
        "port": port,
        "user": login,
        "password": password,
        "dbname": connection.schema,
    }
    arguments |= {name: value for name, value in extra.items() if name in POSTGRES_EXTRAS}
    return {name: value for name, value in arguments.items() if value not in (None, "")}


def _db_api_connect(ref: ConnectionRef) -> Callable[[], Any]:
    def connect() -> Any:
        connection = airflow_connection(ref)
        try:
            # A URL's hook must not ask Airflow for a conn id that it does not have.
            hook = connection.get_hook(hook_params={"connection": connection} if ref.is_url else None)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise PyeltError(
                f"Airflow cannot open {ref}, a connection of type {connection.conn_type!r}: {type(error).__name__}; "
                "install the Airflow provider for it"
            ) from None
        return hook.get_conn()

    return connect

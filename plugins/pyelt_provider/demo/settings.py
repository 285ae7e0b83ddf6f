"""What the demo remembers from one start to the next: its port, its login, and the keys that Airflow encrypts with."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pyelt_provider.demo.failure import DemoError

HOST = "127.0.0.1"
FAVOURITE_PORT = 8080
USER = "admin"


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """One demo's web port and secrets; none of them is ever printed but the login."""

    port: int
    password: str
    jwt_secret: str
    secret_key: str
    fernet_key: str

    @property
    def address(self) -> str:
        """The web UI's address without a slash at its end."""
        return f"http://{HOST}:{self.port}"


def load_settings(file: Path, wanted_port: int | None) -> DemoSettings:
    """Return the remembered settings, made at the first call, with a port that is free now.

    The wanted port wins, and is an error when it is taken; else the remembered one is kept while nobody has taken it.
    The file can be read by its owner only.
    """
    settings = DemoSettings(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else _new_settings()
    settings = replace(settings, port=_choose_port(wanted_port, settings.port))
    write_secret(file, json.dumps(asdict(settings)))
    return settings


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner can read; a reader sees the old content or the new, whole."""
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    partial.replace(file)


def _new_settings() -> DemoSettings:
    return DemoSettings(
        port=FAVOURITE_PORT,
        password=secrets.token_urlsafe(12),
        jwt_secret=secrets.token_hex(64),
        secret_key=secrets.token_hex(32),
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    )


def _choose_port(wanted: int | None, remembered: int) -> int:
    if wanted is not None:
        if not _is_free(wanted):
            raise DemoError(
                f"port {wanted} of {HOST} is taken by another program; choose another with PYELT_DEMO_PORT or --port"
            )
        return wanted
    if _is_free(remembered):
        return remembered
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True

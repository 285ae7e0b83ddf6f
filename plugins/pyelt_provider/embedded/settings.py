"""How the server is set up: its configuration file, and the small file in which port and password are remembered."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

USER = "pyelt"
HOST = "127.0.0.1"

DEMO_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    # No replica will ever read this server's log: bulk loads of a new table then need no log records of their rows.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "100",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d %a ",
    "lc_messages": "C",
}
"""One machine which does everything, and whose data can be loaded again; fsync stays on."""

SMALL_SHARED_MEMORY = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """What a server needs to know from one start to the next: the password of its user, and its last port."""

    password: str
    port: int

    def with_port(self, port: int) -> Memory:
        """Return the same memory with another port."""
        return replace(self, port=port)


def recall(file: Path) -> Memory | None:
    """Return what `remember` wrote; None when there is no such file."""
    if not file.exists():
        return None
    return Memory(**json.loads(file.read_text(encoding="utf-8")))


def remember(file: Path, memory: Memory) -> None:
    """Write the memory to a file that only its owner can read; a reader sees the old content or the new, whole."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        json.dump(asdict(memory), output)
    partial.replace(file)


def new_password() -> str:
    """Return a password which needs no escaping in a URL."""
    return secrets.token_urlsafe(24)


def configuration(port: int, extra: Mapping[str, str]) -> str:
    """Return the text of the configuration file: the demo's settings, those of the caller, and the address.

    There is no Unix socket at all: its path would have to stay below 108 bytes and its lock file outlives a kill -9.
    """
    settings = {
        **DEMO_SETTINGS,
        **_shared_memory(),
        **extra,
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
    }
    return "".join(f"{name} = '{_escaped(value)}'\n" for name, value in settings.items())


def _shared_memory() -> dict[str, str]:
    # Containers often have 64 MB in /dev/shm, which one parallel hash join can fill.
    folder = Path("/dev/shm")
    if folder.is_dir() and shutil.disk_usage(folder).total >= SMALL_SHARED_MEMORY:
        return {}
    return {"dynamic_shared_memory_type": "mmap"}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")

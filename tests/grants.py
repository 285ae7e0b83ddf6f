"""The roles that tests load and read with: what docs/operations.md says under "Grants", executed as it stands there."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"
LOADER, READER = "loader", "reader"


def statements(first: str) -> list[str]:
    """Return the statements of the section's block that begins with these words."""
    section = OPERATIONS.read_text(encoding="utf-8").split("\n## Grants\n")[1].split("\n## ")[0]
    (block,) = [block for block in re.findall(r"```sql\n(.*?)```", section, re.DOTALL) if block.startswith(first)]
    return [line.removesuffix(";") for line in block.splitlines()]


def grant_loading(superuser_url: str) -> str:
    """Give the role `loader` what the docs give it on the database of this URL; returns the loader's URL."""
    return _grant(superuser_url, LOADER, "warehouse", statements("create role loader"))


def grant_reading(superuser_url: str, schema: str = "public") -> str:
    """Give the role `reader` what the docs give it on a schema of this URL's database, and nothing else; returns its URL."""
    lines = ["revoke all on database source from public", *statements("create role reader")]
    return _grant(
        superuser_url, READER, "source", [line.replace("schema public", f"schema {schema}") for line in lines]
    )


def _grant(superuser_url: str, role: str, said: str, lines: list[str]) -> str:
    database = urlsplit(superuser_url).path.lstrip("/")
    with contextlib.closing(psycopg2.connect(superuser_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            if connection.server_version >= 160000:
                # Half of the time that a session takes to begin makes passwords hard to guess, which this one need not be.
                cursor.execute("set scram_iterations = 1")
            for line in lines:
                if not line.startswith("create role") or not _exists(cursor, role):
                    # Another process of the tests may make the role at the same moment.
                    with contextlib.suppress(psycopg2.errors.DuplicateObject, psycopg2.errors.UniqueViolation):
                        cursor.execute(line.replace(f"database {said}", f'database "{database}"'))
    return _url(superuser_url, role, lines)


def _exists(cursor: Any, role: str) -> bool:
    cursor.execute("select 1 from pg_roles where rolname = %s", (role,))
    return cursor.fetchone() is not None


def _url(superuser_url: str, role: str, lines: list[str]) -> str:
    password = next(match[1] for line in lines if (match := re.search("password '(.*)'", line)))
    parts = urlsplit(superuser_url)
    return parts._replace(netloc=f"{role}:{quote(password)}@{parts.hostname}:{parts.port}").geturl()

"""Texts that name a database: an Airflow connection id, or a URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.spots import Cursor


def check_connection(text: str, cursor: Cursor, scheme: str = "") -> None:
    """Report a text that is neither a connection id nor a URL (of the scheme); the text itself is not shown."""
    if text == MISSING:
        return
    if "://" not in text:
        if not re.fullmatch(r"[\w.\-]+", text):
            cursor.wrong(
                "this is neither a connection id nor a URL", "such as dwh, or postgresql://user:password@host/db"
            )
        return
    try:
        _ = urlsplit(text).port
    except ValueError:
        cursor.wrong(
            "this URL cannot be read: its host or port is none",
            f"write {scheme or 'kind'}://user:password@host:port/db",
        )
        return
    if scheme and not text.startswith((f"{scheme}://", f"{scheme}+", "postgres://")):
        cursor.wrong(
            f"this is the URL of another kind of database than {scheme}", f"write {scheme}://user:password@host/db"
        )

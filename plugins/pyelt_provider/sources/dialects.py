"""How source databases differ where we have to know it: quoting of names, placeholders, cursors that stream."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from pyelt_provider.identifiers import checked


def source_name(name: str, dialect: str) -> str:
    """Return a table or column name quoted for the source database.

    Oracle keeps names that nobody quoted in upper case, so there a name in lower case means the one in upper case.
    """
    checked(name)
    match dialect:
        case "mysql":
            return "`" + name.replace("`", "``") + "`"
        case "mssql":
            return "[" + name.replace("]", "]]") + "]"
        case "oracle":
            upper = name.upper() if name == name.lower() else name
            return '"' + upper.replace('"', '""') + '"'
        case _:
            return '"' + name.replace('"', '""') + '"'


def placeholder(connection: Any, name: str) -> str:
    """Return the driver's place for one bind parameter; see `bound` for the parameters themselves."""
    match _paramstyle(connection):
        case "qmark":
            return "?"
        case "numeric":
            return ":1"
        case "named":
            return f":{name}"
        case "pyformat" | "format" | _:
            return "%s"


def bound(connection: Any, name: str, value: object) -> Any:
    """Return one bind parameter in the shape that the driver wants."""
    return {name: value} if _paramstyle(connection) == "named" else (value,)


def doubles_percent(connection: Any) -> bool:
    """Return True when a % in a statement with parameters has to stand doubled."""
    return _paramstyle(connection) in ("format", "pyformat")


def streaming_cursor(connection: Any) -> Any:
    """Return a cursor that does not pull the whole result into memory: MySQL's drivers have a class of their own for it."""
    package = _driver(connection)
    if package in ("MySQLdb", "pymysql"):
        return connection.cursor(importlib.import_module(f"{package}.cursors").SSCursor)
    return connection.cursor()


def _driver(connection: Any) -> str:
    return type(connection).__module__.partition(".")[0]


def _paramstyle(connection: Any) -> str:
    return str(getattr(sys.modules.get(_driver(connection)), "paramstyle", "qmark"))

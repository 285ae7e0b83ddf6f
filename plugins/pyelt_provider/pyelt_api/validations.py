"""``pyelt.mappings.validations``: which rows of staging, or of the vault, are invalid."""

from __future__ import annotations

from typing import Any

from pyelt_provider.pyelt_api.columns import Column, Condition, SqlSnippet
from pyelt_provider.pyelt_api.tables import Table
from pyelt_provider.pyelt_api.written import here


class Validation:
    """Rows for which `sql_condition` holds are invalid, and say `msg`."""

    class Operators:
        """The operators of set_condition."""

        equals = "="
        not_equals = "!="
        gt = ">"
        lt = "<"
        like = "like"
        not_like = "not like"

    def __init__(self, tbl: Any = None, schema: Any = None) -> None:
        self.tbl = Table(tbl, schema) if isinstance(tbl, str) else tbl
        self.schema = schema
        self.table: Any = None
        self.tables: set[Any] = set()
        self.msg = ""
        self.sql_condition = ""
        self.place = here()

    def __str__(self) -> str:
        return self.sql_condition

    def set_condition(self, field: Any, operator: str = "=", sql_value: str = "''") -> None:
        """Set the condition: SQL text, a comparison of columns, or a column with an operator and SQL for the value."""
        match field:
            case Condition():
                self.sql_condition, self.table, self.tables = field.name, field.table, set(field.tables)
            case Column():
                self.sql_condition = f"{field.name} {operator} {sql_value}"
                self.table, self.tables = field.table, {field.table}
            case SqlSnippet():
                self.sql_condition = f"{field.sql} {operator} {sql_value}"
                self.table, self.tables = field.table, {field.table}
            case _:
                self.sql_condition = str(field)


class SorValidation(Validation):
    """Rejects rows of a staging table: those for which the condition holds, or whose keys stand there twice."""

    def __init__(self, tbl: Any = None, schema: Any = None) -> None:
        super().__init__(tbl, schema)
        self.check_for_duplicate_keys: list[str] = []

    def set_check_for_duplicate_keys(self, keys: str | list[str]) -> None:
        """Reject rows whose values in these columns are not unique."""
        self.check_for_duplicate_keys = [keys] if isinstance(keys, str) else list(keys)

    def get_keys(self) -> str:
        return ",".join(self.check_for_duplicate_keys)


class DvValidation(Validation):
    """Marks rows of a hub, satellite or link as invalid."""

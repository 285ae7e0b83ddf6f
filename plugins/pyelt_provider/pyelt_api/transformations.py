"""``pyelt.mappings.transformations``: a field that goes through steps of SQL, each around the one before."""

from __future__ import annotations

import re


class FieldTransformStep:
    """One step: SQL in which ``{fld}`` stands for what the step before gave."""

    def __init__(self, sortorder: int = 0, name: str = "", sql: str = "") -> None:
        self.name = name
        self.sql = sql
        self.sort_order = sortorder

    def get_sql(self, alias: str = "") -> str:
        return self.sql


class FieldTransformation:
    """SQL made of steps; `field_name` is the column that goes into the first one."""

    def __init__(self, name: str = "", sql: str = "") -> None:
        self.name = name
        self.field_name = "id"
        self.table = ""
        self.descr = ""
        self.filter = ""
        self.steps: dict[int, FieldTransformStep] = {}
        if sql:
            self.new_step(sql)

    def get_table(self) -> object:
        return self.table

    def new_step(self, sql: str) -> FieldTransformStep:
        """Add a step. ``{fld}``, ``{step<n>}`` or the field's own name is where the result so far goes."""
        step = FieldTransformStep(sortorder=len(self.steps) + 1, sql=sql)
        self.steps[step.sort_order] = step
        return step

    def get_sql(self, alias: str = "") -> str:
        """Return the whole expression."""
        result = f"{alias}.{self.field_name}" if alias else self.field_name
        own_name = re.compile(rf"(?<![\w.'\"]){re.escape(self.field_name)}(?![\w'\"(])")
        for number, step in enumerate(sorted(self.steps.values(), key=lambda item: item.sort_order)):
            sql = own_name.sub("{fld}", step.get_sql(alias)) if self.field_name else step.get_sql(alias)
            place = "{fld}" if "{fld}" in sql else f"{{step{number}}}"
            result = sql.replace(place, result)
        return result

    def __repr__(self) -> str:
        return self.get_sql("")

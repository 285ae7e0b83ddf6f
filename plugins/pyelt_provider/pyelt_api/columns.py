"""``pyelt.datalayers.database``: columns of domain classes, and the SQL conditions that comparing them gives."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pyelt_provider.pyelt_api.written import here


def literal(value: Any) -> str:
    """Return a Python value as an SQL literal; a column is its name, and text is quoted whatever it holds."""
    match value:
        case None:
            return "NULL"
        case Column():
            return value.name
        case SqlSnippet():
            return value.sql
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case datetime.datetime():
            return f"'{value.isoformat(sep=' ')}'"
        case datetime.date() | datetime.time():
            return f"'{value.isoformat()}'"
        case _:
            text = str(value).replace("'", "''")
            return f"'{text}'"


class Condition:
    """An SQL condition; its text is in `name`, the class of the table that it is about in `table`.

    Conditions are put together by ``&``, ``|`` and ``~``.
    """

    def __init__(self, field_name: str = "", operator: str = "", value: Any = None, table: Any = None) -> None:
        self.table = table
        self.tables = {table} if table is not None else set()
        self.name = _condition(field_name, operator, value) if operator else field_name
        if isinstance(value, Column) and value.table is not None:
            self.tables.add(value.table)

    def _joined(self, word: str, other: Condition | str) -> Condition:
        name = other.name if isinstance(other, Condition) else str(other)
        both = Condition(f"({self.name} {word} {name})", table=self.table)
        both.tables = self.tables | (other.tables if isinstance(other, Condition) else set())
        return both

    def __and__(self, other: Condition | str) -> Condition:
        return self._joined("AND", other)

    def __or__(self, other: Condition | str) -> Condition:
        return self._joined("OR", other)

    def __invert__(self) -> Condition:
        inverted = Condition(f"(NOT {self.name})", table=self.table)
        inverted.tables = set(self.tables)
        return inverted

    def __str__(self) -> str:
        return self.name

    def get_table(self) -> Any:
        return self.table


def _condition(field_name: str, operator: str, value: Any) -> str:
    if value is None and operator in ("=", "!="):
        return f"{field_name} IS {'NOT ' if operator == '!=' else ''}NULL"
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        if not items:
            return "false"
        return f"{field_name} {operator} ({', '.join(map(literal, items))})"
    return f"{field_name} {operator} {literal(value)}"


class SqlSnippet:
    """A piece of SQL made of columns, to be mapped or compared; its text is in `sql`."""

    def __init__(self, sql: str = "", table: Any = None) -> None:
        self.sql = sql
        self.table = table

    def get_table(self) -> Any:
        return self.table

    def __str__(self) -> str:
        return self.sql


class Column:
    """A column; comparing it (``==``, ``>=``, ``is_in``, ``between``) gives a Condition, not a truth value."""

    def __init__(
        self,
        name: str,
        type: str = "text",  # noqa: A002 - PyELT's name
        tbl: Any = None,
        default_value: Any = "",
        pk: bool = False,
        unique: bool = False,
        indexed: bool = False,
        nullable: bool = True,
        fhir_name: str = "",
    ) -> None:
        self.name = name.strip().lower()
        self.type = type.strip() if isinstance(type, str) else ("integer" if type == 23 else "text")
        self.length = ""
        self.table = tbl
        self.is_key = pk
        self.is_unique = unique
        self.is_indexed = indexed
        self.nullable = nullable
        self.default_value = default_value
        self.fhir_name = fhir_name
        self.place = here()

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{self.name} ({self.type.lower()})"

    @staticmethod
    def clear_name(name: str) -> str:
        """Return the column name that a text of a file's header stands for."""
        return re.sub(r"[ /]", "_", re.sub(r'[()?\-,.:"]', "", name)).lower()

    def get_table(self) -> Any:
        return self.table

    __hash__ = object.__hash__

    def __eq__(self, other: Any) -> Condition:  # type: ignore[override]
        return Condition(self.name, "=", other, table=self.table)

    def __ne__(self, other: Any) -> Condition:  # type: ignore[override]
        return Condition(self.name, "!=", other, table=self.table)

    def __gt__(self, other: Any) -> Condition:
        return Condition(self.name, ">", other, table=self.table)

    def __ge__(self, other: Any) -> Condition:
        return Condition(self.name, ">=", other, table=self.table)

    def __lt__(self, other: Any) -> Condition:
        return Condition(self.name, "<", other, table=self.table)

    def __le__(self, other: Any) -> Condition:
        return Condition(self.name, "<=", other, table=self.table)

    def is_in(self, item: Iterable[Any]) -> Condition:
        """Return the condition that the column is one of the values."""
        return Condition(self.name, "in", item if isinstance(item, SqlSnippet) else list(item), table=self.table)

    def between(self, item1: Any, item2: Any) -> Condition:
        """Return the condition that the column lies between the two values, both included."""
        return Condition(f"{self.name} between {literal(item1)} AND {literal(item2)}", table=self.table)

    def join(self, item: Any) -> SqlSnippet:
        """Return the column and the others put together as one text."""
        others = list(item) if isinstance(item, list | tuple) else [item]
        return SqlSnippet("||".join([self.name, *map(str, others)]), table=self.table)


class FkReference:
    """A foreign key of one table class to another."""

    def __init__(self, ref_cls: Any, fk_col: Column | None = None) -> None:
        self.ref_table = ref_cls
        self.fk = fk_col.name if fk_col is not None else ""
        self.place = here()

    def set_fk_name(self, fk: str) -> None:
        if not self.fk:
            self.fk = fk


def _kind(name: str, column_type: str) -> Any:
    def create(
        self: Column,
        name: str = "",
        default_value: Any = "",
        pk: bool = False,
        unique: bool = False,
        indexed: bool = False,
        nullable: bool = True,
        fhir_name: str = "",
    ) -> None:
        Column.__init__(self, name, column_type, None, default_value, pk, unique, indexed, nullable, fhir_name)

    return type(
        name, (Column,), {"__init__": create, "__hash__": object.__hash__, "__doc__": f"A {column_type} column."}
    )


class _RefColumn(Column):
    """A column of codes; `valueset_name` is the list that describes them."""

    def __init__(
        self,
        valueset_name: str,
        name: str = "",
        default_value: Any = "",
        nullable: bool = True,
        fhir_name: str = "",
    ) -> None:
        super().__init__(name, "text", None, default_value, False, False, True, nullable, fhir_name)
        self.valueset_name = valueset_name


class _SerialColumn(Column):
    """A column that numbers itself."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name, "SERIAL", pk=True)


class _JsonColumn(Column):
    """A jsonb column: all fields that are mapped onto it become one object."""

    def __init__(self, name: str = "", default_value: Any = None, fhir_name: str = "") -> None:
        super().__init__(name, "jsonb", None, default_value or "", fhir_name=fhir_name)


class Columns:
    """The kinds of columns, by the names that domain modules use."""

    TextColumn = _kind("TextColumn", "text")
    TextArrayColumn = _kind("TextArrayColumn", "text")
    DateTimeColumn = _kind("DateTimeColumn", "timestamp")
    DateColumn = _kind("DateColumn", "date")
    IntColumn = _kind("IntColumn", "integer")
    FloatColumn = _kind("FloatColumn", "numeric")
    BoolColumn = _kind("BoolColumn", "bool")
    RefColumn = _RefColumn
    SerialColumn = _SerialColumn
    JsonColumn = _JsonColumn

    class FHIR:
        """Columns for FHIR's types, kept as text."""

        PeriodColumn = _kind("PeriodColumn", "text")
        CodingColumn = _kind("CodingColumn", "text")
        CodeableConceptColumn = _kind("CodeableConceptColumn", "text")

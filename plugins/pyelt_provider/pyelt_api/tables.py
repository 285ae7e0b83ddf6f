"""``pyelt.datalayers.database`` and ``.sor``: databases, schemas, tables by name, and database functions."""

from __future__ import annotations

import re
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.names import camelcase_to_underscores
from pyelt_provider.pyelt_api.written import here


class Schema:
    """A schema of a database, by name."""

    def __init__(self, name: str, db: Any = None) -> None:
        self.name = name
        self.db = db
        self.tables: dict[str, Any] = {}
        self.views: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.is_reflected = False
        self.version = 1.0

    def __str__(self) -> str:
        return self.name

    def __contains__(self, item: str) -> bool:
        return item in self.tables or item in self.views or item in self.functions

    def reflect(self) -> None:
        """Do nothing: what the database has is looked up by the stages that need it."""


class Database:
    """A database by its connection text; nothing is opened."""

    def __init__(self, conn_string: str = "", default_schema: str = "public") -> None:
        self.conn_string = conn_string
        self.name = conn_string.split("/")[-1]
        self.default_schema = Schema(default_schema, self)
        self.driver = conn_string.split(":", 1)[0].split("+")[0]
        self.reflected_schemas: dict[str, Schema] = {}

    @property
    def engine(self) -> Any:
        raise PyeltError(
            "the project asks for a database's engine while it is loaded; loading opens no database: do it in a function "
            "that is registered with register_run_after_sor, whose pipe has pipeline.dwh.execute"
        )


class Table:
    """A table by name; its columns are looked up when a stage needs them, never when a project is loaded."""

    def __init__(self, name: str, schema: Any = None, db: Any = None) -> None:
        self.name = name
        self.schema = schema
        self.db = db if db is not None else getattr(schema, "db", None)
        self.key_names: list[str] = []
        self.columns: list[Column] = []
        self.indexes: dict[str, Any] = {}
        self.constraints: dict[str, Any] = {}
        self.is_reflected = False
        self.type: Any = ""
        self.place = here()

    def __str__(self) -> str:
        return self.name

    def set_primary_key(self, key_names: list[str] | None = None) -> None:
        """Say which columns identify a row."""
        self.key_names = [key.lower() for key in key_names or []]

    def primary_keys(self) -> list[str]:
        return self.key_names

    def field_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def reflect(self) -> None:
        """Do nothing: the columns are looked up by the ddl_sor stage of a run."""
        self.is_reflected = True


class View(Table):
    """A view by name."""

    def __init__(self, name: str, schema: Any = None, db: Any = None) -> None:
        super().__init__(name, schema, db)
        self.sql = ""


class SorTable(Table):
    """A staging table by name."""


class SorQuery(Table):
    """A query over staging tables that a mapping reads."""

    def __init__(self, sql: str, schema: Any = None, name: str = "") -> None:
        super().__init__(name, schema)
        self.sql = sql
        self.main_table = ""

    def get_main_table(self) -> str:
        """Return the first table behind FROM, without its schema."""
        if not self.main_table:
            found = re.search(r"\bfrom\s+([\w.\"]+)", self.sql, re.IGNORECASE)
            self.main_table = found.group(1).replace('"', "").rpartition(".")[2].lower() if found else ""
            self.name = self.name or self.main_table
        return self.main_table

    def __str__(self) -> str:
        return self.name or "query"


class DbFunctionParameter:
    """A parameter of a database function, and the column that a mapping calls it with."""

    def __init__(self, name: str = "", type: str = "", calling_field: str = "") -> None:  # noqa: A002 - PyELT's name
        self.name = name
        self.type = type
        self.calling_field = calling_field


class DbFunction:
    """A database function: subclasses fill `func_params`, `sql_body`, `return_type`, `schema` and `lang`."""

    def __init__(self, *args: DbFunctionParameter) -> None:
        self.name = camelcase_to_underscores(type(self).__name__)
        self.func_params: list[DbFunctionParameter] = list(args)
        self.sql_body = ""
        self.return_type = ""
        self.schema: Any = None
        self.lang = "PLPGSQL"
        self.volatility = "VOLATILE"
        self.place = here()

    @property
    def schema_name(self) -> str:
        """The name of the schema, which projects give as a text or as a Schema."""
        return str(getattr(self.schema, "name", self.schema) or "")

    def get_complete_name(self) -> str:
        arguments = ", ".join(f"{parameter.name} {parameter.type}" for parameter in self.func_params)
        return f"{self.schema_name}.{self.name}({arguments})"

    def to_create_sql(self) -> str:
        """Return the statement that makes the function."""
        quote = "$BODY$" if "$BODY$" not in self.sql_body else "$PYELT_BODY$"
        return (
            f"CREATE OR REPLACE FUNCTION {self.get_complete_name()}\n    RETURNS {self.return_type}\nAS {quote}\n"
            f"{self.sql_body.strip()}\n{quote}\nLANGUAGE {self.lang} {self.volatility}"
        )

    def get_sql(self, alias: str = "") -> str:
        """Return the call of the function as SQL, its columns behind the alias when one is given."""
        before = f"{alias}." if alias else ""
        fields = ",".join(f"{before}{parameter.calling_field}" for parameter in self.func_params)
        return f"{self.schema_name}.{self.name}({fields})"

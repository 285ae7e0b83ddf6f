"""The statements that make a table, its indexes and its foreign keys."""

from __future__ import annotations

from pyelt_provider.identifiers import quote, quote_all
from pyelt_provider.statements.ddl.tables import ForeignKeySpec, IndexSpec, TableSpec
from pyelt_provider.statements.step import Statement


def create_schema(name: str) -> Statement:
    """Return the statement that makes a schema."""
    return Statement(label=f"create schema {name}", sql=f"create schema if not exists {quote(name)}")


def create_table(spec: TableSpec) -> Statement:
    """Return the statement that makes the table with its primary key and foreign keys, without its indexes."""
    parts = [column.sql for column in spec.columns]
    if spec.primary_key:
        parts.append(f"constraint {quote(spec.primary_key_name)} primary key ({quote_all(spec.primary_key)})")
    parts += [_foreign_key(spec, key) for key in spec.foreign_keys]
    body = ",\n    ".join(parts)
    kind = "unlogged table" if spec.unlogged else "table"
    return Statement(label="create table", table=spec.table, sql=f"create {kind} {spec.table.sql} (\n    {body})")


def create_index(spec: TableSpec, index: IndexSpec) -> Statement:
    """Return the statement that makes one index of a table."""
    name = spec.index_name(index)
    unique = "unique index" if index.unique else "index"
    where = f" where {index.where}" if index.where else ""
    return Statement(
        label=f"create index {name}",
        table=spec.table,
        sql=f"create {unique} {quote(name)} on {spec.table.sql} ({index.parts}){where}",
    )


def create_statements(spec: TableSpec) -> tuple[Statement, ...]:
    """Return all statements that make a table which is not there yet."""
    return (create_table(spec), *(create_index(spec, index) for index in spec.indexes))


def _foreign_key(spec: TableSpec, key: ForeignKeySpec) -> str:
    return (
        f"constraint {quote(spec.foreign_key_name(key))} "
        f"foreign key ({quote(key.column)}) references {key.references.sql} (_id)"
    )


def add_foreign_key(spec: TableSpec, key: ForeignKeySpec) -> Statement:
    """Return the statement that adds a foreign key to a table which is there."""
    return Statement(
        label=f"add foreign key {spec.foreign_key_name(key)}",
        table=spec.table,
        sql=f"alter table {spec.table.sql} add {_foreign_key(spec, key)}",
    )

"""The difference between a table as it is to be and as it is: pure, so that it can be shown before it is done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pyelt_provider.identifiers import TableName, quote, quote_all, text_literal
from pyelt_provider.statements.ddl.catalog import Catalog, FoundIndex, FoundTable
from pyelt_provider.statements.ddl.column_types import canonical_type
from pyelt_provider.statements.ddl.table_creation import add_foreign_key, create_index, create_schema, create_table
from pyelt_provider.statements.ddl.tables import ColumnSpec, ForeignKeySpec, IndexSpec, TableSpec
from pyelt_provider.statements.step import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One statement of DDL.

    When the rows that are there do not allow it (`excused`: the SQLSTATEs that say so), `otherwise` is done in its
    place; without one the change is refused with `refusal`.
    """

    statement: Statement
    excused: tuple[str, ...] = ()
    otherwise: Statement | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be done, and what we do not do ourselves (with the statement that a DBA may run)."""

    todo: tuple[Change, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def ddl(self) -> str:
        """The statements as a script, for people."""
        return "\n".join(f"{change.statement.sql.replace('%%', '%').strip()};" for change in self.todo)


def changes_for(specs: Iterable[TableSpec], catalog: Catalog, spellings: Mapping[str, str] | None = None) -> Changes:
    """Return what makes the tables of the catalogue into those of the specs; nothing in it drops rows or columns.

    `spellings` gives the database's own names of types that are not PostgreSQL's own.
    """
    todo: list[Change] = [Change(statement=create_schema(name)) for name in catalog.missing_schemas]
    refused: list[str] = []
    for spec in specs:
        found = catalog.tables.get(spec.table)
        if found is None:
            todo += [Change(statement=create_table(spec))]
            todo += [Change(statement=create_index(spec, index)) for index in spec.indexes]
        elif found.kind not in ("r", "p"):
            refused.append(
                f"{spec.table} is to be a table, but there is a view or something else of that name; a DBA may run: "
                f"alter view {spec.table.sql} rename to {quote(spec.table.name[:55] + '_old')};"
            )
        else:
            _refuse(spec, found, spellings or {}, refused)
            todo += [*_add_columns(spec, found), *_replace_keys(spec, found)]
            todo += [*_add_indexes(spec, found, refused), *_add_foreign_keys(spec, found)]
        todo += _describe(spec, found)
    return Changes(todo=tuple(todo), refused=tuple(refused))


def unknown_types(specs: Iterable[TableSpec], catalog: Catalog) -> tuple[str, ...]:
    """Return the types of the specs whose columns look different in the catalogue: perhaps only spelled so."""
    different: set[str] = set()
    for spec in specs:
        found = catalog.tables.get(spec.table)
        for column in spec.columns if found else ():
            if found and column.name in found.columns and not _same_type(column, found.columns[column.name].type, {}):
                different.add(column.type)
    return tuple(sorted(different))


# ---------------------------------------------------------------- columns


def _same_type(column: ColumnSpec, found: str, spellings: Mapping[str, str]) -> bool:
    if found in (canonical_type(column.type), spellings.get(column.type)):
        return True
    family = re.sub(r"\(.*\)", "", found)
    return bool(column.accepts) and (found in column.accepts or family in column.accepts)


def _refuse(spec: TableSpec, found: FoundTable, spellings: Mapping[str, str], refused: list[str]) -> None:
    table = spec.table.sql.replace("%%", "%")
    for column in spec.columns:
        there = found.columns.get(column.name)
        if there is not None and not _same_type(column, there.type, spellings):
            name = quote(column.name).replace("%%", "%")
            refused.append(
                f"{spec.table}.{column.name} is {there.type} in the database and {column.type} in the config; "
                f"change the config back, or a DBA may run: "
                f"alter table {table} alter column {name} type {column.type} using {name}::{column.type};"
            )
    for there in found.columns.values():
        if there.name not in spec.column_names and there.not_null and not there.filled:
            name = quote(there.name).replace("%%", "%")
            refused.append(
                f"{spec.table}.{there.name} is not in the config (renamed or removed?) and does not accept null, so "
                f"nothing can be loaded; put it back, or a DBA may run: "
                f"alter table {table} alter column {name} drop not null;"
            )


def _add_columns(spec: TableSpec, found: FoundTable) -> list[Change]:
    missing = [column for column in spec.columns if column.name not in found.columns]
    if not missing:
        return []
    names = ", ".join(column.name for column in missing)
    table = spec.table.sql.replace("%%", "%")
    adds = ",\n    ".join(f"add column {column.sql}" for column in missing)
    loose = ", ".join(f"add column {replace(column, not_null=False).sql}".replace("%%", "%") for column in missing)
    return [
        Change(
            statement=Statement(
                label=f"add columns {names}",
                table=spec.table,
                sql=f"alter table {spec.table.sql}\n    {adds}",
            ),
            excused=("23502",),
            refusal=(
                f"{spec.table} has rows, and nothing says what they have in the new column {names}; "
                f"a DBA may run: alter table {table} {loose}; then fill it and set it not null"
            ),
        )
    ]


def _describe(spec: TableSpec, found: FoundTable | None) -> list[Change]:
    """Comments for what the project describes otherwise than the database; they take no lock that a reader waits for."""
    if found is not None and found.kind not in ("r", "p"):
        return []
    comments = []
    if spec.description and (found is None or found.comment != spec.description):
        comments.append(f"comment on table {spec.table.sql} is {text_literal(spec.description)}")
    for column in spec.columns:
        there = found.columns.get(column.name) if found is not None else None
        if column.description and (there is None or there.comment != column.description):
            name = f"{spec.table.sql}.{quote(column.name)}"
            comments.append(f"comment on column {name} is {text_literal(column.description)}")
    if not comments:
        return []
    return [Change(statement=Statement(label="describe table", table=spec.table, sql=";\n".join(comments)))]


# ---------------------------------------------------------------- keys and indexes

_SOURCE_HINT = (
    " (_source_system is the name of the pipe that goes on with the row; `pyelt repair` fills it in where one pipe fills "
    "the table)"
)


def _replace_keys(spec: TableSpec, found: FoundTable) -> list[Change]:
    # An old PyELT key has no source in it, so two sources, or two revisions of a code, could not stand side by side.
    changes: list[Change] = []
    old = found.primary_key
    outlived = [
        index
        for index in found.indexes
        if spec.replaces_keys
        and index.unique
        and not index.primary
        and not index.where
        and set(index.columns) <= set(spec.column_names)
        and not any(_is(index, spec, wanted) for wanted in spec.indexes)
    ]
    for index in outlived:
        drop = (
            f"alter table {spec.table.sql} drop constraint {quote(index.constraint)}"
            if index.constraint
            else f"drop index {TableName(spec.table.schema, index.name).sql}"
        )
        changes.append(
            Change(statement=Statement(label=f"drop old unique key {index.name}", table=spec.table, sql=drop))
        )
    if spec.primary_key and (old is None or (spec.replaces_keys and set(old.columns) != set(spec.primary_key))):
        drop = f"drop constraint {quote(old.constraint or old.name)}, " if old else ""
        table = spec.table.sql.replace("%%", "%")
        changes.append(
            Change(
                statement=Statement(
                    label="replace the primary key",
                    table=spec.table,
                    sql=f"alter table {spec.table.sql}\n    {drop}"
                    f"add constraint {quote(spec.primary_key_name)} primary key ({quote_all(spec.primary_key)})",
                ),
                excused=("23502", "23505"),
                refusal=(
                    f"the primary key of {spec.table} has to become ({', '.join(spec.primary_key)}), but rows have "
                    f"nulls there or are there twice; look with: select {', '.join(spec.primary_key)}, count(*) "
                    f"from {table} group by {', '.join(map(str, range(1, len(spec.primary_key) + 1)))} "
                    f"having count(*) > 1 or num_nulls({', '.join(spec.primary_key)}) > 0; and fill or remove them"
                    + (_SOURCE_HINT if "_source_system" in spec.primary_key else "")
                ),
            )
        )
    return changes


def _plain(spec: TableSpec, index: IndexSpec) -> IndexSpec:
    """The index that stands in for a unique one where an old table has duplicates."""
    return replace(index, unique=False, role=f"{index.role}_duplicates")


def stand_in(spec: TableSpec, index: IndexSpec) -> str:
    """Return the name of the index that stands in for this unique one while an old table has duplicates."""
    return spec.index_name(_plain(spec, index))


def _normal(where: str | None) -> str:
    return " ".join((where or "").replace("(", " ").replace(")", " ").replace('"', "").lower().split())


def _is(found: FoundIndex, spec: TableSpec, wanted: IndexSpec) -> bool:
    if wanted.expression is not None:
        return found.name == spec.index_name(wanted)
    stands_in = found.name == stand_in(spec, wanted)
    return (
        found.valid
        and found.columns == wanted.columns
        and _normal(found.where) == _normal(wanted.where)
        and (found.unique or not wanted.unique or stands_in)
    )


def _add_indexes(spec: TableSpec, found: FoundTable, refused: list[str]) -> list[Change]:
    changes: list[Change] = []
    for wanted in spec.indexes:
        name = spec.index_name(wanted)
        if any(_is(index, spec, wanted) for index in found.indexes):
            continue
        if any(index.name == name for index in found.indexes):
            unqoted = TableName(spec.table.schema, name).sql.replace("%%", "%")
            refused.append(
                f"index {name} of {spec.table} is to be on ({', '.join(wanted.columns)}), but it is on other columns "
                f"(was the key changed?); change the config back, or a DBA may run: drop index {unqoted};"
            )
            continue
        otherwise = create_index(spec, _plain(spec, wanted)) if wanted.unique else None
        changes.append(
            Change(
                statement=create_index(spec, wanted), excused=("23505",) if wanted.unique else (), otherwise=otherwise
            )
        )
    return changes


def _add_foreign_keys(spec: TableSpec, found: FoundTable) -> list[Change]:
    def is_there(key: ForeignKeySpec) -> bool:
        return any(have.column == key.column and have.references == key.references for have in found.foreign_keys)

    changes = []
    for key in spec.foreign_keys:
        if not is_there(key):
            statement = add_foreign_key(spec, key)
            unchecked = replace(statement, sql=f"{statement.sql} not valid")
            changes.append(Change(statement=statement, excused=("23503",), otherwise=unchecked))
    return changes

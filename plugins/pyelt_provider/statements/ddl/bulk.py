"""How an empty table is loaded in bulk: without indexes and keys, which come back after the rows.

dropped = yield from drop_for_bulk(spec)
... insert the rows ...
yield from restore_after_bulk(dropped)
"""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, quote, quote_all
from pyelt_provider.statements.ddl.table_creation import create_index
from pyelt_provider.statements.ddl.tables import TableSpec
from pyelt_provider.statements.step import Program, Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What `drop_for_bulk` took off a table: the statements that put it back under its own names."""

    spec: TableSpec
    restoring: tuple[Statement, ...]


def drop_for_bulk(spec: TableSpec) -> Routine[Dropped]:
    """Take indexes, keys and foreign keys off a table that is empty and locked by this stage; give what restores them.

    Works with the names that the table really has, so old tables and a DBA's own indexes come back as they were. A
    primary key that foreign keys of other tables point at stays, and so does everything on tables that others own.
    """
    found = yield Statement(
        label="look up keys and indexes",
        table=spec.table,
        fetch=True,
        assumed=_assumed_keys(spec),
        parameters={"schema": spec.table.schema, "table": spec.table.name},
        sql="""
with t as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relname = %(table)s)
select 'constraint' as kind, k.conname::text, pg_get_constraintdef(k.oid),
       case k.contype when 'p' then 1 when 'u' then 2 else 4 end as rank
from pg_constraint k join t on k.conrelid = t.oid
where k.contype in ('p', 'u', 'f') and k.conparentid = 0
  and not exists (select from pg_constraint f where f.contype = 'f' and f.conindid = k.conindid and f.oid <> k.oid
                  and k.contype <> 'f')
union all
select 'index', c.relname::text, pg_get_indexdef(i.indexrelid), 3
from pg_index i join t on i.indrelid = t.oid join pg_class c on c.oid = i.indexrelid
where not exists (select from pg_constraint k where k.conindid = i.indexrelid)
order by rank, 2""",
    )
    table = spec.table
    constraints = [(str(name), str(text)) for kind, name, text, _ in found.rows if kind == "constraint"]
    indexes = [(str(name), str(text)) for kind, name, text, _ in found.rows if kind == "index"]
    foreign = [(name, text) for name, text in constraints if text.startswith("FOREIGN KEY")]
    own = [(name, text) for name, text in constraints if not text.startswith("FOREIGN KEY")]
    if constraints:
        drops = ", ".join(f"drop constraint {quote(name)}" for name, _ in (*foreign, *own))
        yield Statement(label="drop keys before the first load", table=table, sql=f"alter table {table.sql} {drops}")
    if indexes:
        names = ", ".join(TableName(table.schema, name).sql for name, _ in indexes)
        yield Statement(label="drop indexes before the first load", table=table, sql=f"drop index {names}")
    # A definition comes from the database as it stands; it has no bind parameters, so its % are doubled here.
    restoring = (
        *(_restore(table, name, text) for name, text in own),
        *(Statement(label=f"create index {n}", table=table, sql=text.replace("%", "%%")) for n, text in indexes),
        *(_restore(table, name, text) for name, text in foreign),
        Statement(label="gather statistics", table=table, sql=f"analyze {table.sql}"),
    )
    return Dropped(spec=spec, restoring=restoring)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key of another table on this one."""

    table: TableName
    name: str
    definition: str
    may_drop: bool

    def drop(self) -> Statement:
        return Statement(
            label=f"drop key {self.name} before the first load",
            table=self.table,
            sql=f"alter table {self.table.sql} drop constraint {quote(self.name)}",
        )

    def restore(self) -> Statement:
        return _restore(self.table, self.name, self.definition)


def references_to(table: TableName) -> Routine[tuple[Reference, ...]]:
    """Return the foreign keys of other tables on this one, and whether their tables are ours to change."""
    found = yield Statement(
        label="look up who points at the table",
        table=table,
        fetch=True,
        parameters={"schema": table.schema, "table": table.name},
        sql="""
select cn.nspname::text, c.relname::text, k.conname::text, pg_get_constraintdef(k.oid),
    pg_has_role(c.relowner, 'USAGE') and k.conparentid = 0 and c.relkind = 'r'
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace cn on cn.oid = c.relnamespace
join pg_class t on t.oid = k.confrelid
join pg_namespace n on n.oid = t.relnamespace
where k.contype = 'f' and n.nspname = %(schema)s and t.relname = %(table)s and c.oid <> t.oid
order by 1, 2, 3""",
    )
    return tuple(
        Reference(
            table=TableName(str(schema), str(name)), name=str(key), definition=str(text), may_drop=may_drop is True
        )
        for schema, name, key, text, may_drop in found.rows
    )


def add_key_label(name: str) -> str:
    """Return the label of the statement that puts a key back."""
    return f"add key {name}"


def _restore(table: TableName, name: str, definition: str) -> Statement:
    text = definition.replace("%", "%%")
    return Statement(
        label=add_key_label(name),
        table=table,
        sql=f"alter table {table.sql} add constraint {quote(name)} {text}",
    )


def restore_after_bulk(dropped: Dropped) -> Program:
    """Put keys, indexes and foreign keys back after the rows are in, and gather statistics."""
    for statement in dropped.restoring:  # noqa: UP028 - results are sent into a program; a tuple cannot take them
        yield statement


def _assumed_keys(spec: TableSpec) -> tuple[tuple[object, ...], ...]:
    # What the printer shows: the names and definitions of a table that we made ourselves.
    primary = (
        (("constraint", spec.primary_key_name, f"PRIMARY KEY ({quote_all(spec.primary_key)})", 1),)
        if spec.replaces_keys
        else ()
    )
    indexes = tuple(
        ("index", spec.index_name(index), create_index(spec, index).sql.replace("%%", "%"), 3) for index in spec.indexes
    )
    foreign = tuple(
        (
            "constraint",
            spec.foreign_key_name(key),
            f"FOREIGN KEY ({quote(key.column)}) REFERENCES {key.references.sql}(_id)".replace("%%", "%"),
            4,
        )
        for key in spec.foreign_keys
    )
    return (*primary, *indexes, *foreign)

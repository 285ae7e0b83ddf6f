"""What the database's catalogue says of a set of tables: one query for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from pyelt_provider.identifiers import TableName
from pyelt_provider.statements.ddl.tables import TableSpec
from pyelt_provider.statements.step import Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """A column as it is; `filled` says that rows may leave it out (a default, an identity or null)."""

    name: str
    type: str
    not_null: bool
    filled: bool
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIndex:
    """An index as it is; `columns` has None for an expression, `where` is the predicate as PostgreSQL prints it."""

    name: str
    columns: tuple[str | None, ...]
    unique: bool
    valid: bool
    where: str
    primary: bool
    constraint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundForeignKey:
    """A foreign key of one column as it is."""

    column: str
    references: TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table or view as it is; `kind` is PostgreSQL's relkind (``r`` table, ``v`` view)."""

    table: TableName
    kind: str
    columns: dict[str, FoundColumn] = field(default_factory=dict)
    indexes: tuple[FoundIndex, ...] = ()
    foreign_keys: tuple[FoundForeignKey, ...] = ()
    comment: str | None = None

    @property
    def primary_key(self) -> FoundIndex | None:
        return next((index for index in self.indexes if index.primary), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The tables that were found, and the schemas that were not."""

    tables: dict[TableName, FoundTable]
    missing_schemas: tuple[str, ...]


def read_catalog(tables: Iterable[TableName], assumed: Iterable[TableSpec] = ()) -> Routine[Catalog]:
    """Look the tables up in the catalogue, with one statement and without a lock on them.

    `assumed` are the tables that the printer of `pyelt sql` finds; it finds none, and no schema, when there are none.
    """
    wanted = sorted(set(tables))
    there = tuple(_assumed_row(spec) for spec in assumed)
    result = yield Statement(
        label="look up what is there",
        fetch=True,
        parameters={
            "schemas": [table.schema for table in wanted],
            "names": [table.name for table in wanted],
        },
        assumed=there
        or tuple(("schema", schema, None, None, None, None, None) for schema in sorted({t.schema for t in wanted})),
        sql="""
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname)""",
    )
    found = [_found_table(row) for row in result.rows if row[0] != "schema"]
    return Catalog(
        tables={table.table: table for table in found},
        missing_schemas=tuple(sorted(str(row[1]) for row in result.rows if row[0] == "schema")),
    )


def read_schemas(schemas: Iterable[str]) -> Routine[tuple[str, ...]]:
    """Return those of the schemas that are not there."""
    wanted = sorted(set(schemas))
    result = yield Statement(
        label="look up which schemas are there",
        fetch=True,
        parameters={"schemas": wanted},
        assumed=tuple((schema,) for schema in wanted),
        sql="""
select w.name from unnest(%(schemas)s::text[]) as w (name)
where not exists (select from pg_namespace n where n.nspname = w.name)
order by w.name""",
    )
    return tuple(str(row[0]) for row in result.rows)


def _assumed_row(spec: TableSpec) -> tuple[object, ...]:
    columns = [
        [c.name, c.type, c.not_null, c.default is not None or c.identity, c.description or None] for c in spec.columns
    ]
    indexes: list[list[object]] = [
        [spec.index_name(index), list(index.columns) or [None], index.unique, True, index.where or "", False, None]
        for index in spec.indexes
    ]
    return ("r", spec.table.schema, spec.table.name, columns, indexes, None, spec.description or None)


def _found_table(row: tuple[object, ...]) -> FoundTable:
    kind, schema, name, columns, indexes, foreign_keys, comment = cast(tuple[str, str, str, Any, Any, Any, str], row)
    return FoundTable(
        table=TableName(schema, name),
        kind=kind,
        columns={
            column: FoundColumn(name=column, type=type_name, not_null=not_null, filled=filled, comment=said)
            for column, type_name, not_null, filled, said in columns or ()
        },
        indexes=tuple(
            FoundIndex(
                name=index,
                columns=tuple(parts),
                unique=unique,
                valid=valid,
                where=where,
                primary=primary,
                constraint=constraint,
            )
            for index, parts, unique, valid, where, primary, constraint in indexes or ()
        ),
        foreign_keys=tuple(
            FoundForeignKey(column=column, references=TableName(to_schema, to_table))
            for column, to_schema, to_table in foreign_keys or ()
        ),
        comment=comment,
    )

"""Keys that are not kept yet: an index that stands in for a unique one, foreign keys that were never checked."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.statements.ddl.catalog import FoundTable
from pyelt_provider.statements.ddl.table_changes import stand_in
from pyelt_provider.statements.ddl.table_creation import create_index
from pyelt_provider.statements.ddl.tables import IndexSpec, TableSpec
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.step import Count, Isolated, Number, Program, Statement

_NOT_UNIQUE = "keys that no index keeps unique yet"
_NOT_CHECKED = "foreign keys that were not checked"


def loose_keys(spec: TableSpec, found: FoundTable) -> Iterator[Damage]:
    """Yield what counts such keys of a table, and makes them whole once its rows allow it."""
    loose = [index for index in spec.indexes if any(have.name == stand_in(spec, index) for have in found.indexes)]
    if loose:
        yield Damage(
            table=spec.table,
            what=_NOT_UNIQUE,
            mend="they become unique, once no row stands in the way",
            count=counting(spec.table, _NOT_UNIQUE, f"select {len(loose)}"),
            repair=lambda repair: _make_unique(repair, spec, loose),
        )
    if spec.foreign_keys:
        unchecked = "conrelid = to_regclass(%(table)s) and contype = 'f' and not convalidated"
        parameters: dict[str, object] = {"table": spec.table.sql.replace("%%", "%")}
        yield Damage(
            table=spec.table,
            what=_NOT_CHECKED,
            mend="they are checked, once no row stands in the way",
            count=counting(
                spec.table, _NOT_CHECKED, f"select count(*) from pg_constraint where {unchecked}", parameters
            ),
            repair=lambda repair: _check(spec, f"select conname from pg_constraint where {unchecked}", parameters),
        )


def _make_unique(repair: Repair, spec: TableSpec, loose: list[IndexSpec]) -> Program:
    for index in loose:
        yield from _try(spec, _replace(spec, index), "23505")


def _replace(spec: TableSpec, index: IndexSpec) -> Program:
    yield Statement(
        label=f"drop the index that stood in for {spec.index_name(index)}",
        table=spec.table,
        sql=f"drop index {TableName(spec.table.schema, stand_in(spec, index)).sql}",
    )
    yield create_index(spec, index)


def _check(spec: TableSpec, query: str, parameters: dict[str, object]) -> Program:
    names = yield Statement(
        label="look which foreign keys were not checked",
        table=spec.table,
        fetch=True,
        parameters=parameters,
        sql=query,
    )
    for (name,) in names.rows:
        yield from _try(spec, _validate(spec, str(name)), "23503")


def _validate(spec: TableSpec, name: str) -> Program:
    yield Statement(
        label=f"check foreign key {name}",
        table=spec.table,
        sql=f"alter table {spec.table.sql} validate constraint {quote(name)}",
    )


def _try(spec: TableSpec, program: Program, unless: str) -> Program:
    tried = yield Isolated(label="make a key whole", program=program, only=(unless,))
    if tried.error is None:
        yield Number(label="keys made whole", table=spec.table, count=Count.REPAIRED, rows=1)

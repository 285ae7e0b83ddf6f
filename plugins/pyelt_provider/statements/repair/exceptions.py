"""Rejected rows that PyELT wrote down anew at every run."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import TableName, quote_all
from pyelt_provider.statements.ddl.catalog import Catalog, FoundTable
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.step import Program, Statement

_WHAT = "rejected rows that are written down again and again"
_SAME = ("_source_system", "_stage", "mapping", "schema", "table_name", "message", "key_fields", "fields")


def repeated_exceptions(schemas: set[str], catalog: Catalog) -> Iterator[Damage]:
    """Yield what counts the repeated rows of each `_exceptions` and makes one of them, with its first and last run."""
    for schema in sorted(schemas):
        found = catalog.tables.get(TableName(schema, "_exceptions"))
        if found is not None and "_runid" in found.columns:
            yield _repeated(found)


def _repeated(found: FoundTable) -> Damage:
    table = found.table
    same = quote_all([name for name in _SAME if name in found.columns], "s")
    last = "coalesce(s._last_runid, s._runid)" if "_last_runid" in found.columns else "s._runid"
    placed = f"""select s.ctid as place, row_number() over same as number, count(*) over everybody as together,
        max({last}) over everybody as last_runid
    from {table.sql} as s
    window everybody as (partition by {same}), same as (partition by {same} order by s._runid)"""

    def collapse(repair: Repair) -> Program:
        if "_last_runid" not in found.columns:
            yield Statement(
                label="make room for the last run",
                table=table,
                sql=f"alter table {table.sql} add column _last_runid numeric",
            )
        first = f"(select o.place from ({placed}) as o where o.number = 1 and o.together > 1)"
        yield repair.note(table, f"the first of {_WHAT}", f"select t.* from {table.sql} as t where t.ctid in {first}")
        yield Statement(
            label="let the first one say the last run",
            table=table,
            sql=f"""
update {table.sql} as t set _last_runid = o.last_runid
from ({placed}) as o
where o.place = t.ctid and o.number = 1 and o.together > 1""",
        )
        later = f"t.ctid in (select o.place from ({placed}) as o where o.number > 1)"
        yield repair.remove(table, _WHAT, later)

    return Damage(
        table=table,
        what=_WHAT,
        mend="one row stays, with its first and last run",
        count=counting(table, _WHAT, f"select count(*) from ({placed}) as o where o.number > 1"),
        repair=collapse,
    )

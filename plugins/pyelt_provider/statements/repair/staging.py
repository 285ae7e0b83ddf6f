"""Staging rows that PyELT rejected for their key and never looked at again: they stand active beside each other."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import quote_all
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.statements.ddl.catalog import Catalog, FoundTable
from pyelt_provider.statements.ddl.tables import hstage_spec
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.staging.columns import is_unique
from pyelt_provider.statements.staging.repeated_keys import find_repeated, repeated_table, settle
from pyelt_provider.statements.step import Program, Statement

_WHAT = "rows of keys that are active more than once, or without a key"


def frozen_keys(staging: StagingTable, catalog: Catalog) -> Iterator[Damage]:
    """Yield what counts these rows and lets one stand for each key, as a load does that meets them."""
    found = catalog.tables.get(staging.table)
    if found is None or not set(staging.key) <= found.columns.keys():
        return
    table, keys = staging.table.sql, quote_all(staging.key)
    query = f"select count(*) from {table} where _active and not _valid and num_nulls({keys}) > 0"
    if not is_unique(staging, found):
        query = f"""
select coalesce(sum(number - 1), 0) + ({query})
from (select count(*) as number from {table} where _active and num_nulls({keys}) = 0 group by {keys}) as counted"""
    yield Damage(
        table=staging.table,
        what=_WHAT,
        mend="the latest stands; rejected ones are set apart, and what stood before them stands again",
        count=counting(staging.table, _WHAT, query),
        repair=lambda repair: _settle(repair, staging, found),
    )


def _settle(repair: Repair, staging: StagingTable, found: FoundTable) -> Program:
    table = staging.table.sql
    if "_finish_runid" not in found.columns:
        yield Statement(
            label="make room for the run that closes rows",
            table=staging.table,
            sql=f"alter table {table} add column _finish_runid numeric(8,2)",
        )
    yield find_repeated(staging)
    yield repair.note(
        staging.table, _WHAT, f"select t.* from {table} as t join {repeated_table(staging).sql} as r using (_id)"
    )
    yield from settle(staging, _source_columns(staging, found), {"now": None, "runid": None})


def _source_columns(staging: StagingTable, found: FoundTable) -> tuple[str, ...]:
    """The columns of the source in the order in which the table has them, which is that of its deliveries."""
    ours = set(hstage_spec(staging, ()).column_names)
    declared = {*staging.key, *staging.columns}
    return tuple(name for name in found.columns if name not in ours and (not staging.columns or name in declared))

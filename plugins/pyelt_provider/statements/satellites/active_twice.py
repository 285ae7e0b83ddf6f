"""Satellites in which an old PyELT left keys active more than once: the latest of such rows is what the key has."""

from __future__ import annotations

from pyelt_provider.model.domain import Satellite, SatelliteKind
from pyelt_provider.statements.step import Program, Statement


def keep_latest(satellite: Satellite, changes: str, pipe: str) -> Program:
    """Take out of `changes` (`_id`, `_of_run`) what differs from another row of its key than the latest.

    Looks only where no index keeps keys active once: in an old warehouse that nobody repaired yet.
    """
    once = yield Statement(
        label="look whether keys are active once",
        table=satellite.table,
        fetch=True,
        assumed=((True,),),
        parameters={"table": satellite.table.sql.replace("%%", "%")},
        sql="""
select exists (
    select from pg_index
    where indrelid = to_regclass(%(table)s) and indisunique and indpred is not null)""",
    )
    if once.value is True:
        return
    same_type = " and newer.type = c.type" if satellite.kind is SatelliteKind.HYBRID else ""
    yield Statement(
        label="compare with the latest of several active rows",
        table=satellite.table,
        parameters={"pipe": pipe},
        sql=f"""
delete from {changes} as c
where c._changed and exists (
    select from {satellite.table.sql} as newer
    where newer._id = c._id{same_type} and newer._source_system = %(pipe)s and newer._active
        and newer._runid > c._of_run)""",
    )

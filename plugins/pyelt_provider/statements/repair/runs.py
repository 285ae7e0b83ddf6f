"""Runs that PyELT began and never closed."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.step import Count, Program, Statement

_OPEN = "t.finish_date is null and t.dag_id is null"
NOTE = "never closed by PyELT; closed by pyelt repair"


def open_runs(pipeline: Pipeline) -> Iterator[Damage]:
    """Yield what counts and closes the runs without a finish date that are not ours."""
    runs = TableName(pipeline.sys_schema, "runs")
    what = "runs that PyELT never closed"

    def close(repair: Repair) -> Program:
        yield repair.note(runs, what, f"select t.* from {runs.sql} as t where {_OPEN}")
        yield Statement(
            label="close the runs with a note",
            table=runs,
            count=Count.REPAIRED,
            parameters={"note": NOTE},
            sql=f"""
update {runs.sql} as t
set finish_date = coalesce(t.rundate, timestamp 'epoch'), exceptions = concat_ws('; ', t.exceptions, %(note)s)
where {_OPEN}""",
        )

    yield Damage(
        table=runs,
        what=what,
        mend="closed at their start, with a note in exceptions",
        count=counting(runs, what, f"select count(*) from {runs.sql} as t where {_OPEN}"),
        repair=close,
    )

"""How far a source was read: the greatest value of a column that grows, per load that committed."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.step import Program, Routine, Statement


def last_position(stage: Stage, staging: StagingTable) -> Routine[str | None]:
    """Return the position of the table's last committed load; None for the first one, and without `changed_since`."""
    if staging.changed_since is None:
        return None
    found = yield Statement(
        label="look how far the source was read",
        fetch=True,
        parameters={"pipe": stage.pipe_name, "schema": staging.schema, "table": staging.name},
        sql=f"""
select position from {quote(stage.pipeline.sys_schema)}.source_positions
where pipe = %(pipe)s and schemaname = %(schema)s and tablename = %(table)s
order by runid desc limit 1""",
    )
    return None if found.value is None else str(found.value)


def record_source_position(stage: Stage, run: Run, staging: StagingTable, delivered: TableName) -> Program:
    """Remember the greatest value that was delivered; numbers count as numbers, anything else as text (ISO times)."""
    assert staging.changed_since is not None
    column = f"d.{quote(staging.changed_since)}"
    number = r"'^-?[0-9]+(\.[0-9]+)?$'"
    yield Statement(
        label="remember how far the source was read",
        table=staging.table,
        parameters={
            "pipe": stage.pipe_name,
            "schema": staging.schema,
            "table": staging.name,
            "runid": run.number,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.source_positions (pipe, schemaname, tablename, runid, position)
select %(pipe)s, %(schema)s, %(table)s, %(runid)s, position
from (
    select case when bool_and({column} ~ {number}) then max(case when {column} ~ {number} then {column}::numeric end)::text
           else max({column} collate "C") end as position
    from {delivered.sql} as d where {column} is not null) as greatest
where position is not null""",
    )

"""How many rows a staging load rejects that were not rejected before, held against the limit of the table."""

from __future__ import annotations

from typing import cast

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.rejection_limit import refuse_rejections
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.staging.exceptions import rejected_rows
from pyelt_provider.statements.step import Program, Statement


def check_rejected(
    stage: Stage, run: Run, columns: StagingColumns, rejected: TableName | None, *, delivered: int, judged_all: bool
) -> Program:
    """Raise RejectionsRefused when more rows are newly rejected than `max_rejected` of the table allows.

    Counted are delivered rows without a key or with a repeated one (in the table `rejected`), and active rows that fail a
    validation. A row does not count when its key was rejected with the same message in the table's last load already;
    a row without a key when the same row was. A share is one of the `delivered` rows, of the active ones where all of them
    were judged anew and they are more. Done before the rejections of this run are written down.
    """
    limit = columns.staging.limits.max_rejected
    if limit is None or run.allow_rejections:
        return
    found = yield _count_new(stage, run, columns, rejected)
    if not found.rows:
        return
    looked_at = delivered
    if judged_all:
        active = yield Statement(
            label="count rows that were looked at",
            table=columns.staging.table,
            fetch=True,
            assumed=((delivered,),),
            sql=f"select count(*) from {columns.staging.table.sql} where _active",
        )
        looked_at = max(delivered, cast(int, active.value))
    refuse_rejections(str(columns.staging.table), limit, found.rows, looked_at)


def _count_new(stage: Stage, run: Run, columns: StagingColumns, rejected: TableName | None) -> Statement:
    staging, sys = columns.staging, quote(stage.pipeline.sys_schema)
    exceptions = TableName(stage.the_pipe.sor_schema, "_exceptions")
    return Statement(
        label="count rows that are newly rejected",
        table=staging.table,
        fetch=True,
        parameters={
            "runid": run.number,
            "stage": stage.id,
            "pipe": stage.pipe_name,
            "schema": staging.schema,
            "table": staging.name,
            "key": list(columns.key),
            "rest": list(columns.rest),
        },
        sql=f"""
with last_load as materialized (
    select w.runid from {sys}.steps as w join {sys}.stages as d using (runid, stage)
    where w.schemaname = %(schema)s and w.tablename = %(table)s and w.stage = %(stage)s and w.runid < %(runid)s
        and d.state <> 'to do'
    order by w.runid desc limit 1),
rejected as materialized (
    {rejected_rows(columns, rejected, "union all")})
select r.message, count(*)
from rejected as r
where not exists (
    select from {exceptions.sql} as e
    where md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s and e.mapping is null
        and e.key_fields = r.key_fields and e.message = r.message
        and (e.fields = r.fields or jsonb_strip_nulls(r.key_fields::jsonb) = r.key_fields::jsonb)
        and e._last_runid >= coalesce((select runid from last_load), 0))
group by r.message
order by count(*) desc, r.message""",
    )

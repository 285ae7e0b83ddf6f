"""Fills the fk columns of staging tables that the project names: the `_id` of the hub key of each row."""

from __future__ import annotations

from pyelt_provider.identifiers import quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.mapped_rows import MappedEntity
from pyelt_provider.statements.step import Program, Statement


def fill_fk_columns(stage: Stage, run: Run, entity: MappedEntity) -> Program:
    """Fill the columns that name the mapping's hub, in the rows that were collected; rows of earlier runs are journalled.

    Where several mappings of one table give keys of the same hub, the last one counts.
    """
    columns = [name for name, hub in entity.staging.fk_columns if hub == entity.hub.name] if entity.staging else []
    for column in columns:
        yield note_fk_column(stage, run, entity, column)
        yield fill_fk_column(entity, column)


def note_fk_column(stage: Stage, run: Run, entity: MappedEntity, column: str) -> Statement:
    assert entity.staging is not None
    table = entity.staging.table
    return Statement(
        label=f"note what {column} was",
        mapping=entity.name,
        parameters={
            "runid": run.number,
            "stage": stage.id,
            "pipe": stage.pipe_name,
            "schema": table.schema,
            "table": table.name,
            "column": column,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, t._id,
    jsonb_build_object(%(column)s::text, t.{quote(column)})
from {table.sql} as t
join {entity.rows} as r on r._row = t._id
join {entity.hub.table.sql} as h on h.bk = r._key
where t._runid <> %(runid)s and t.{quote(column)} is distinct from h._id
""",
    )


def fill_fk_column(entity: MappedEntity, column: str) -> Statement:
    assert entity.staging is not None
    return Statement(
        label=f"fill {column}",
        mapping=entity.name,
        table=entity.staging.table,
        sql=f"""
update {entity.staging.table.sql} as t set {quote(column)} = h._id
from {entity.rows} as r
join {entity.hub.table.sql} as h on h.bk = r._key
where t._id = r._row and t.{quote(column)} is distinct from h._id
""",
    )

"""Fills the fk columns of staging tables that name a link: the `_id` of the link that each row gave."""

from __future__ import annotations

from pyelt_provider.identifiers import quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.links.history import link_type
from pyelt_provider.statements.links.rows import LinkWork
from pyelt_provider.statements.step import Program, Statement


def fill_fk_columns(stage: Stage, run: Run, work: LinkWork) -> Program:
    """Fill the columns that name the mapping's link, in the rows that were collected; rows of earlier runs are journalled.

    A row that waits for a key gets its link when the key has come. Where several mappings of one table give the same
    link, the last one counts.
    """
    columns = [name for name, target in work.staging.fk_columns if target == work.link.name] if work.staging else []
    for column in columns:
        yield note_fk_column(stage, run, work, column)
        yield fill_fk_column(work, column)


def note_fk_column(stage: Stage, run: Run, work: LinkWork, column: str) -> Statement:
    assert work.staging is not None
    table = work.staging.table
    return Statement(
        label=f"note what {column} was",
        mapping=work.name,
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
join {work.rows} as r on r.row_id = t._id and r.usable
join {work.link.table.sql} as l on {_same_link(work)}
where t._runid <> %(runid)s and t.{quote(column)} is distinct from l._id
""",
    )


def fill_fk_column(work: LinkWork, column: str) -> Statement:
    assert work.staging is not None
    return Statement(
        label=f"fill {column}",
        mapping=work.name,
        table=work.staging.table,
        sql=f"""
update {work.staging.table.sql} as t set {quote(column)} = l._id
from {work.rows} as r
join {work.link.table.sql} as l on {_same_link(work)}
where t._id = r.row_id and r.usable and t.{quote(column)} is distinct from l._id
""",
    )


def _same_link(work: LinkWork) -> str:
    fks = " and ".join(f"l.{quote(r.column)} = r.{quote(r.column)}" for r in work.link.references)
    return fks + (f" and l.type = {link_type(work)}" if work.link.types else "")

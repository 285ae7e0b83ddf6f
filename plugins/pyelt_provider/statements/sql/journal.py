"""What a row was before a run changed it: the journal, from which taking back puts it back."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage


def journal_rows(stage: Stage, rows: str, *, table: str = "%(schema)s, %(table)s") -> str:
    """Return the insert of rows into the journal. `rows` is what follows ``select``: the `_id`, the values of before as
    jsonb, and where they come from. Its parameters are those of `journal_parameters`; `table` names others for the table.
    """
    return f"""insert into {quote(stage.pipeline.sys_schema)}.journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, {table}, {rows}"""


def journal_parameters(stage: Stage, run: Run, table: TableName) -> dict[str, object]:
    return {
        "runid": run.number,
        "stage": stage.id,
        "pipe": stage.pipe_name,
        "schema": table.schema,
        "table": table.name,
    }

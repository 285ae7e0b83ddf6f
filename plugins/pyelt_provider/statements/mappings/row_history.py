"""What staging rows gave the vault before: which of them ever stood, and which row stood before one that never did.

A row stands while it is active, valid and not rejected by the mapping. A rejected row gives nothing; the vault keeps
what the row gave while it stood, else what the row gave that it replaced, and so on.
"""

from __future__ import annotations

from pyelt_provider.identifiers import quote, quote_all
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.stages import Stage


def stood(stage: Stage, row: str, suffix: str = "", *, but_now: bool = False) -> str:
    """Return the condition that a staging row gave the vault something while it was active.

    It did unless it was rejected all the time: by a validation (a verdict that came later is in the journal, and so is a
    row that was freed by a load that the mapping has not looked at yet), or by the mapping (and not freed before it was
    closed, or before a validation rejected it too). With `but_now`, rejections of this run do not count. The parameters
    are those of `history_parameters` with the same suffix, and with `but_now` the run's number as `runid`.
    """
    sys = quote(stage.pipeline.sys_schema)
    earlier = " and x.runid < %(runid)s" if but_now else ""
    return f"""({row}._valid and {row}._id not in (
            select j.row_id from {sys}.journal j
            where j.schemaname = %(schema{suffix})s and j.tablename = %(table{suffix})s
              and j.runid = any(%(runids{suffix})s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from {sys}.journal j
            where j.schemaname = %(schema{suffix})s and j.tablename = %(table{suffix})s and j.row_id = {row}._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from {sys}.rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping{suffix})s and x.row_id = {row}._id
              and (x.freed_runid is null or x.freed_runid >= {row}._finish_runid
                or not {row}._valid and exists (
                    select from {sys}.journal j
                    where j.schemaname = %(schema{suffix})s and j.tablename = %(table{suffix})s
                      and j.row_id = {row}._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid)){earlier})"""


def history_parameters(
    stage: Stage, mapping: str, staging: StagingTable, runids: tuple[object, ...], suffix: str = ""
) -> dict[str, object]:
    """Return the parameters of `stood`, and the runs whose rows the mapping has not looked at: they gave nothing yet."""
    return {
        "pipe": stage.pipe_name,
        f"mapping{suffix}": mapping,
        f"schema{suffix}": staging.schema,
        f"table{suffix}": staging.name,
        f"runids{suffix}": list(runids),
    }


def replaced_rows(
    stage: Stage, staging: StagingTable, suffix: str = "", later: str = "later", carried: tuple[str, ...] = ()
) -> str:
    """Return the second half of a recursion over `later` (_id, _runid, stood, key columns): from a row that never stood
    to the row that it replaced. Further columns of `later` are `carried` along behind these."""
    same_key = " and ".join(f"before.{quote(column)} = {later}.{quote(column)}" for column in staging.key)
    along = "".join(f", {later}.{column}" for column in carried)
    return f"""select before._id, before._runid, {stood(stage, "before", suffix)}, {quote_all(staging.key, "before")}{along}
    from {later}
    join {staging.table.sql} before
        on {same_key} and not before._active and before._finish_runid = {later}._runid
    where not {later}.stood and before._runid < before._finish_runid"""

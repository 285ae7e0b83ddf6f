"""The filters that a mapping had before: what a row gave the vault while it stood was decided by the filter of that time."""

from __future__ import annotations

from pyelt_provider.identifiers import opaque, quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.deltas import PastFilter
from pyelt_provider.statements.mappings.mapped_rows import MappedEntity, Work
from pyelt_provider.statements.mappings.row_isolation import dollar_quoted
from pyelt_provider.statements.step import Statement


def prepare_past_filters(run: Run, work: Work) -> Statement:
    """Make the function that says whether a staging row passed the filter of its time.

    A filter that does not work any more (a function that went, a value that cannot be cast) leaves no row away: what the
    vault has stays.
    """
    entity = work.entity
    branches = "\n".join(
        f"    if pyelt_stopped <= {past.until} then\n        return {_passes(entity, past.filter)};\n    end if;"
        for past in work.delta.past_filters
    )
    body = f"""
#variable_conflict use_column
begin
{branches}
    return {_passes(entity, entity.mapping.source.filter or "")};
exception when others then
    return true;
end
"""
    return Statement(
        label="prepare to read rows by the filter of their time",
        mapping=entity.name,
        sql=f"""
create or replace function {_function(entity)}(pyelt_candidate bigint, pyelt_stopped numeric)
returns boolean language plpgsql stable as {dollar_quoted(body)}
""",
    )


def _passes(entity: MappedEntity, condition: str) -> str:
    if not condition:
        return "true"
    return f"exists (select from {entity.relation} where s._id = pyelt_candidate and ({opaque(condition)}))"


def _function(entity: MappedEntity) -> str:
    return f"pg_temp.pyelt_passed_{entity.number}"


def passed(stage: Stage, run: Run, entity: MappedEntity, suffix: str = "") -> str:
    """Return the condition that the staging row ``s``, which stands no more, passed the filter when it stood.

    The filter of its time is that of the last load before the row was closed or rejected. The parameters are those of
    `history_parameters` with the same suffix.
    """
    sys = quote(stage.pipeline.sys_schema)
    return f"""{_function(entity)}(s._id, coalesce(least(
            s._finish_runid,
            case when not s._valid then (
                select max(j.runid) from {sys}.journal j
                where j.schemaname = %(schema{suffix})s and j.tablename = %(table{suffix})s and j.row_id = s._id
                    and j.before ->> '_valid' = 'true') end,
            (select max(x.runid) from {sys}.rejected_rows x
                where x.pipe = %(pipe)s and x.mapping = %(mapping{suffix})s and x.row_id = s._id
                    and (x.freed_runid is null or x.freed_runid >= s._finish_runid))), {run.number}))"""


def past_of(work: Work) -> tuple[PastFilter, ...]:
    """Return the mapping's past filters where its rows have a past that can be read."""
    return work.delta.past_filters if work.entity.staging is not None else ()

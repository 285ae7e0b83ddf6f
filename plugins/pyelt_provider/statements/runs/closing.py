"""The last stage of a run: versions, counts of rejected rows, the finish date, and the names of what failed."""

from __future__ import annotations

from pyelt_provider import __version__
from pyelt_provider.identifiers import quote
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.step import Failure, Program, Statement


def close(stage: Stage, run: Run) -> Program:
    """Record the run in PyELT's `sys.runs` and report every stage that failed and was not done since.

    Works after failures too, also when `prepare` failed. Run again, it records the state that it finds then.
    """
    s = quote(stage.pipeline.sys_schema)
    failed = yield Statement(
        label="look for stages that failed",
        sql=f"""
            select last.stage, coalesce(last.error, last.state)
            from (select distinct on (stage) runid, stage, attempt, state, error from {s}.attempts
                  where runid = %(runid)s and stage <> %(close)s order by stage, attempt desc) as last
            where last.state <> 'done'
              -- Its session may have been lost after the commit, before it could say that it ended.
              and not exists (select from {s}.stages as kept
                              where (kept.runid, kept.stage, kept.attempt) = (last.runid, last.stage, last.attempt)
                                and kept.state = 'done')
            order by last.stage
        """,
        parameters={"runid": run.number, "close": stage.id},
        fetch=True,
    )
    for name, error in failed.rows:
        yield Failure(mapping=str(name), error=str(error))
    summary = "; ".join(f"{name}: {error}" for name, error in failed.rows) or None
    yield Statement(
        label="record the end of the run",
        sql=f"""
            update {s}.runs set
                finish_date = %(now)s, pyelt_version = %(version)s, fingerprint = %(fingerprint)s,
                exceptions = concat_ws('; ', %(summary)s, (
                    select string_agg(format('%%s %%s rows rejected in %%s', stages.stage, total, name), '; ' order by name)
                    from {s}.stages,
                         lateral (select key as name, (value ->> 'rejected')::bigint as total
                                  from jsonb_each(stages.numbers)) as numbers
                    where stages.runid = %(runid)s and total > 0)),
                sor_versions = (select string_agg(schemaname || ' ' || version, ', ' order by schemaname)
                                from {s}.currentversion where schemaname = any(%(sor)s)),
                dv_version = (select string_agg(schemaname || ' ' || version, ', ' order by schemaname)
                              from {s}.currentversion where schemaname = any(%(dv)s))
            where runid = %(runid)s
        """,
        parameters={
            "now": run.load_time,
            "version": __version__,
            "fingerprint": stage.fingerprint,
            "summary": summary,
            "runid": run.number,
            "sor": sorted({pipe.sor_schema for pipe in stage.pipeline.pipes}),
            "dv": sorted({domain.schema for domain in stage.pipeline.domains}),
        },
    )

"""Keeps the runs of a pipe in the order of their data intervals, because history cannot be loaded backwards."""

from __future__ import annotations

from pyelt_provider.errors import OlderRunOpen, OrderRefused
from pyelt_provider.identifiers import quote
from pyelt_provider.model.staging import Delivery
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.runs.locking import LOADING
from pyelt_provider.statements.step import Program, Statement

SILENT_HOURS = 1
"""An open run in Airflow that gave no sign of life for so long is taken for dead (its retries would have come)."""


def check_order(stage: Stage, run: Run) -> Program:
    """Refuse a stage whose pipe was loaded by a later run; let etl_sor wait while an older run of its pipe is open.

    The data interval's end decides; equal is a reload and allowed. Raises OrderRefused or OlderRunOpen.
    """
    if stage.kind not in LOADING:
        return
    s = quote(stage.pipeline.sys_schema)
    later = yield Statement(
        label="look for later runs of the pipe",
        sql=f"""
            select max(runs.runid), min(runs.runid)
            from {s}.stages join {s}.runs using (runid)
            where stages.pipe = %(pipe)s and stages.kind = 'etl_sor' and stages.state in ('done', 'failed')
              and stages.runid <> %(runid)s
              and (runs.interval_end > %(interval_end)s
                   or stages.load_order > (select own.load_order from {s}.stages as own
                                           where own.runid = %(runid)s and own.kind = 'etl_sor' and own.pipe = %(pipe)s
                                             and own.state in ('done', 'failed')))
            having count(*) > 0
        """,
        parameters={"pipe": stage.pipe_name, "runid": run.number, "interval_end": run.interval_end},
        fetch=True,
    )
    if later.rows:
        newest, oldest = later.rows[0]
        stays = yield Statement(
            label="look for the last run that may stay",
            sql=f"select coalesce(max(runid), 0.00) from {s}.runs where runid < %(oldest)s",
            parameters={"oldest": oldest},
            fetch=True,
        )
        raise OrderRefused(
            f"{stage.id}: pipe {stage.pipe_name} was loaded by the later run {newest}, and run {run.number} would load "
            f"its history backwards; take the later runs back first: pyelt rewind PROJECT --to {stays.value}"
        )
    if stage.kind is StageKind.ETL_SOR:
        yield from _older_runs(stage, run, s)


def _older_runs(stage: Stage, run: Run, s: str) -> Program:
    older = yield Statement(
        label="look for older runs that are not finished",
        sql=f"""
            select runs.runid,
                   exists (select from {s}.attempts as attempt join pg_stat_activity as activity
                               on activity.pid = attempt.backend_pid and activity.backend_start = attempt.backend_start
                           where attempt.runid = runs.runid and attempt.state = 'running')
                   or (runs.finish_date is null and runs.dag_run_id not like 'cli\\_\\_%%'
                       and coalesce((select max(coalesce(ended, started)) from {s}.attempts as attempt
                                     where attempt.runid = runs.runid), runs.rundate)
                           > %(now)s - make_interval(hours => {SILENT_HOURS})) as is_open,
                   -- One whose worker was killed still says that it runs: nobody is left to say otherwise.
                   exists (select from {s}.attempts as attempt
                           where attempt.runid = runs.runid
                             and (attempt.stage like %(sor)s and attempt.state <> 'done'
                                  or attempt.stage = any(%(before)s) and not exists (
                                      select from {s}.stages as made
                                      where made.runid = runs.runid and made.stage = attempt.stage and made.state = 'done')))
                       and not exists (select from {s}.stages
                                       where stages.runid = runs.runid and stages.pipe = %(pipe)s
                                         and stages.kind = 'etl_sor' and stages.state = 'done')
                       as failed
            from {s}.runs
            where runs.pipeline = %(pipeline)s and runs.dag_id = %(dag)s and runs.interval_end < %(interval_end)s
              and runs.overtaken_by is null
              -- The run that loaded the pipe last counts too: its vault may still have to be loaded from that.
              and runs.interval_end >= coalesce(
                    (select max(loaded.interval_end) from {s}.stages join {s}.runs as loaded using (runid)
                     where stages.pipe = %(pipe)s and stages.kind = 'etl_sor' and stages.state = 'done'), '-infinity')
            order by runs.interval_end
        """,
        parameters={
            "pipe": stage.pipe_name,
            "pipeline": stage.pipeline.name,
            "dag": run.dag_id,
            "sor": f"{stage.pipe_name}.sor.%",
            "before": [StageKind.PREPARE.value, StageKind.DDL_VALSET.value, StageKind.DDL_DV.value],
            "interval_end": run.interval_end,
            "now": run.load_time,
        },
        fetch=True,
    )
    for number, is_open, failed in older.rows:
        if is_open:
            raise OlderRunOpen(
                f"{stage.id}: run {number} of pipe {stage.pipe_name} is older and still open; waiting for it to end"
            )
        if failed and any(table.delivery is Delivery.DELTA for table in stage.the_pipe.tables):
            raise OrderRefused(
                f"{stage.id}: run {number} of pipe {stage.pipe_name} is older and failed, and the pipe has a delta source, "
                f"whose rows of that run would be lost; clear the failed tasks of run {number} first, then this task"
            )
        if failed:
            yield Statement(
                label="close the older failed run as overtaken",
                sql=f"update {s}.runs set overtaken_by = %(runid)s where runid = %(older)s and overtaken_by is null",
                parameters={"runid": run.number, "older": number},
            )

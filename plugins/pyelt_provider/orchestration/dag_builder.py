"""From a plan to an Airflow DAG: tasks, groups, edges and trigger rules. Reads no file and no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, TriggerRule
from airflow.sdk.definitions.param import ParamsDict

from pyelt_provider.model.pipeline import CronSchedule, OnErrors, Pipeline
from pyelt_provider.orchestration.assets import TableAssets
from pyelt_provider.orchestration.operator import PyeltStageOperator
from pyelt_provider.orchestration.run_parameters import run_parameters
from pyelt_provider.orchestration.schedules import airflow_schedule
from pyelt_provider.planning.describe import describe, describe_plan
from pyelt_provider.planning.plan import Condition, Edge, Plan
from pyelt_provider.planning.stages import Layer, Stage, StageKind

LAYER_TOOLTIPS = {
    Layer.SOR: "Source of record: the source's rows with their history, as text",
    Layer.VALSET: "Valuesets: codes and their descriptions",
    Layer.DV: "Data Vault: hubs, satellites and links",
}

FOUNDATIONS = frozenset({StageKind.PREPARE, StageKind.DDL_VALSET, StageKind.DDL_DV, StageKind.DDL_SOR})
"""Stages that no load can do without: when one fails, nothing is built on it, whatever `on_errors` says."""

GATE_IDS = {StageKind.ETL_LINKS: "other_hubs", StageKind.ETL_HUBS: "hubs_behind_views"}
"""The tasks of a pipe that may have to wait for other pipes each have a gate of their own."""

GATE: dict[str, Any] = {
    "trigger_rule": TriggerRule.ALL_DONE,
    "doc_md": "Waits until the hubs of other pipes in which this pipe looks keys up have ended, in any state.",
}


def build_dag(plan: Plan) -> DAG:
    """Return the DAG of a plan; the same plan gives the same DAG in every process."""
    pipeline, settings = plan.pipeline, plan.pipeline.airflow
    dag = DAG(
        plan.dag_id,
        description=pipeline.description or None,
        doc_md=describe_plan(plan),
        schedule=airflow_schedule(pipeline, plan.schedule),
        start_date=_start(plan),
        end_date=_end(pipeline),
        catchup=settings.catchup,
        max_active_runs=settings.max_active_runs,
        dagrun_timeout=settings.dagrun_timeout,
        tags=list(settings.tags),
        default_args=_default_arguments(pipeline),
    )
    groups = _Groups(dag, plan)
    assets = TableAssets(pipeline.warehouse)
    waits = _waits_of(plan)
    tasks = {
        stage.id: PyeltStageOperator(
            task_id=stage.id.rpartition(".")[2],
            stage=stage,
            foundations=waits[stage.id].foundations,
            dag=dag,
            task_group=groups.of(stage),
            outlets=assets.of(stage),
            doc_md=describe(stage),
            trigger_rule=waits[stage.id].trigger_rule,
        )
        for stage in plan.stages
    }
    for stage in plan.stages:
        wait = waits[stage.id]
        upstreams: list[Any] = [tasks[upstream] for upstream in wait.direct]
        if wait.gated:
            gate = EmptyOperator(task_id=GATE_IDS[stage.kind], dag=dag, task_group=groups.of(stage), **GATE)
            gate.set_upstream([tasks[upstream] for upstream in wait.gated])
            upstreams.append(gate)
        if upstreams:
            tasks[stage.id].set_upstream(upstreams)
    # Last, because every task that is made copies the parameters that the DAG has by then, in depth; a task finds them
    # in its DAG all the same. Not through the attribute's check, which costs a quarter of all the rest: Airflow does
    # it again when it takes up the DAG.
    object.__setattr__(dag, "params", ParamsDict(run_parameters(plan)))
    return dag


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a task waits for: `direct` under its own trigger rule, `gated` through a gate that asks for an end only.

    `foundations` are the stages further up without which a task that asks for no success has nothing to stand on.
    """

    direct: tuple[str, ...] = ()
    gated: tuple[str, ...] = ()
    trigger_rule: TriggerRule = TriggerRule.NONE_FAILED
    foundations: tuple[str, ...] = ()


def _waits_of(plan: Plan) -> dict[str, _Wait]:
    stages = {stage.id: stage for stage in plan.stages}
    into: dict[str, list[Edge]] = {stage.id: [] for stage in plan.stages}
    for edge in plan.edges:
        into[edge.downstream].append(edge)
    waits: dict[str, _Wait] = {}
    for stage in plan.stages:
        goes_on = _goes_on_after_errors(stage)
        ended = tuple(
            e.upstream for e in into[stage.id] if e.condition is Condition.ENDED or _is_etl(e, goes_on, stages)
        )
        not_failed = tuple(e.upstream for e in into[stage.id] if e.upstream not in ended)
        if ended and not not_failed:
            foundations = _foundations(stage, into, stages) if goes_on else ()
            waits[stage.id] = _Wait(ended, (), TriggerRule.ALL_DONE, foundations)
        else:
            waits[stage.id] = _Wait(not_failed, ended)
    return waits


def _goes_on_after_errors(stage: Stage) -> bool:
    """With ``on_errors: log`` the later layers of a pipe run on what was loaded; the run still fails at its end."""
    return stage.pipe is not None and stage.pipeline.on_errors is OnErrors.LOG


def _is_etl(edge: Edge, goes_on: bool, stages: dict[str, Stage]) -> bool:
    return goes_on and stages[edge.upstream].kind not in FOUNDATIONS


def _foundations(stage: Stage, into: dict[str, list[Edge]], stages: dict[str, Stage]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    unseen, seen = [stage.id], {stage.id}
    while unseen:
        for edge in into[unseen.pop()]:
            upstream = stages[edge.upstream]
            if edge.upstream in seen or upstream.pipe not in (None, stage.pipe):
                continue
            seen.add(edge.upstream)
            unseen.append(edge.upstream)
            if upstream.kind in FOUNDATIONS:
                found[edge.upstream] = None
    return tuple(stage_id for stage_id in stages if stage_id in found)


class _Groups:
    """The task groups of a DAG, made when the first task asks for one: a group per pipe, in it one per layer."""

    def __init__(self, dag: DAG, plan: Plan) -> None:
        self._dag = dag
        self._made: dict[tuple[str, ...], TaskGroup] = {}

    def of(self, stage: Stage) -> TaskGroup | None:
        """Return the group of a stage, None for stages of the whole pipeline."""
        if stage.pipe is None:
            return None
        pipe, layer = stage.pipe.name, stage.layer.value
        if (pipe, layer) not in self._made:
            if (pipe,) not in self._made:
                tooltip = stage.pipe.description + ("" if stage.pipe.active else " (inactive: shown, not run)")
                self._made[(pipe,)] = TaskGroup(pipe, dag=self._dag, parent_group=None, tooltip=tooltip.strip())
            parent = self._made[(pipe,)]
            self._made[(pipe, layer)] = TaskGroup(layer, parent_group=parent, tooltip=LAYER_TOOLTIPS[stage.layer])
        return self._made[(pipe, layer)]


def _default_arguments(pipeline: Pipeline) -> dict[str, Any]:
    settings = pipeline.airflow
    arguments = {
        "owner": settings.owner,
        "retries": settings.retries,
        "retry_delay": settings.retry_delay,
        "pool": settings.pool,
        "queue": settings.queue,
        "execution_timeout": settings.execution_timeout,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _start(plan: Plan) -> datetime:
    own = plan.schedule.start_date if isinstance(plan.schedule, CronSchedule) else None
    return _midnight(own or plan.pipeline.start_date, plan.pipeline.timezone)


def _end(pipeline: Pipeline) -> datetime | None:
    """The last moment of the last day: Airflow would make no run that starts after the end, on that day itself too."""
    last = pipeline.airflow.end_date
    return None if last is None else _midnight(last + timedelta(days=1), pipeline.timezone) - timedelta(microseconds=1)


def _first_day(plan: Plan) -> date:
    own = plan.schedule.start_date if isinstance(plan.schedule, CronSchedule) else None
    return own or plan.pipeline.start_date


def _midnight(day: date, timezone: str) -> datetime:
    return pendulum.datetime(day.year, day.month, day.day, tz=timezone)

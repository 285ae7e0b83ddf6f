"""Plans: one per schedule, with the edges that the data asks for, and fingerprints that say when something changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pyelt_provider.errors import ConfigError
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.mapping import EntityMapping, MappingSource
from pyelt_provider.model.pipeline import CronSchedule, Pipeline
from pyelt_provider.planning.describe import describe, describe_plan
from pyelt_provider.planning.plan import Condition, Edge, build_plan, build_plans
from small_project import small_pipeline


def test_a_pipeline_becomes_stages_and_edges() -> None:
    plan = build_plan(small_pipeline(Path("data")), None)
    assert [stage.id for stage in plan.stages] == [
        "prepare",
        "ddl_dv",
        "his.sor.ddl_sor",
        "his.sor.check_mappings",
        "his.sor.etl_sor",
        "his.dv.etl_hubs",
        "crm.sor.ddl_sor",
        "crm.sor.check_mappings",
        "crm.sor.etl_sor",
        "crm.dv.etl_hubs",
        "his.dv.etl_links",
        "close",
    ]
    assert set(plan.edges) == {
        Edge("prepare", "ddl_dv"),
        Edge("prepare", "his.sor.ddl_sor"),
        Edge("ddl_dv", "his.sor.check_mappings"),
        Edge("his.sor.ddl_sor", "his.sor.check_mappings"),
        Edge("his.sor.check_mappings", "his.sor.etl_sor"),
        Edge("his.sor.etl_sor", "his.dv.etl_hubs"),
        Edge("his.dv.etl_hubs", "his.dv.etl_links"),
        Edge("prepare", "crm.sor.ddl_sor"),
        Edge("ddl_dv", "crm.sor.check_mappings"),
        Edge("crm.sor.ddl_sor", "crm.sor.check_mappings"),
        Edge("crm.sor.check_mappings", "crm.sor.etl_sor"),
        Edge("crm.sor.etl_sor", "crm.dv.etl_hubs"),
        Edge("crm.dv.etl_hubs", "his.dv.etl_links", Condition.ENDED),
        Edge("his.dv.etl_links", "close", Condition.ENDED),
        Edge("crm.dv.etl_hubs", "close", Condition.ENDED),
    }


def test_a_pipe_with_another_rhythm_gets_a_plan_of_its_own() -> None:
    pipeline = small_pipeline(Path("data"))
    his, crm = pipeline.pipes
    monthly = dataclasses.replace(
        pipeline,
        schedules=(("monthly", CronSchedule(cron="0 3 1 * *")), ("never", CronSchedule(cron="0 0 1 1 *"))),
        pipes=(his, dataclasses.replace(crm, schedule="monthly")),
    )
    plans = build_plans(monthly)
    assert [(plan.dag_id, [pipe.name for pipe in plan.pipes]) for plan in plans] == [
        ("small", ["his"]),
        ("small__monthly", ["crm"]),
    ]


def test_a_stage_comes_behind_all_that_it_waits_for_whatever_the_order_of_pipes() -> None:
    pipeline = small_pipeline(Path("data"))
    for pipes in (pipeline.pipes, pipeline.pipes[::-1]):
        plan = build_plan(dataclasses.replace(pipeline, pipes=pipes), None)
        places = {stage.id: place for place, stage in enumerate(plan.stages)}
        assert all(places[edge.upstream] < places[edge.downstream] for edge in plan.edges)


def test_pipes_that_wait_for_each_other_in_a_circle_are_refused_with_their_mappings() -> None:
    pipeline = small_pipeline(Path("data"))
    view = pipeline.hubs["Patient"].view
    pipes = tuple(
        dataclasses.replace(
            pipe,
            entities=(
                *pipe.entities,
                EntityMapping(name=f"view of {pipe.name}", source=MappingSource(view=view), hub="Patient", bk="bk"),
            ),
        )
        for pipe in pipeline.pipes
    )
    with pytest.raises(ConfigError) as refused:
        build_plan(dataclasses.replace(pipeline, pipes=pipes), None)
    assert [problem.path for problem in refused.value.problems] == [
        "his.entities.view of his",
        "crm.entities.view of crm",
    ]


def test_only_the_stages_of_a_changed_mapping_get_another_fingerprint() -> None:
    pipeline = small_pipeline(Path("data"))
    his, crm = pipeline.pipes
    changed = dataclasses.replace(crm, entities=(dataclasses.replace(crm.entities[0], bk="upper(nr)"),))
    before = _fingerprints(pipeline)
    after = _fingerprints(dataclasses.replace(pipeline, pipes=(his, changed)))
    assert {stage for stage in before if before[stage] != after[stage]} == {
        "crm.sor.ddl_sor",
        "crm.sor.check_mappings",
        "crm.dv.etl_hubs",
    }


def test_nothing_that_is_shown_holds_a_password() -> None:
    pipeline = dataclasses.replace(
        small_pipeline(Path("data")), warehouse=ConnectionRef("postgresql://loader:geheim@host:5432/dwh")
    )
    plan = build_plan(pipeline, None)
    shown = describe_plan(plan) + "".join(describe(stage) for stage in plan.stages) + repr(plan) + repr(pipeline)
    assert "geheim" not in shown
    assert "postgresql://loader:***@host:5432/dwh" in shown


def _fingerprints(pipeline: Pipeline) -> dict[str, str]:
    return {stage.id: stage.fingerprint for stage in build_plan(pipeline, None).stages}

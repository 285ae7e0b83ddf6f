"""From a pipeline to its plans: one per schedule, with stages and the edges that the data asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from pyelt_provider.errors import ConfigError, Problem
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.model.domain import Satellite, SatelliteKind
from pyelt_provider.model.mapping import FieldMapping, Mapping
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline, Schedule
from pyelt_provider.planning.fingerprint import canonical, fingerprint
from pyelt_provider.planning.stages import Layer, Stage, StageKind, Target, TargetKind


class Condition(StrEnum):
    """What a downstream stage asks of an upstream one: that it did not fail, or only that it ended in any state."""

    NOT_FAILED = "not failed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Edge:
    """`downstream` waits for `upstream`; both are stage ids."""

    upstream: str
    downstream: str
    condition: Condition = Condition.NOT_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one DAG does: its stages in an order that respects the edges. `schedule_name` is None for the main one."""

    dag_id: str
    schedule_name: str | None
    schedule: Schedule | None
    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...]
    pipeline: Pipeline = field(repr=False, compare=False)

    @property
    def pipes(self) -> tuple[Pipe, ...]:
        return _pipes_of(self.pipeline, self.schedule_name)

    @property
    def fingerprint(self) -> str:
        stages = tuple(sorted((stage.id, stage.fingerprint) for stage in self.stages))
        return fingerprint(self.dag_id, stages, tuple(sorted(map(canonical, self.edges))))

    def stage(self, stage_id: str) -> Stage:
        return next(stage for stage in self.stages if stage.id == stage_id)


def build_plans(pipeline: Pipeline) -> tuple[Plan, ...]:
    """Return the plan of the pipeline's own schedule and one per extra schedule that a pipe or datamart uses.

    Raises ConfigError when pipes wait for each other in a circle.
    """
    names = [None, *(name for name, _ in pipeline.schedules)]
    return tuple(
        build_plan(pipeline, name)
        for name in names
        if name is None or _pipes_of(pipeline, name) or any(model.schedule == name for model in pipeline.datamarts)
    )


def build_plan(pipeline: Pipeline, schedule_name: str | None) -> Plan:
    """Return the plan of one schedule; pipes stand in the order of the project, which never matters for the result."""
    pipes = _pipes_of(pipeline, schedule_name)
    base = fingerprint(
        pipeline.warehouse, pipeline.sys_schema, pipeline.on_errors, pipeline.debug, pipeline.create_views
    )
    vault = fingerprint(base, tuple(sorted(pipeline.domains, key=lambda domain: domain.schema)))
    stages: list[Stage] = [_stage(pipeline, StageKind.PREPARE, Layer.SYS, "Prepare the run", vault)]
    edges: list[Edge] = []
    if pipeline.valuesets:
        stages.append(
            _stage(pipeline, StageKind.DDL_VALSET, Layer.VALSET, "Create and extend the valueset tables", vault)
        )
        edges.append(Edge("prepare", "ddl_valset"))
    if pipeline.hubs:
        stages.append(
            _stage(pipeline, StageKind.DDL_DV, Layer.DV, "Create and extend the vault's tables and views", vault)
        )
        edges.append(Edge("ddl_valset" if pipeline.valuesets else "prepare", "ddl_dv"))
    ddl_ids = [stage.id for stage in stages]
    last_of_pipe: dict[str, str] = {}
    for pipe in pipes:
        own = pipe_stages(pipeline, pipe, vault)
        edges += [Edge(ddl, own[1].id if ddl != "prepare" else own[0].id) for ddl in ddl_ids]
        edges += [Edge(before.id, after.id) for before, after in pairwise(own)]
        stages += own
        last_of_pipe[pipe.name] = own[-1].id
    edges += _edges_between_pipes(pipeline, pipes, stages)
    ends = list(last_of_pipe.values()) or ddl_ids[-1:]
    models = _models_of(pipeline, schedule_name, stages)
    if models:
        functions = tuple(sorted(pipeline.functions, key=lambda function: function.file))
        marts = fingerprint(base, functions, tuple(sorted(models, key=lambda model: model.file)))
        for kind, title in (
            (StageKind.DDL_DM, "Prepare the datamarts' schema and functions"),
            (StageKind.ETL_DM, "Build the datamarts"),
        ):
            writes = (
                tuple(Target(model.table, _model_kind(model)) for model in models) if kind is StageKind.ETL_DM else ()
            )
            reads = tuple(sorted({table for model in models for table in model.reads}))
            stages.append(
                Stage(
                    id=kind.value,
                    kind=kind,
                    layer=Layer.DM,
                    title=title,
                    writes=writes,
                    reads=reads,
                    fingerprint=marts,
                    pipeline=pipeline,
                    datamarts=models,
                )
            )
        edges += [Edge(end, "ddl_dm", Condition.ENDED) for end in ends]
        edges.append(Edge("ddl_dm", "etl_dm"))
        ends = ["etl_dm"]
    stages.append(_stage(pipeline, StageKind.CLOSE, Layer.SYS, "Close the run", base))
    edges += [Edge(end, "close", Condition.ENDED) for end in ends]
    return Plan(
        dag_id=pipeline.name if schedule_name is None else f"{pipeline.name}__{schedule_name}",
        schedule_name=schedule_name,
        schedule=pipeline.schedule if schedule_name is None else dict(pipeline.schedules)[schedule_name],
        stages=_in_order_of_edges(stages, edges),
        edges=tuple(edges),
        pipeline=pipeline,
    )


def _in_order_of_edges(stages: list[Stage], edges: list[Edge]) -> tuple[Stage, ...]:
    """Each stage behind those that it waits for, else as given: one pipe's links may wait for another pipe's hubs."""
    waits: dict[str, set[str]] = {stage.id: set() for stage in stages}
    for edge in edges:
        waits[edge.downstream].add(edge.upstream)
    ordered: dict[str, Stage] = {}
    while len(ordered) < len(stages):
        left = [stage for stage in stages if stage.id not in ordered]
        free = next((stage for stage in left if waits[stage.id] <= ordered.keys()), None)
        if free is None:
            raise _circle(left)
        ordered[free.id] = free
    return tuple(ordered.values())


def _circle(waiting: list[Stage]) -> ConfigError:
    """Pipes wait for each other in a circle only where each maps from a view over a hub that the other one fills."""
    readers = [
        (pipe, mapping)
        for pipe in {stage.pipe_name: stage.pipe for stage in waiting if stage.kind is StageKind.ETL_HUBS}.values()
        if pipe is not None
        for mapping in pipe.entities
        if mapping.source.view is not None
    ]
    return ConfigError(
        tuple(
            Problem(
                mapping.place.file,
                mapping.place.line,
                f"{pipe.name}.entities.{mapping.name}",
                f"it maps from {mapping.source.view}, whose hub is filled by a pipe that waits for this pipe in turn",
                "move the mapping to a pipe that fills no hub which the other one reads through a view",
            )
            for pipe, mapping in readers
        )
    )


def _pipes_of(pipeline: Pipeline, schedule_name: str | None) -> tuple[Pipe, ...]:
    return tuple(pipe for pipe in pipeline.pipes if pipe.schedule == schedule_name)


def _stage(pipeline: Pipeline, kind: StageKind, layer: Layer, title: str, marks: str) -> Stage:
    return Stage(
        id=kind.value, kind=kind, layer=layer, title=title, fingerprint=fingerprint(kind, marks), pipeline=pipeline
    )


def pipe_stages(pipeline: Pipeline, pipe: Pipe, vault: str = "") -> list[Stage]:
    """Return the stages of one pipe in their order; `vault` is the fingerprint of what all pipes share."""
    staging = tuple(Target(table.table, TargetKind.STAGING) for table in pipe.tables)
    staging_names = tuple(target.table for target in staging)
    valuesets, hubs, links = valueset_targets(pipeline, pipe), hub_targets(pipeline, pipe), link_targets(pipeline, pipe)
    mapped_reads = tuple(sorted(_mapping_reads(pipe)))
    hub_reads = tuple(sorted(link_lookups(pipeline, pipe)))
    mappings = fingerprint(vault, pipe.entities, pipe.links, pipe.valuesets, pipe.functions)
    source = fingerprint(
        vault, pipe.source, pipe.tables, pipe.validations, pipe.before_sor, pipe.after_sor, pipe.active
    )
    ddl = fingerprint(source, mappings, pipe.extra_sql, pipe.functions)
    checked = fingerprint(mappings, pipe.tables, pipe.validations)
    rows: list[tuple[StageKind, Layer, str, tuple[Target, ...], tuple[TableName, ...], str]] = [
        (StageKind.DDL_SOR, Layer.SOR, "Create and extend the staging tables", (), (), ddl),
        (StageKind.CHECK_MAPPINGS, Layer.SOR, "Check the mappings against the tables", (), staging_names, checked),
        (StageKind.ETL_SOR, Layer.SOR, "Load the source into staging", staging, (), source),
    ]
    if pipe.valuesets:
        title = "Load the valuesets from staging"
        rows.append((StageKind.ETL_VALSET, Layer.VALSET, title, valuesets, staging_names + mapped_reads, mappings))
    if pipe.entities:
        title = "Load hubs and satellites from staging"
        rows.append((StageKind.ETL_HUBS, Layer.DV, title, hubs, staging_names + mapped_reads, mappings))
    if pipe.links or (pipe.entities and any(domain.validations for domain in pipeline.domains)):
        title = "Load links and their satellites from staging"
        rows.append((StageKind.ETL_LINKS, Layer.DV, title, links, staging_names + mapped_reads + hub_reads, mappings))
    return [
        Stage(
            id=f"{pipe.name}.{layer}.{kind}",
            kind=kind,
            layer=layer,
            title=title,
            writes=writes,
            reads=tuple(dict.fromkeys(reads)),
            fingerprint=fingerprint(kind, marks),
            pipeline=pipeline,
            pipe=pipe,
        )
        for kind, layer, title, writes, reads, marks in rows
    ]


def _edges_between_pipes(pipeline: Pipeline, pipes: tuple[Pipe, ...], stages: list[Stage]) -> list[Edge]:
    """Where one pipe looks up keys that another pipe of this plan brings, it waits until that one's hubs have ended."""
    ids = {stage.id for stage in stages}
    filled = {
        stage.id: {target.table for target in stage.writes if target.kind is TargetKind.HUB}
        for stage in stages
        if stage.kind is StageKind.ETL_HUBS
    }
    edges = []
    for reader in pipes:
        for kind, hubs in (("etl_links", link_lookups(pipeline, reader)), ("etl_hubs", view_lookups(pipeline, reader))):
            reader_id = f"{reader.name}.dv.{kind}"
            for writer in pipes:
                writer_id = f"{writer.name}.dv.etl_hubs"
                if writer is not reader and reader_id in ids and not hubs.isdisjoint(filled.get(writer_id, ())):
                    edges.append(Edge(writer_id, reader_id, Condition.ENDED))
    return edges


def hub_targets(pipeline: Pipeline, pipe: Pipe) -> tuple[Target, ...]:
    """Return the hubs and satellites that the pipe's entity mappings write, sorted."""
    targets = set()
    hubs = pipeline.hubs
    for mapping in pipe.entities:
        hub = hubs[mapping.hub]
        targets.add(Target(hub.table, TargetKind.HUB))
        targets |= _filled_satellites(hub.satellites, mapping.fields)
    return tuple(sorted(targets))


def link_targets(pipeline: Pipeline, pipe: Pipe) -> tuple[Target, ...]:
    """Return the links, their satellites and status tables, and hubs where missing keys are created, sorted."""
    targets = set()
    hubs, links = pipeline.hubs, pipeline.links
    for mapping in pipe.links:
        link = links[mapping.link]
        targets.add(Target(link.table, TargetKind.LINK))
        targets |= _filled_satellites(link.satellites, mapping.fields)
        if link.status:
            targets.add(Target(link.status_table, TargetKind.SATELLITE))
        if mapping.missing_reference == "create_hub":
            targets |= {Target(hubs[r.hub].table, TargetKind.HUB) for r in link.references}
    return tuple(sorted(targets))


def valueset_targets(pipeline: Pipeline, pipe: Pipe) -> tuple[Target, ...]:
    """Return the valuesets that the pipe writes, sorted."""
    valuesets = pipeline.valuesets
    return tuple(sorted({Target(valuesets[m.valueset].table, TargetKind.VALUESET) for m in pipe.valuesets}))


def link_lookups(pipeline: Pipeline, pipe: Pipe) -> set[TableName]:
    """Return the hub tables in which the pipe's link mappings look keys up."""
    hubs, links = pipeline.hubs, pipeline.links
    return {hubs[r.hub].table for m in pipe.links for r in links[m.link].references}


def view_lookups(pipeline: Pipeline, pipe: Pipe) -> set[TableName]:
    """Return the hub tables behind the vault views that the pipe's entity mappings read."""
    by_view = {hub.view: hub.table for hub in pipeline.hubs.values()}
    return {by_view[m.source.view] for m in pipe.entities if m.source.view is not None and m.source.view in by_view}


def _filled_satellites(satellites: tuple[Satellite, ...], fields: tuple[FieldMapping, ...]) -> set[Target]:
    named = {item.satellite for item in fields}
    return {
        Target(satellite.table, TargetKind.SATELLITE)
        for satellite in satellites
        if satellite.kind is SatelliteKind.RECORD_STATUS or satellite.name in named
    }


def _mapping_reads(pipe: Pipe) -> set[TableName]:
    mappings: tuple[Mapping, ...] = (*pipe.entities, *pipe.links, *pipe.valuesets)
    sources = [mapping.source for mapping in mappings]
    return {t for s in sources for t in (*s.reads, *((s.view,) if s.view else ()))}


def _model_kind(model: DatamartModel) -> TargetKind:
    return TargetKind.VIEW if model.materialization is Materialization.VIEW else TargetKind.DATAMART


def _models_of(pipeline: Pipeline, schedule_name: str | None, stages: list[Stage]) -> tuple[DatamartModel, ...]:
    """Return this schedule's models in dependency order: those with its name, and those that read what it loads."""
    written = {target.table for stage in stages for target in stage.writes}
    written |= {hub.view for hub in pipeline.hubs.values() if hub.table in written}
    written |= {link.view for link in pipeline.links.values() if link.table in written}
    tables = {hub.name: hub.table for hub in pipeline.hubs.values()}
    tables |= {link.name: link.table for link in pipeline.links.values()}
    for view in pipeline.ensemble_views:
        if any(tables[member.entity] in written for member in view.members):
            written.add(view.table)
    chosen: list[DatamartModel] = []
    for model in in_dependency_order(pipeline.datamarts):
        own = model.schedule == schedule_name if model.schedule is not None else bool(written & set(model.reads))
        if own:
            chosen.append(model)
            written.add(model.table)
    return tuple(chosen)


def in_dependency_order(models: tuple[DatamartModel, ...]) -> tuple[DatamartModel, ...]:
    """Return the models so that each stands behind those that it reads; the reading of configs refuses cycles."""
    by_table = {model.table: model for model in models}
    ordered: dict[TableName, DatamartModel] = {}

    def place(model: DatamartModel, above: tuple[TableName, ...]) -> None:
        for table in model.reads:
            if table in by_table and table not in ordered and table not in above:
                place(by_table[table], (*above, model.table))
        ordered.setdefault(model.table, model)

    for model in sorted(models, key=lambda m: m.name):
        place(model, ())
    return tuple(ordered.values())

"""The locks that a stage takes at its start, all of them in one global order, so that stages cannot wait in a circle."""

from __future__ import annotations

from collections.abc import Sequence

from pyelt_provider.identifiers import TableName
from pyelt_provider.planning.plan import link_lookups, pipe_stages
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind, TargetKind
from pyelt_provider.statements.mappings.given_keys import see_left_keys
from pyelt_provider.statements.step import Program, Statement

LOADING = (StageKind.ETL_SOR, StageKind.ETL_VALSET, StageKind.ETL_HUBS, StageKind.ETL_LINKS)
_SHARED_KINDS = (TargetKind.HUB, TargetKind.SATELLITE, TargetKind.LINK, TargetKind.VALUESET)
_FIRST_LOADED = (TargetKind.HUB, TargetKind.LINK, TargetKind.VALUESET)
"""Satellites may stay empty for years (a status, a type that nobody has); they are loaded in bulk when nobody is near."""


def lock_stage(stage: Stage, run: Run, *, exclusive: bool) -> Program:
    """Take the pipe's lock and an advisory lock per table, by name; all are gone when the transaction ends.

    A pipe's loading stages never run at the same time. Tables that pipes share are locked shared; exclusively when
    something is to be taken back or links are to be given up, and while a table of the stage is still empty (its first
    load drops indexes and keys and makes them anew). `etl_dm` locks its models exclusively.
    """
    if stage.kind is StageKind.ETL_DM:
        yield from _take([target.table for target in stage.writes], exclusive=True)
        return
    if stage.kind not in LOADING:
        return
    yield _take_pipe(stage.pipe_name)
    shared = _shared(stage)
    if exclusive:  # what later stages of the pipe made from it is taken back, too
        later = LOADING[LOADING.index(stage.kind) :]
        shared = [t for s in pipe_stages(stage.pipeline, stage.the_pipe) if s.kind in later for t in _shared(s)]
    if not shared:
        return
    targets = [target.table for target in stage.writes if target.kind in _FIRST_LOADED]
    empty = yield Statement(
        label="look for empty tables",
        # The size of its file, because reading the table would keep it open until the end: another stage that waits
        # for our lock here would then stand in the way of the one that has it and drops indexes.
        sql="select exists (select from unnest(%(tables)s::text[]) name where pg_relation_size(to_regclass(name)) = 0)",
        parameters={"tables": [table.sql.replace("%%", "%") for table in targets]},
        fetch=True,
        assumed=((False,),),
    )
    exclusive = exclusive or bool(empty.value)
    if stage.kind is StageKind.ETL_LINKS and not exclusive:
        # Keys whose giver was taken back: links that stand on them are taken back, too.
        exclusive = bool((yield see_left_keys(stage, link_lookups(stage.pipeline, stage.the_pipe))).rows)
    yield from _take(shared, exclusive=exclusive)


def lock_pipes(stages: Sequence[Stage], datamarts: Stage | None) -> Program:
    """Keep every load of these stages' pipes, of the tables that they share with others, and of the datamarts, out."""
    for pipe in sorted({stage.pipe_name for stage in stages}):
        yield _take_pipe(pipe)
    shared = [table for stage in stages for table in _shared(stage)]
    built = [target.table for target in datamarts.writes] if datamarts is not None else []
    yield from _take([*shared, *built], exclusive=True)


def _take_pipe(pipe: str) -> Statement:
    return Statement(
        label="wait for the pipe's other stages",
        sql="select pg_advisory_xact_lock(hashtextextended('pyelt pipe ' || %(pipe)s, 0))",
        parameters={"pipe": pipe},
    )


def _shared(stage: Stage) -> list[TableName]:
    """Return the tables that other pipes may write, or write to, as well: those that it writes and the hubs that it reads."""
    shared = [target.table for target in stage.writes if target.kind in _SHARED_KINDS]
    if stage.kind in (StageKind.ETL_HUBS, StageKind.ETL_LINKS):
        hubs = {hub.table for hub in stage.pipeline.hubs.values()}
        shared += [table for table in stage.reads if table in hubs]
    return shared


def _take(tables: list[TableName], *, exclusive: bool) -> Program:
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    for table in sorted(set(tables)):
        yield Statement(
            label="lock exclusively" if exclusive else "lock shared",
            sql=f"select {function}(hashtextextended('pyelt table ' || %(name)s, 0))",
            parameters={"name": str(table)},
        )

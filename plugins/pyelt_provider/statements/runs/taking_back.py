"""Takes back what a stage did in a run: its rows go, what it closed is open again, what it marked is as before.

Reads only columns and journal rows that carry the run's id, so its cost follows what the run did.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from pyelt_provider.errors import OrderRefused
from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.planning.plan import link_lookups, pipe_stages
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind, Target, TargetKind
from pyelt_provider.statements.mappings.heirs import take_back_keys
from pyelt_provider.statements.runs.locking import LOADING
from pyelt_provider.statements.sql.loads import let_loads_go
from pyelt_provider.statements.step import Count, Program, Statement


def take_back(stage: Stage, run: Run) -> Program:
    """Take back the stage and what later stages of its pipe and run made from it; these are then "to do".

    Hub and link rows that this run brought in go too; what another pipe gives or uses becomes that pipe's. Runs inside the
    transaction of the attempt that does the stage anew, or of `pyelt rewind`. Raises OrderRefused when a repair changed the
    rows since.
    """
    if stage.kind not in LOADING:
        return
    own = {s.id: s for s in pipe_stages(stage.pipeline, stage.the_pipe) if s.kind in LOADING}
    position = LOADING.index(stage.kind)
    later = sorted((s for s in own.values() if LOADING.index(s.kind) >= position), key=lambda s: -LOADING.index(s.kind))
    yield from _refuse_repaired(stage, run, later)
    if stage.kind is StageKind.ETL_SOR:
        yield from _take_back_readers(stage, run, own)
    for one in later:
        yield from _take_back_one(one, run)


def _refuse_repaired(stage: Stage, run: Run, stages: Sequence[Stage]) -> Program:
    """Refuse to take back what these stages did before `pyelt repair` changed their tables: the rows are others now."""
    s = quote(stage.pipeline.sys_schema)
    tables = sorted({target.table for own in stages for target in own.writes})
    repaired = yield Statement(
        label="look for a repair since then",
        sql=f"""
            select max(repairs.date)::date::text from {s}.repairs
            where repairs.load_order >= (select min(load_order) from {s}.stages
                                         where (runid, pipe) = (%(runid)s, %(pipe)s) and kind = any(%(kinds)s))
              and exists (select from {s}.repaired_rows as mended
                          where mended.repair = repairs.id
                            and (mended.schemaname, mended.tablename) in (
                                select * from unnest(%(schemas)s::text[], %(tables)s::text[])))
        """,
        parameters={
            "runid": run.number,
            "pipe": stage.pipe_name,
            "kinds": [own.kind.value for own in stages],
            "schemas": [table.schema for table in tables],
            "tables": [table.name for table in tables],
        },
        fetch=True,
    )
    if repaired.value is not None:
        raise OrderRefused(
            f"{stage.id}: run {run.number} loaded pipe {stage.pipe_name} before `pyelt repair` of {repaired.value} changed "
            "its tables, so it cannot be taken back exactly any more; start a new run with the right deliveries"
        )


def _take_back_readers(stage: Stage, run: Run, own: dict[str, Stage]) -> Program:
    """Stages of other runs that looked at this staging load (a run of the dv layer alone) stand on rows that now go."""
    readers = yield Statement(
        label="look for other runs that read this load",
        sql=f"""
            select distinct runid, stage from {quote(stage.pipeline.sys_schema)}.positions
            where pipe = %(pipe)s and schemaname = %(schema)s and sor_runid = %(runid)s and runid <> %(runid)s
            order by runid desc, stage
        """,
        parameters={"pipe": stage.pipe_name, "schema": stage.the_pipe.sor_schema, "runid": run.number},
        fetch=True,
    )
    for number, stage_id in readers.rows:
        if str(stage_id) in own:
            yield from _take_back_one(own[str(stage_id)], dataclasses.replace(run, number=Decimal(str(number))))


def _take_back_one(stage: Stage, run: Run) -> Program:
    known = {"runid": run.number, "pipe": stage.pipe_name, "stage": stage.id}
    s = quote(stage.pipeline.sys_schema)
    yield from _release_fk_columns(stage, known)
    for target in _dependents_first(stage.writes):
        match target.kind:
            case TargetKind.STAGING | TargetKind.SATELLITE | TargetKind.VALUESET:
                yield from _history(target, known)
            case TargetKind.LINK:
                yield from take_back_keys(stage, target.table, run)
            case TargetKind.HUB if stage.kind is StageKind.ETL_HUBS:
                yield from take_back_keys(stage, target.table, run)
            case TargetKind.HUB | TargetKind.VIEW | TargetKind.DATAMART:
                pass
    if stage.kind is StageKind.ETL_LINKS:
        for hub in sorted(link_lookups(stage.pipeline, stage.the_pipe)):
            yield from take_back_keys(stage, hub, run, only_for_links=True)
    yield from _journal(stage, known)
    schemas = {target.table.schema for target in stage.writes} | {stage.the_pipe.sor_schema}
    for schema in sorted(schemas):
        yield Statement(
            label="forget rejected rows",
            sql=f"""delete from {TableName(schema, "_exceptions").sql}
                    where _runid = %(runid)s and _source_system = %(pipe)s and _stage = %(stage)s""",
            parameters=known,
        )
    for label, sql in (
        (
            "take back positions",
            f"delete from {s}.positions where (runid, stage, pipe) = (%(runid)s, %(stage)s, %(pipe)s)",
        ),
        (
            "take back mapping states",
            f"delete from {s}.mapping_states where (runid, stage, pipe) = (%(runid)s, %(stage)s, %(pipe)s)",
        ),
        ("take back rejections", f"delete from {s}.rejected_rows where (runid, stage) = (%(runid)s, %(stage)s)"),
        (
            "take back freed rows",
            f"update {s}.rejected_rows set freed_runid = null where freed_runid = %(runid)s and stage = %(stage)s",
        ),
        (
            "take back waiting references",
            f"delete from {s}.waiting_references where (runid, stage) = (%(runid)s, %(stage)s)",
        ),
        (
            "take back resolved references",
            f"update {s}.waiting_references set resolved_runid = null where resolved_runid = %(runid)s and stage = %(stage)s",
        ),
        (
            "take back what was passed over",
            f"delete from {s}.horizons where (runid, stage, pipe) = (%(runid)s, %(stage)s, %(pipe)s)",
        ),
        (
            "let its load be gone",
            let_loads_go(stage.pipeline.sys_schema, "(stages.runid, stages.stage) = (%(runid)s, %(stage)s)"),
        ),
        (
            "mark the stage as to do",
            f"update {s}.stages set state = 'to do' where (runid, stage) = (%(runid)s, %(stage)s)",
        ),
    ):
        yield Statement(label=label, sql=sql, parameters=known)
    if stage.kind is StageKind.ETL_SOR:
        yield Statement(
            label="take back source positions",
            sql=f"delete from {s}.source_positions where (runid, pipe) = (%(runid)s, %(pipe)s)",
            parameters=known,
        )
        yield Statement(
            label="forget the files of the run",
            sql=f"delete from {s}.delivered_files where (runid, pipe) = (%(runid)s, %(pipe)s)",
            parameters=known,
        )


def _dependents_first(targets: tuple[Target, ...]) -> Iterator[Target]:
    order = (
        TargetKind.SATELLITE,
        TargetKind.VALUESET,
        TargetKind.LINK,
        TargetKind.HUB,
        TargetKind.STAGING,
        TargetKind.VIEW,
        TargetKind.DATAMART,
    )
    return iter(sorted(targets, key=lambda target: (order.index(target.kind), target.table)))


def _history(target: Target, known: dict[str, object]) -> Program:
    """Rows with a history: what the run added goes first, then what it closed is active again (one active row per key)."""
    table = target.table.sql
    yield Statement(
        label="take back added rows",
        sql=f"delete from {table} where _runid = %(runid)s and _source_system = %(pipe)s",
        parameters=known,
        table=target.table,
        count=Count.TAKEN_BACK,
    )
    is_staging = target.kind is TargetKind.STAGING
    deleted = ", _deleted_runid = null" if is_staging else ""
    # Staging belongs to one pipe; rows that an old PyELT loaded there may have another name in _source_system.
    own = "" if is_staging else " and _source_system = %(pipe)s"
    yield Statement(
        label="open closed rows again",
        sql=f"""update {table} set _active = true, _finish_date = null, _finish_runid = null{deleted}
                where _finish_runid = %(runid)s{own}""",
        parameters=known,
        table=target.table,
        count=Count.TAKEN_BACK,
    )


def _release_fk_columns(stage: Stage, known: dict[str, object]) -> Program:
    """Let go of the keys that the stage wrote into fk columns of staging, else they would count as used."""
    match stage.kind:
        case StageKind.ETL_HUBS:
            targets = set(stage.pipeline.hubs)
        case StageKind.ETL_LINKS:
            targets = set(stage.pipeline.links)
        case _:
            return
    named = [(t.table, column) for t in stage.the_pipe.tables for column, target in t.fk_columns if target in targets]
    if not named:
        return
    there = yield Statement(
        label="look for fk columns",
        sql="""
            select n.nspname, c.relname, a.attname
            from pg_attribute as a
            join pg_class as c on c.oid = a.attrelid
            join pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = %(schema)s and a.attname = any(%(columns)s::name[]) and not a.attisdropped
        """,
        parameters={"schema": stage.the_pipe.sor_schema, "columns": [column for _, column in named]},
        fetch=True,
        assumed=tuple((table.schema, table.name, column) for table, column in named),
    )
    for table, column in named:
        if (table.schema, table.name, column) in there.rows:
            yield Statement(
                label=f"empty {column} of the run's rows",
                sql=f"""update {table.sql} set {quote(column)} = null
                        where _runid = %(runid)s and {quote(column)} is not null""",
                parameters=known,
                table=table,
            )
            yield _restore(stage, table, column, known)


def _journal(stage: Stage, known: dict[str, object]) -> Program:
    """Put marked rows back to the values of before; the oldest entry of a row counts.

    A satellite has several rows with one `_id`: there the entry's `@key` holds the rest of the row's key.
    """
    s = quote(stage.pipeline.sys_schema)
    found = yield Statement(
        label="look for marked rows",
        sql=f"""
            select distinct j.schemaname, j.tablename, key
            from {s}.journal as j, lateral jsonb_object_keys(j.before) as key
            where (j.runid, j.stage) = (%(runid)s, %(stage)s) and key <> '@key'
            order by 1, 2, 3
        """,
        parameters=known,
        fetch=True,
    )
    columns: dict[TableName, list[str]] = defaultdict(list)
    for schema, table, column in found.rows:
        columns[TableName(str(schema), str(table))].append(str(column))
    for table, names in columns.items():
        for name in names:
            yield _restore(stage, table, name, known)
    yield Statement(
        label="forget the journal",
        sql=f"delete from {s}.journal where (runid, stage) = (%(runid)s, %(stage)s)",
        parameters=known,
    )


def _restore(stage: Stage, table: TableName, column: str, known: dict[str, object]) -> Statement:
    s = quote(stage.pipeline.sys_schema)
    return Statement(
        label=f"restore {column}",
        sql=f"""
            update {table.sql} as t set {quote(column)} = (jsonb_populate_record(null::{table.sql}, j.before)).{quote(column)}
            from (select distinct on (row_id, before -> '@key') row_id, before from {s}.journal
                  where (runid, stage) = (%(runid)s, %(stage)s) and before ? %(name)s
                    and (schemaname, tablename) = (%(schema)s, %(table)s)
                  order by row_id, before -> '@key', id) as j
            where t._id = j.row_id and (not before ? '@key' or to_jsonb(t) @> (before -> '@key'))
        """,
        parameters={**known, "name": column, "schema": table.schema, "table": table.name},
        table=table,
        count=Count.TAKEN_BACK,
    )

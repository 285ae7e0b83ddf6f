"""Loads links: from staging rows to whole links, with their satellites and status, and what waits or is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.domain import Link, Satellite, SatelliteKind
from pyelt_provider.model.mapping import LinkMapping, MissingReference
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.bulk_mode import BULK_ROWS, load_alone, load_in_bulk, see_empty_tables
from pyelt_provider.statements.ddl.tables import link_spec
from pyelt_provider.statements.links.collection import collect, look
from pyelt_provider.statements.links.history import LinkGroup, link_type
from pyelt_provider.statements.links.left_keys import give_up_left_keys, links_of_pipe
from pyelt_provider.statements.links.rows import Collected, LinkWork
from pyelt_provider.statements.links.satellites import find_winners, satellite_sources
from pyelt_provider.statements.links.status import load_status
from pyelt_provider.statements.links.waiting import resolve_absent, start_waiting
from pyelt_provider.statements.mappings.deltas import forget_removed, record_position
from pyelt_provider.statements.mappings.fk_columns import GivenIds, fill_fk_columns
from pyelt_provider.statements.mappings.given_keys import adopt_keys, note_given
from pyelt_provider.statements.satellites.load import load_satellite
from pyelt_provider.statements.satellites.owner import link_owner
from pyelt_provider.statements.sql.expressions import identifies
from pyelt_provider.statements.step import Count, Failure, Isolated, Program, Statement, one
from pyelt_provider.statements.vault.validations import validate_vault


def etl_links(stage: Stage, run: Run) -> Program:
    """Load the pipe's links: those from staging and queries, then those from vault views; then judge the vault's rows.

    Only what changed in staging since a mapping's last success is looked at, and what waited for a key that is there
    now. A link is whole: a row without all keys gives none and is counted, a row whose key is not in its hub waits (or
    makes the key, or is rejected, as the mapping says). Link tables are filled in one statement each, in the order of
    their names and ids, so that pipes which run side by side cannot wait for each other in a circle.
    """
    left = yield from give_up_left_keys(stage, run)
    views: list[tuple[Link, tuple[LinkMapping, ...]]] = []
    direct: list[tuple[Link, tuple[LinkMapping, ...]]] = []
    for link, mappings in links_of_pipe(stage):
        (views if any(mapping.source.view for mapping in mappings) else direct).append((link, mappings))
    done: list[LinkWork] = []
    for phase in (direct, views):
        yield from _load_phase(stage, run, phase, left, done)
    if len(done) == len(stage.the_pipe.links) and any(work.delta.others_went for work in done):
        yield forget_removed(stage, run)
    yield from validate_vault(stage, run)


def _load_phase(
    stage: Stage,
    run: Run,
    phase: list[tuple[Link, tuple[LinkMapping, ...]]],
    left: frozenset[TableName],
    done: list[LinkWork],
) -> Program:
    collected: list[LinkGroup] = []
    counted: dict[int, Collected] = {}
    for link, mappings in phase:
        # Mappings of a link with history are judged together; the others can fail alone.
        units = (mappings,) if _has_history(link, mappings) else tuple((mapping,) for mapping in mappings)
        for unit in units:
            program = _collect(stage, run, link, unit, left, collected, counted, done)
            yield from _guarded(stage, run, unit, program)
    yield from _create_keys_of_hubs(stage, run, [work for group in collected for work in group.works], counted)
    for _, groups in groupby(collected, key=lambda group: group.link.name):
        together = tuple(groups)
        unit = tuple(work.mapping for group in together for work in group.works)
        yield from _guarded(stage, run, unit, _load_link(stage, run, together, counted, done))


def _has_history(link: Link, mappings: tuple[LinkMapping, ...]) -> bool:
    return link.status or bool(_record_status(link)) or any(mapping.fields for mapping in mappings)


def _record_status(link: Link) -> tuple[TableName, ...]:
    """The tables that keep when a link went and came back."""
    kept = tuple(s.table for s in link.satellites if s.kind is SatelliteKind.RECORD_STATUS)
    return (link.status_table, *kept) if link.status else kept


def _guarded(stage: Stage, run: Run, mappings: tuple[LinkMapping, ...], program: Program) -> Program:
    """Run the program as `on_errors` says; one that fails alone leaves its rows for the next attempt or run."""
    if stage.pipeline.on_errors is OnErrors.THROW:
        yield from program
        return
    names = ", ".join(mapping.name for mapping in mappings)
    result = yield Isolated(label=f"load {names}", program=program, mapping=names)
    if result.error is None:
        return
    yield _wait_again(stage, run, mappings)
    for mapping in mappings:
        yield Failure(mapping=mapping.name, error=result.error)


def _wait_again(stage: Stage, run: Run, mappings: tuple[LinkMapping, ...]) -> Statement:
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="let references of failed mappings wait again",
        parameters={
            "pipe": stage.pipe_name,
            "mappings": [mapping.name for mapping in mappings],
            "runid": run.number,
        },
        sql=f"""
update {sys}.waiting_references set resolved_runid = null
where pipe = %(pipe)s and mapping = any(%(mappings)s) and resolved_runid = %(runid)s
""",
    )


def _collect(
    stage: Stage,
    run: Run,
    link: Link,
    mappings: tuple[LinkMapping, ...],
    left: frozenset[TableName],
    groups: list[LinkGroup],
    counted: dict[int, Collected],
    done: list[LinkWork],
) -> Program:
    works = []
    for mapping in mappings:
        works.append((yield from look(stage, run, link, mapping, left)))
    group = LinkGroup(
        link=link,
        works=tuple(works),
        full=any(work.full for work in works),
        has_history=_has_history(link, mappings),
    )
    collected = (yield from collect(stage, run, group)) if any(work.has_news for work in works) else ()
    if not collected:
        yield from _record_positions(stage, run, group)
        done += works
        return
    groups.append(group)
    counted |= {item.work.number: item for item in collected}


def _record_positions(stage: Stage, run: Run, group: LinkGroup, *, compare_again: bool = False) -> Program:
    for work in group.works:
        entity, delta = work.entity, work.delta
        if compare_again:
            # A fingerprint that no mapping has: what stayed in doubt is compared whole until nothing is in doubt.
            delta = replace(delta, new_state=True)
        fingerprint = "" if compare_again else entity.fingerprint
        yield from record_position(stage, run, work.name, delta, fingerprint, entity.key_fingerprint)


# ---------------------------------------------------------------- hubs that links make


def _create_keys_of_hubs(stage: Stage, run: Run, works: list[LinkWork], counted: dict[int, Collected]) -> Program:
    creating = [
        work
        for work in works
        if work.mapping.missing_reference is MissingReference.CREATE_HUB and counted[work.number].missing
    ]
    hubs = stage.pipeline.hubs
    wanted: dict[tuple[TableName, str], list[str]] = {}
    for work in creating:
        for number, reference in enumerate(work.link.references, 1):
            hub = hubs[reference.hub]
            rows = f"select missing_{number} as bk from {work.rows} where usable and keyed"
            wanted.setdefault((hub.table, hub.type), []).append(rows)
    for (table, hub_type), queries in sorted(wanted.items()):
        yield _create_hub_keys(stage, run, table, hub_type, queries)
        if any(table in work.left for work in creating):
            missing = "\n        union\n        ".join(queries)
            ids = f"select h._id, %(runid)s as runid from {table.sql} as h where h.bk in ({missing})"
            yield adopt_keys(stage, run, table, ids)
    for work in creating:
        yield _find_created_keys(stage, work)


def _create_hub_keys(stage: Stage, run: Run, table: TableName, hub_type: str, queries: list[str]) -> Statement:
    missing = "\n    union\n    ".join(queries)
    return Statement(
        label="insert keys that only links know",
        table=table,
        count=Count.INSERTED,
        parameters={
            "runid": run.number,
            "pipe": stage.pipe_name,
            "load_time": run.load_time,
            "type": hub_type,
            "schema": table.schema,
            "table": table.name,
        },
        sql=f"""
with made as (
    insert into {table.sql} (_runid, _source_system, _insert_date, type, bk)
    select %(runid)s, %(pipe)s, %(load_time)s, %(type)s, missing.bk
    from (
        {missing}
    ) missing
    where missing.bk is not null
    order by missing.bk
    on conflict do nothing
    returning _id)
insert into {quote(stage.pipeline.sys_schema)}.given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, made._id, %(pipe)s, %(runid)s, true from made
""",
    )


def _find_created_keys(stage: Stage, work: LinkWork) -> Statement:
    numbered = tuple(enumerate(work.link.references, 1))
    hubs = stage.pipeline.hubs
    found = ", ".join(
        f"{quote(r.column)} = coalesce(r.{quote(r.column)},"
        f" (select h._id from {hubs[r.hub].table.sql} h where h.bk = r.missing_{n})), missing_{n} = null"
        for n, r in numbered
    )
    any_missing = " or ".join(f"missing_{n} is not null" for n, _ in numbered)
    return Statement(
        label="look up the keys that were made",
        table=work.link.table,
        mapping=work.mapping.name,
        sql=f"update {work.rows} r set {found}\nwhere usable and keyed and ({any_missing})",
    )


# ---------------------------------------------------------------- one link


def _load_link(
    stage: Stage, run: Run, groups: tuple[LinkGroup, ...], counted: dict[int, Collected], done: list[LinkWork]
) -> Program:
    link = groups[0].link
    works = [work for group in groups for work in group.works]
    satellites = _filled_satellites(link, works)
    tables = (link.table, *(satellite.table for satellite in satellites))
    seen = yield see_empty_tables(tables)
    empty = {tables[int(str(place))] for place, is_empty in seen.rows if is_empty}
    alone: set[TableName] = set()
    if empty and sum(counted[work.number].rows for work in works) >= BULK_ROWS:
        # Foreign keys come back after the rows; that keeps others from writing the hubs that they point at.
        needed = sorted({*empty, link.table, *(stage.pipeline.hubs[r.hub].table for r in link.references)})
        got = yield load_alone(needed)
        if all(is_alone for _, is_alone in got.rows):
            alone = empty
    first = link.table in empty
    insert = insert_links(stage, run, link, works, first=link.table in alone)
    if link.table in alone:
        yield from load_in_bulk(link_spec(link, stage.pipeline), one(insert))
    else:
        yield insert
    if link.table not in alone:
        yield from _note_given_links(stage, run, link, works)
    for work in works:
        yield from fill_fk_columns(stage, run, work.name, work.staging, work.link.name, _given_links(work))
        yield from _missing_references(stage, run, work, counted[work.number])
    if satellites:
        for group in groups:
            for work in group.works:
                yield find_winners(group, work)
    for satellite in satellites:
        yield from load_satellite(
            stage,
            run,
            satellite,
            link_owner(stage.pipeline, link, None),
            satellite_sources(satellite, works),
            empty=satellite.table in empty,
            bulk=satellite.table in alone,
        )
    for group in groups:
        for status in _record_status(link):
            # Nothing can have gone before the first load; but of several partners one alone is current.
            if not first or link.driving is not None:
                yield from load_status(stage, run, group, status)
        yield from _record_positions(
            stage, run, group, compare_again=any(counted[work.number].unreadable for work in group.works)
        )
    done += works


def _filled_satellites(link: Link, works: list[LinkWork]) -> tuple[Satellite, ...]:
    filled = {item.satellite for work in works for item in work.mapping.fields}
    return tuple(
        sorted(
            (s for s in link.satellites if s.name in filled and s.kind is not SatelliteKind.RECORD_STATUS),
            key=lambda satellite: satellite.table,
        )
    )


def insert_links(stage: Stage, run: Run, link: Link, works: list[LinkWork], *, first: bool) -> Statement:
    """Insert every whole link of the collected rows that is not there yet, in the order of its references."""
    fks = tuple(quote(reference.column) for reference in link.references)
    fk_list = ", ".join(fks)
    distinct = "" if _gives_each_link_once(works) else "distinct "
    whole = " and ".join(f"{fk} is not null" for fk in fks)
    rows = "\n    union all\n    ".join(
        f"select {fk_list}, {link_type(work)} as type from {work.rows} where usable and {whole}" for work in works
    )
    same = " and ".join(f"l.{fk} = r.{fk}" for fk in fks) + (" and l.type = r.type" if link.types else "")
    new = "" if first else f"\nwhere not exists (select from {link.table.sql} l where {same})"
    order = "" if first else f"\norder by {fk_list}, type"
    return Statement(
        label="insert new links",
        table=link.table,
        count=Count.INSERTED,
        parameters={"runid": run.number, "pipe": stage.pipe_name, "load_time": run.load_time},
        sql=f"""
insert into {link.table.sql} (_runid, _source_system, _insert_date, {fk_list}, type)
select %(runid)s, %(pipe)s, %(load_time)s, {fk_list}, type
from (
    select {distinct}{fk_list}, type
    from (
    {rows}
    ) found
) r{new}{order}
on conflict do nothing
""",
    )


def _note_given_links(stage: Stage, run: Run, link: Link, works: list[LinkWork]) -> Program:
    """Links that other pipes brought, from mappings that fill no satellite of them (of a hybrid one, a row may lack)."""
    hybrid = {satellite.name for satellite in link.satellites if satellite.kind is SatelliteKind.HYBRID}
    traceless = [work for work in works if all(item.satellite in hybrid for item in work.mapping.fields)]
    if not traceless:
        return
    joined = " and ".join(f"l.{quote(reference.column)} = r.{quote(reference.column)}" for reference in link.references)
    ids = "\n    union all\n    ".join(
        f"select l._id from {work.rows} as r join {link.table.sql} as l on {joined}"
        f"{f' and l.type = {link_type(work)}' if link.types else ''} where r.usable"
        for work in traceless
    )
    yield note_given(stage, run, link.table, ", ".join(work.name for work in traceless), ids)


def _gives_each_link_once(works: list[LinkWork]) -> bool:
    """True when one of the references says the key of the only staging table, so that no two active rows are alike."""
    first = works[0]
    return (
        len(works) == 1
        and first.source.is_incremental
        and first.staging is not None
        and any(identifies(bk, first.staging.key) for bk in first.references)
    )


def _missing_references(stage: Stage, run: Run, work: LinkWork, counted: Collected) -> Program:
    """Let wait, or reject, the rows that miss a key; forget those that do not miss it any more."""
    waits = work.mapping.missing_reference is MissingReference.WAIT
    if work.full and (waits or work.delta.new_state):
        yield resolve_absent(stage, run, work)
    if waits and counted.missing:
        yield start_waiting(stage, run, work)


def _given_links(work: LinkWork) -> GivenIds:
    """The link of each row; a row that waits for a key gets its link when the key has come."""
    fks = " and ".join(f"l.{quote(r.column)} = r.{quote(r.column)}" for r in work.link.references)
    of_type = f" and l.type = {link_type(work)}" if work.link.types else ""
    joined = f"{work.link.table.sql} as l on {fks}{of_type}"
    same = " and ".join(f"d.{quote(r.column)} = r.{quote(r.column)}" for r in work.link.references)
    return GivenIds(
        rows=work.rows,
        row="r.row_id",
        joined=joined,
        id="l._id",
        where=" and r.usable",
        others=work.link.table.sql,
        same=same + (f" and d.type = {link_type(work)}" if work.link.types else ""),
    )

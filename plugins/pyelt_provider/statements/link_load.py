"""Loads links: from staging rows to whole links, with their satellites and status, and what waits or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.domain import Link, SatelliteKind
from pyelt_provider.model.mapping import LinkMapping, MissingReference
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.bulk import drop_for_bulk, restore_after_bulk
from pyelt_provider.statements.deltas import digest, mapping_delta, mapping_fingerprint, record_position
from pyelt_provider.statements.link_history import (
    LinkGroup,
    collect_history,
    collect_keys,
    collect_standing,
    create_keys,
    link_type,
)
from pyelt_provider.statements.link_rows import Collected, LinkWork, collect_rows, count_rows
from pyelt_provider.statements.link_status import load_status
from pyelt_provider.statements.step import Count, Failure, Isolated, Number, Program, Routine, Statement
from pyelt_provider.statements.tables import link_spec
from pyelt_provider.statements.vault_validations import validate_vault
from pyelt_provider.statements.waiting import end_waiting, resolve_absent, see_arrived, start_waiting

BULK_ROWS = 20_000
"""From how many rows on an empty link table is loaded without its indexes; below that making them anew costs more."""


def etl_links(stage: Stage, run: Run) -> Program:
    """Load the pipe's links: those from staging and queries, then those from vault views; then judge the vault's rows.

    Only what changed in staging since a mapping's last success is looked at, and what waited for a key that is there
    now. A link is whole: a row without all keys gives none and is counted, a row whose key is not in its hub waits (or
    makes the key, or is rejected, as the mapping says). Link tables are filled in one statement each, in the order of
    their names and ids, so that pipes which run side by side cannot wait for each other in a circle.
    """
    views: list[tuple[Link, tuple[LinkMapping, ...]]] = []
    direct: list[tuple[Link, tuple[LinkMapping, ...]]] = []
    for link, mappings in _by_link(stage):
        (views if any(mapping.source.view for mapping in mappings) else direct).append((link, mappings))
    for phase in (direct, views):
        yield from _load_phase(stage, run, phase)
    yield from validate_vault(stage, run)


def _by_link(stage: Stage) -> Iterator[tuple[Link, tuple[LinkMapping, ...]]]:
    links = stage.pipeline.links
    ordered = sorted(stage.the_pipe.links, key=lambda mapping: (links[mapping.link].table, mapping.name))
    for name, mappings in groupby(ordered, key=lambda mapping: mapping.link):
        yield links[name], tuple(mappings)


def _load_phase(stage: Stage, run: Run, phase: list[tuple[Link, tuple[LinkMapping, ...]]]) -> Program:
    collected: list[LinkGroup] = []
    counted: dict[int, Collected] = {}
    for link, mappings in phase:
        # Mappings of a link with history are judged together; the others can fail alone.
        units = (mappings,) if _has_history(link, mappings) else tuple((mapping,) for mapping in mappings)
        for unit in units:
            program = _collect(stage, run, link, unit, collected, counted)
            yield from _guarded(stage, run, unit, program)
    yield from _create_keys_of_hubs(stage, run, [work for group in collected for work in group.works], counted)
    for _, groups in groupby(collected, key=lambda group: group.link.name):
        together = tuple(groups)
        unit = tuple(work.mapping for group in together for work in group.works)
        yield from _guarded(stage, run, unit, _load_link(stage, run, together, counted))


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


# ---------------------------------------------------------------- collecting


def _look(stage: Stage, run: Run, link: Link, mapping: LinkMapping) -> Routine[LinkWork]:
    """Return what a mapping has to do in this run; what it waits for is asked for too."""
    source = mapping.source
    types = {(s.name, c.name): c.type for s in link.satellites for c in s.columns}
    texts = (
        *(f"{reference.role}={reference.bk}" for reference in mapping.references),
        mapping.type or "",
        mapping.prefer or "",
        mapping.missing_reference,
        *(
            f"{f.satellite}.{f.column}[{f.type or ''}]={f.expression}::{types.get((f.satellite, f.column), '')}"
            for f in mapping.fields
        ),
    )
    fingerprint = mapping_fingerprint(stage, source, texts)
    key_fingerprint = digest(*texts[: len(mapping.references)])
    delta = yield from mapping_delta(stage, run, mapping.name, source, fingerprint, key_fingerprint)
    arrived = False
    if not delta.full and mapping.missing_reference is MissingReference.WAIT:
        if source.is_incremental:
            resolved = yield end_waiting(stage, run, mapping, link)
            arrived = resolved.row_count > 0
        else:
            arrived = bool((yield see_arrived(stage, mapping, link)).value)
    return LinkWork(
        mapping=mapping,
        link=link,
        delta=delta,
        full=delta.full or (not source.is_incremental and (arrived or not delta.is_empty)),
        arrived=arrived,
        number=stage.the_pipe.links.index(mapping),
        fingerprint=fingerprint,
        key_fingerprint=key_fingerprint,
    )


def _collect(
    stage: Stage,
    run: Run,
    link: Link,
    mappings: tuple[LinkMapping, ...],
    collected: list[LinkGroup],
    counted: dict[int, Collected],
) -> Program:
    works = []
    for mapping in mappings:
        works.append((yield from _look(stage, run, link, mapping)))
    if not any(work.has_news for work in works):
        for work in works:
            yield from record_position(
                stage, run, work.mapping.name, work.delta, work.fingerprint, work.key_fingerprint
            )
        return
    group = LinkGroup(link=link, works=tuple(works), full=any(work.full for work in works))
    if _has_history(link, mappings):
        yield from _collect_history(stage, run, group)
    else:
        yield collect_rows(stage, run, works[0])
    counts = []
    for work in works:
        numbers = (yield count_rows(work)).rows[0]
        rows, unkeyed, missing = (int(str(number)) for number in numbers)
        counts.append(Collected(work=work, rows=rows, unkeyed=unkeyed, missing=missing))
        for label, count, value in (
            ("rows to look at", Count.READ, rows),
            ("rows without all keys", Count.UNKEYED, unkeyed),
        ):
            yield Number(label=label, table=link.table, count=count, rows=value, mapping=work.mapping.name)
    collected.append(group)
    counted |= {count.work.number: count for count in counts}


def _collect_history(stage: Stage, run: Run, group: LinkGroup) -> Program:
    if not group.full:
        yield create_keys(stage, group)
        for work in group.works:
            if work.has_news:
                yield collect_keys(stage, run, group, work)
    for work in group.works:
        yield collect_history(stage, group, work)
        if group.link.status and work.mapping.source.staging is not None:
            yield collect_standing(stage, group, work)


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
        },
        sql=f"""
insert into {table.sql} (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, %(type)s, missing.bk
from (
    {missing}
) missing
where missing.bk is not null
order by missing.bk
on conflict do nothing
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


def _load_link(stage: Stage, run: Run, groups: tuple[LinkGroup, ...], counted: dict[int, Collected]) -> Program:
    link = groups[0].link
    works = [work for group in groups for work in group.works]
    was_empty = yield Statement(
        label="see whether the link table is empty",
        sql=f"select not exists (select from {link.table.sql})",
        fetch=True,
        assumed=((False,),),
    )
    first = bool(was_empty.value)
    if first and sum(counted[work.number].rows for work in works) >= BULK_ROWS:
        dropped = yield from drop_for_bulk(link_spec(link, stage.pipeline))
        yield insert_links(stage, run, link, works, first=True)
        yield from restore_after_bulk(dropped)
    else:
        yield insert_links(stage, run, link, works, first=False)
    for work in works:
        yield from _missing_references(stage, run, work, counted[work.number])
    for group in groups:
        for status in _record_status(link):
            if not first or link.driving is not None:
                yield from load_status(stage, run, group, status)
    for work in works:
        yield from record_position(stage, run, work.mapping.name, work.delta, work.fingerprint, work.key_fingerprint)


def insert_links(stage: Stage, run: Run, link: Link, works: list[LinkWork], *, first: bool) -> Statement:
    """Insert every whole link of the collected rows that is not there yet, in the order of its references."""
    fks = tuple(quote(reference.column) for reference in link.references)
    fk_list = ", ".join(fks)
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
    select distinct {fk_list}, type
    from (
    {rows}
    ) found
) r{new}{order}
on conflict do nothing
""",
    )


def _missing_references(stage: Stage, run: Run, work: LinkWork, counted: Collected) -> Program:
    """Let wait, or reject, the rows that miss a key; forget those that do not miss it any more."""
    waits = work.mapping.missing_reference is MissingReference.WAIT
    if work.full:
        yield resolve_absent(stage, run, work)
    if waits and counted.missing:
        yield start_waiting(stage, run, work)

"""Links that stand on keys which nobody gives any more, since who brought them was taken back: they have to wait again.

Taking back leaves such a key behind, because links of others stand on it. Each pipe lets go of its own links at its next
turn, so that they are as if the key had never been there; the last one takes the key away.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.domain import Link, Reference
from pyelt_provider.model.mapping import LinkMapping, MissingReference
from pyelt_provider.planning.plan import link_lookups
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.bulk_mode import load_alone
from pyelt_provider.statements.links.given_links import given_links, owned_tables
from pyelt_provider.statements.mappings.given_keys import adopt_keys, left_keys, see_left_keys
from pyelt_provider.statements.mappings.heirs import drop_left_keys, give_up_links
from pyelt_provider.statements.step import Count, Program, Routine, Statement


def links_of_pipe(stage: Stage) -> Iterator[tuple[Link, tuple[LinkMapping, ...]]]:
    """Give the pipe's mappings by link, in the order of the link tables' names."""
    links = stage.pipeline.links
    ordered = sorted(stage.the_pipe.links, key=lambda mapping: (links[mapping.link].table, mapping.name))
    for name, mappings in groupby(ordered, key=lambda mapping: mapping.link):
        yield links[name], tuple(mappings)


def give_up_left_keys(stage: Stage, run: Run) -> Routine[frozenset[TableName]]:
    """Take away the pipe's links on keys that were left behind; return the hubs in which there were any.

    Their mappings compare everything in this run, and what stood on such a key waits for it. A mapping that makes
    missing keys takes them over instead. Where another stage loads these tables just now, that is left to the next run;
    nobody looks such a key up in the meantime.
    """
    found = yield see_left_keys(stage, link_lookups(stage.pipeline, stage.the_pipe))
    left = frozenset(TableName(str(schema), str(name)) for schema, name in found.rows)
    if not left:
        return left
    links = tuple(links_of_pipe(stage))
    alone = yield load_alone(sorted({*left, *(link.table for link, _ in links)}))
    if not all(is_alone for _, is_alone in alone.rows):
        return left
    for number, (link, mappings) in enumerate(links, 1):
        hubs = stage.pipeline.hubs
        references = tuple(r for r in link.references if hubs[r.hub].table in left)
        if any(mapping.missing_reference is MissingReference.CREATE_HUB for mapping in mappings):
            for reference in references:
                yield _take_over(stage, run, link, reference)
        elif references:
            yield from _give_up(stage, link, references, mappings, quote(f"pyelt_given_up_{number}"))
    for hub in sorted(left):
        yield from drop_left_keys(stage, hub)
    return left


def _take_over(stage: Stage, run: Run, link: Link, reference: Reference) -> Statement:
    column = quote(reference.column)
    needed = f"""select l.{column} as _id, min(l._runid) as runid
        from {link.table.sql} as l
        where l._id in (
        {given_links(stage, link)})
        group by 1"""
    return adopt_keys(stage, run, stage.pipeline.hubs[reference.hub].table, needed)


def _give_up(
    stage: Stage, link: Link, references: tuple[Reference, ...], mappings: tuple[LinkMapping, ...], given_up: str
) -> Program:
    sys = quote(stage.pipeline.sys_schema)
    pipe = {"pipe": stage.pipe_name}
    on_left = " or ".join(
        f"l.{quote(r.column)} in ({left_keys(stage, stage.pipeline.hubs[r.hub].table)})" for r in references
    )
    found = yield Statement(
        label="find links on keys whose giver was taken back",
        table=link.table,
        parameters=pipe,
        sql=f"""
create temporary table {given_up} on commit drop as
select l._id, l._runid
from {link.table.sql} as l
where ({on_left})
    and l._id in (
    {given_links(stage, link)})
""",
    )
    if not found.row_count:
        return
    ids = f"select _id from {given_up}"
    for table in owned_tables(link):
        yield Statement(
            label="take back what the pipe says of them",
            table=table,
            count=Count.TAKEN_BACK,
            parameters=pipe,
            sql=f"delete from {table.sql} where _source_system = %(pipe)s and _id in ({ids})",
        )
    for staging in stage.the_pipe.tables:
        for column in (quote(name) for name, target in staging.fk_columns if target == link.name):
            yield Statement(
                label="empty their columns in staging",
                table=staging.table,
                sql=f"update {staging.table.sql} set {column} = null where {column} in ({ids})",
            )
    yield Statement(
        label="forget that the pipe gives them",
        parameters={**pipe, "schema": link.table.schema, "table": link.table.name},
        sql=f"""
delete from {sys}.given_keys
where pipe = %(pipe)s and (schemaname, tablename) = (%(schema)s, %(table)s) and row_id in ({ids})
""",
    )
    yield from give_up_links(stage, link.table, ids)
    for reference in references:
        yield _wait_on(stage, reference, mappings)
    # As of the run that made the links: when this run is taken back, the mappings have to compare everything again.
    yield Statement(
        label="let their mappings compare everything",
        parameters={**pipe, "stage": stage.id, "mappings": [mapping.name for mapping in mappings]},
        sql=f"""
insert into {sys}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
select last.pipe, last.mapping, (select min(_runid) from {given_up}), %(stage)s, '', last.key_fingerprint
from (
    select distinct on (mapping) pipe, mapping, key_fingerprint
    from {sys}.mapping_states
    where pipe = %(pipe)s and mapping = any(%(mappings)s::text[])
    order by mapping, id desc) as last
""",
    )


def _wait_on(stage: Stage, reference: Reference, mappings: tuple[LinkMapping, ...]) -> Statement:
    """Let rows wait on that waited for such a key until it came: it never did. Other rows begin to wait in this run."""
    sys = quote(stage.pipeline.sys_schema)
    hub = stage.pipeline.hubs[reference.hub].table
    return Statement(
        label="let links wait on whose key was taken back",
        table=hub,
        parameters={
            "pipe": stage.pipe_name,
            "mappings": [mapping.name for mapping in mappings],
            "role": reference.role,
            "hub": str(hub),
        },
        sql=f"""
update {sys}.waiting_references as w set resolved_runid = null
from {hub.sql} as h
where h._id in ({left_keys(stage, hub)})
    and w.id in (
        select max(every.id) from {sys}.waiting_references as every
        where every.pipe = %(pipe)s and every.mapping = any(%(mappings)s::text[])
            and (every.hub, every.role) = (%(hub)s, %(role)s)
        group by every.mapping, every.row_id)
    and w.missing_bk = h.bk and w.resolved_runid >= h._runid
""",
    )

"""Link rows that wait for a hub key which is not there yet: who waits, who need not wait any longer."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.domain import Link
from pyelt_provider.model.mapping import LinkMapping
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.links.rows import LinkWork
from pyelt_provider.statements.mappings.given_keys import not_left
from pyelt_provider.statements.step import Count, Statement


def end_waiting(stage: Stage, run: Run, mapping: LinkMapping, link: Link, left: frozenset[TableName]) -> Statement:
    """Resolve the references of a mapping whose key has arrived, or whose staging row is closed or rejected now.

    Their rows are looked at again in this run (`touched`). Asks the hub's index once for each reference that waits.
    """
    assert mapping.source.staging is not None
    staging = stage.the_pipe.table(mapping.source.staging)
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="see which waiting references have arrived",
        mapping=mapping.name,
        table=link.table,
        count=Count.RESOLVED,
        parameters={**_hub_names(stage, link), **_owner(stage, mapping), "runid": run.number},
        sql=f"""
update {sys}.waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and ({_arrived(stage, link, left)}
    or (select true from {staging.table.sql} s where s._id = w.row_id and s._active and s._valid) is null)
""",
    )


def see_arrived(stage: Stage, mapping: LinkMapping, link: Link, left: frozenset[TableName]) -> Statement:
    """One row: whether the key of any waiting reference of the mapping is there now."""
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="see whether waiting references have arrived",
        mapping=mapping.name,
        fetch=True,
        assumed=((False,),),
        parameters={**_hub_names(stage, link), **_owner(stage, mapping)},
        sql=f"""
select exists (
    select from {sys}.waiting_references w
    where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
      and ({_arrived(stage, link, left)}))
""",
    )


def resolve_absent(stage: Stage, run: Run, work: LinkWork) -> Statement:
    """After a full comparison: resolve what waited and does not miss its key any more."""
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="resolve references that wait no longer",
        mapping=work.mapping.name,
        table=work.link.table,
        count=Count.RESOLVED,
        parameters={**_owner(stage, work.mapping), **_roles(stage, work.link), "runid": run.number},
        sql=f"""
update {sys}.waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and not exists (
    select from {work.rows} r, {_missing(work.link)}
    where r.usable and r.keyed and m.bk = w.missing_bk and m.role = w.role and r.row_id = w.row_id)
""",
    )


def start_waiting(stage: Stage, run: Run, work: LinkWork) -> Statement:
    """Let the rows wait that miss a key, one reference for each key that they miss; who waits already stays as it is."""
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="let links wait for keys that are missing",
        mapping=work.mapping.name,
        table=work.link.table,
        count=Count.WAITING,
        parameters={
            **_owner(stage, work.mapping),
            **_roles(stage, work.link),
            "runid": run.number,
            "stage": stage.id,
        },
        sql=f"""
insert into {sys}.waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from {work.rows} r, {_missing(work.link)}
where r.usable and r.keyed and m.bk is not null
on conflict do nothing
""",
    )


def _owner(stage: Stage, mapping: LinkMapping) -> dict[str, object]:
    return {"pipe": stage.pipe_name, "mapping": mapping.name}


def _hub_names(stage: Stage, link: Link) -> dict[str, object]:
    return {f"hub_{n}": str(stage.pipeline.hubs[r.hub].table) for n, r in enumerate(link.references, 1)}


def _roles(stage: Stage, link: Link) -> dict[str, object]:
    return {**_hub_names(stage, link), **{f"role_{n}": r.role for n, r in enumerate(link.references, 1)}}


def _arrived(stage: Stage, link: Link, left: frozenset[TableName]) -> str:
    # A scalar subquery is answered by the hub's index for each row; `exists` may be turned into a hash of the whole hub.
    conditions = []
    for number, reference in enumerate(link.references, 1):
        hub = stage.pipeline.hubs[reference.hub].table
        there = f" and {not_left(stage, hub, 'h')}" if hub in left else ""
        conditions.append(
            f"w.hub = %(hub_{number})s and (select true from {hub.sql} h where h.bk = w.missing_bk{there})"
        )
    return "\n    or ".join(conditions)


def _missing(link: Link) -> str:
    values = ", ".join(
        f"(%(hub_{number})s, %(role_{number})s, r.missing_{number})" for number, _ in enumerate(link.references, 1)
    )
    return f"lateral (values {values}) m (hub, role, bk)"

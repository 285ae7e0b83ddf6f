"""The rows of a source that give links: collected per mapping into a temporary table, with their references looked up.

Each row is there with the ids of the hub keys that it refers to, the keys that are missing, and whether it counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, opaque, quote
from pyelt_provider.model.domain import Link
from pyelt_provider.model.mapping import LinkMapping, MappingSource, MissingReference
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.deltas import Delta, touched_parameters, touched_rows
from pyelt_provider.statements.mappings.given_keys import not_left
from pyelt_provider.statements.mappings.mapped_rows import MappedEntity
from pyelt_provider.statements.mappings.row_isolation import fenced_relation
from pyelt_provider.statements.sql.casts import key_expression
from pyelt_provider.statements.step import Count, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWork:
    """One link mapping and what it has to do in this run.

    `full`: all rows of the source are compared, else those that `delta` and the waiting references name. `arrived`:
    references that waited are there now. `number` makes the names of its temporary tables. `entity` is the mapping as
    the judging of single rows sees it. `left` are the hubs with keys that were left behind, which are not looked up.
    """

    mapping: LinkMapping
    link: Link
    delta: Delta
    full: bool
    arrived: bool
    number: int
    entity: MappedEntity
    left: frozenset[TableName] = frozenset()

    @property
    def name(self) -> str:
        return self.mapping.name

    @property
    def rows(self) -> str:
        """The temporary table of the collected rows."""
        return quote(f"pyelt_link_rows_{self.number}")

    @property
    def touched(self) -> str:
        """The temporary table of the staging rows to look at (`_touched`)."""
        return self.entity.touched

    @property
    def staging(self) -> StagingTable | None:
        return self.entity.staging

    @property
    def source(self) -> MappingSource:
        return self.mapping.source

    @property
    def has_news(self) -> bool:
        """True when there is anything to look at."""
        return self.full or self.arrived or not self.delta.is_empty

    @property
    def references(self) -> tuple[str, ...]:
        """The mapping's reference expressions in the order of the link's references."""
        by_role = {reference.role: reference.bk for reference in self.mapping.references}
        return tuple(by_role[reference.role] for reference in self.link.references)

    @property
    def key_columns(self) -> str:
        """The reference expressions of a source row as ``key_1, key_2, ...``."""
        return ", ".join(f"{key_expression(bk)} as key_{number}" for number, bk in enumerate(self.references, 1))

    @property
    def _waits_by_references(self) -> bool:
        # Joins, views and queries have no row of their own that could wait; their references do.
        return not self.source.is_incremental and self.mapping.missing_reference is MissingReference.WAIT

    @property
    def source_id(self) -> str:
        """The selected column ``row_id`` of a source row (with a comma behind it), where the row has an identity."""
        return "" if self._waits_by_references else f"{self.entity.row_identity} as row_id, "

    @property
    def row_id(self) -> str:
        """What identifies a collected row: the source row's identity, else a hash of its references."""
        if not self._waits_by_references:
            return "c.row_id"
        texts = ", ".join(f"c.key_{number}" for number, _ in enumerate(self.references, 1))
        return f"hashtextextended(jsonb_build_array({texts})::text, 0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was collected for a mapping: how many rows, and how many of them miss a reference.

    `unreadable`: keys of rejected rows could not be evaluated, so that links stay which may be theirs.
    """

    work: LinkWork
    rows: int
    missing: int
    unreadable: bool = False


def relation(work: LinkWork, *, excluded: bool) -> str:
    """Return what stands behind `from`, as ``s``; `excluded` leaves out rows that cannot be evaluated, behind a fence."""
    return fenced_relation(work.entity) if excluded else work.entity.relation


def usable(work: LinkWork) -> tuple[str, ...]:
    """Return the conditions by which a source row counts: staging rows that are active and were not rejected."""
    return ("s._active", "s._valid") if work.staging is not None else ()


def conditions(source: MappingSource, *more: str) -> str:
    """Return the where clause: the given conditions and the mapping's filter, which is the user's and stands last."""
    parts = [*more, *([f"({opaque(source.filter)})"] if source.filter else [])]
    return "where " + "\n      and ".join(parts) if parts else ""


def touch(stage: Stage, run: Run, work: LinkWork, *, closed: bool) -> Statement:
    """Collect the ids of the staging rows that the mapping looks at: its delta, and rows that waited until now.

    Where only new links matter, rows that were closed (`closed` is false) say nothing and are left out.
    """
    assert work.staging is not None
    sys = quote(stage.pipeline.sys_schema)
    rows = touched_rows(
        work.staging, stage.pipeline.sys_schema, work.delta, stage.pipe_name, work.name, with_closed=closed
    )
    return Statement(
        label="collect changed rows",
        mapping=work.name,
        parameters={
            **touched_parameters(work.staging, work.delta, stage.pipe_name, work.name),
            "pipe": stage.pipe_name,
            "mapping": work.name,
            "runid": run.number,
        },
        sql=f"""
create temporary table {work.touched} on commit drop as
select changed._id as _touched
from (
    {rows}
    union
    select row_id from {sys}.waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s
) as changed
""",
    )


def hub_joins(stage: Stage, work: LinkWork) -> str:
    """Return left joins from ``c.key_n`` to the hubs of the link, as h1, h2, ..."""
    joins = []
    for number, reference in enumerate(work.link.references, 1):
        hub = stage.pipeline.hubs[reference.hub].table
        there = f" and {not_left(stage, hub, f'h{number}')}" if hub in work.left else ""
        joins.append(f"left join {hub.sql} h{number} on h{number}.bk = c.key_{number}{there}")
    return "\n".join(joins)


def resolved_columns(link: Link) -> str:
    """Return the columns of a collected row: fks, missing keys, whether all keys are there."""
    numbered = tuple(enumerate(link.references, 1))
    fks = ", ".join(f"h{number}._id as {quote(reference.column)}" for number, reference in numbered)
    missing = ", ".join(
        f"case when h{number}._id is null then c.key_{number} end as missing_{number}" for number, _ in numbered
    )
    keyed = " and ".join(f"c.key_{number} is not null" for number, _ in numbered)
    return f"{fks},\n    {missing},\n    {keyed} as keyed"


def collect_rows(stage: Stage, work: LinkWork, *, excluded: bool) -> Statement:
    """Collect the touched rows of a link without history: whether other rows give the same link does not matter."""
    narrowed = () if work.full else (f"s._id in (select _touched from {work.touched})",)
    return Statement(
        label="look up the references of changed rows",
        mapping=work.name,
        table=work.link.table,
        count=Count.READ,
        sql=f"""
create temporary table {work.rows} on commit drop as
select {work.row_id} as row_id, true as usable,
    {resolved_columns(work.link)}
from (
    select {work.source_id}{work.key_columns}
    from {relation(work, excluded=excluded)}
    {conditions(work.source, *usable(work), *narrowed)}
) c
{hub_joins(stage, work)}
""",
    )


def count_rows(work: LinkWork) -> Statement:
    """One row: how many of the collected rows have no key, how many miss a reference."""
    missing = " or ".join(f"missing_{number} is not null" for number, _ in enumerate(work.references, 1))
    return Statement(
        label="count unkeyed and missing references",
        mapping=work.name,
        fetch=True,
        assumed=((1, 1),),
        sql=f"""
select count(*) filter (where not keyed), count(*) filter (where keyed and ({missing}))
from {work.rows}
where usable
""",
    )

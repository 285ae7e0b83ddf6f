"""The rows of a source that give links: collected per mapping into a temporary table, with their references looked up.

Each row is there with the ids of the hub keys that it refers to, the keys that are missing, and whether it is whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, opaque, quote
from pyelt_provider.model.domain import Link
from pyelt_provider.model.mapping import LinkMapping, MappingSource
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.casts import key_expression
from pyelt_provider.statements.deltas import Delta, touched_parameters, touched_rows
from pyelt_provider.statements.expressions import identifies
from pyelt_provider.statements.step import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWork:
    """One link mapping that has something to do in this run.

    `full`: all rows of the source are compared, else those that `delta` and the waiting references name. `arrived`:
    references that waited are there now. `number` makes the name of its temporary table.
    """

    mapping: LinkMapping
    link: Link
    delta: Delta
    full: bool
    arrived: bool
    number: int
    fingerprint: str
    key_fingerprint: str

    @property
    def rows(self) -> str:
        """The temporary table of the collected rows."""
        return quote(f"link_rows_{self.number}")

    @property
    def has_news(self) -> bool:
        """True when there is anything to look at."""
        return self.full or self.arrived or not self.delta.is_empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was collected for a mapping: how many rows, how many of them have no key, how many miss a reference."""

    work: LinkWork
    rows: int
    unkeyed: int
    missing: int


def references(work: LinkWork) -> tuple[str, ...]:
    """Return the mapping's reference expressions in the order of the link's references."""
    by_role = {reference.role: reference.bk for reference in work.mapping.references}
    return tuple(by_role[reference.role] for reference in work.link.references)


def key_columns(work: LinkWork) -> str:
    """Return the reference expressions of a source row as ``key_1, key_2, ...``."""
    return ", ".join(f"{key_expression(bk)} as key_{number}" for number, bk in enumerate(references(work), 1))


def staging_of(stage: Stage, source: MappingSource) -> StagingTable | None:
    """Return the staging table that a mapping reads, None for views and queries."""
    return stage.the_pipe.table(source.staging) if source.staging else None


def source_relation(stage: Stage, source: MappingSource) -> str:
    """Return what stands behind `from`: the staging table with the user's joins, the view or the query, as ``s``."""
    if source.staging:
        join = f"\n    {opaque(source.join)}" if source.join else ""
        return f"{stage.the_pipe.table(source.staging).table.sql} s{join}"
    if source.view:
        return f"{source.view.sql} s"
    return f"(\n{opaque(source.query or '')}\n    ) s"


def conditions(source: MappingSource, *more: str) -> str:
    """Return the where clause: the given conditions and the mapping's filter, which is the user's and stands last."""
    parts = [*more, *([f"({opaque(source.filter)})"] if source.filter else [])]
    return "where " + "\n      and ".join(parts) if parts else ""


def usable(source: MappingSource) -> tuple[str, ...]:
    """Return the conditions by which a row counts: staging rows that are active and were not rejected."""
    return ("s._active", "s._valid") if source.staging else ()


def row_number(source: MappingSource, keys: int) -> str:
    """Return what identifies a source row: the staging row's id, else a hash of its references."""
    if source.is_incremental:
        return "s._id"
    texts = ", ".join(f"key_{number}" for number in range(1, keys + 1))
    return f"hashtextextended(jsonb_build_array({texts})::text, 0)"


def touched(stage: Stage, work: LinkWork) -> str:
    """Return a query of the staging row ids that the mapping looks at: its delta, and rows that waited until now."""
    staging = staging_of(stage, work.mapping.source)
    assert staging is not None
    sys = quote(stage.pipeline.sys_schema)
    rows = touched_rows(staging, stage.pipeline.sys_schema, work.delta, stage.pipe_name, work.mapping.name)
    return f"""{rows}
    union
    select row_id from {sys}.waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s"""


def touched_bindings(stage: Stage, run: Run, work: LinkWork) -> dict[str, object]:
    """Return the parameters of `touched`."""
    staging = staging_of(stage, work.mapping.source)
    assert staging is not None
    return {
        **touched_parameters(staging, work.delta, stage.pipe_name, work.mapping.name),
        "pipe": stage.pipe_name,
        "mapping": work.mapping.name,
        "runid": run.number,
    }


def hub_joins(stage: Stage, link: Link, row: str) -> str:
    """Return left joins from ``<row>.key_n`` to the hubs of the link, as h1, h2, ..."""
    return "\n".join(
        f"left join {stage.pipeline.hubs[reference.hub].table.sql} h{number} on h{number}.bk = {row}.key_{number}"
        for number, reference in enumerate(link.references, 1)
    )


def resolved_columns(link: Link, row: str) -> str:
    """Return the columns of a collected row: fks, missing keys, whether all keys are there."""
    numbered = tuple(enumerate(link.references, 1))
    fks = ", ".join(f"h{number}._id as {quote(reference.column)}" for number, reference in numbered)
    missing = ", ".join(
        f"case when h{number}._id is null then {row}.key_{number} end as missing_{number}" for number, _ in numbered
    )
    keyed = " and ".join(f"{row}.key_{number} is not null" for number, _ in numbered)
    return f"{fks},\n    {missing},\n    {keyed} as keyed"


def collect_rows(stage: Stage, run: Run, work: LinkWork) -> Statement:
    """Collect the touched rows of a link without history: whether other rows give the same link does not matter."""
    source = work.mapping.source
    narrowed = () if work.full else (f"s._id in (\n    {touched(stage, work)})",)
    return Statement(
        label="look up the references of changed rows",
        mapping=work.mapping.name,
        table=work.link.table,
        parameters={} if work.full else touched_bindings(stage, run, work),
        sql=f"""
create temporary table {work.rows} on commit drop as
select {row_number(source, len(work.link.references)).replace("s._id", "row_id")} as row_id,
    {resolved_columns(work.link, "c")}, true as usable
from (
    select {"s._id as row_id, " if source.is_incremental else ""}{key_columns(work)}
    from {source_relation(stage, source)}
    {conditions(source, *usable(source), *narrowed)}
) c
{hub_joins(stage, work.link, "c")}
""",
    )


def count_rows(work: LinkWork) -> Statement:
    """One row: how many rows were collected, how many have no key, how many miss a reference."""
    missing = " or ".join(f"missing_{number} is not null" for number, _ in enumerate(work.link.references, 1))
    return Statement(
        label="count unkeyed and missing references",
        mapping=work.mapping.name,
        fetch=True,
        assumed=((1, 1, 1),),
        sql=f"""
select count(*), count(*) filter (where not keyed), count(*) filter (where keyed and ({missing}))
from {work.rows}
where usable
""",
    )


def lookup(work: LinkWork, staging: StagingTable, *, alone: bool) -> tuple[str, ...]:
    """Return the expressions by which other active rows of the same link (or driving key) are found through an index.

    The staging key where one of the references identifies it and no other mapping gives the link; else the reference
    expressions that the mapping's index has (see mapping_indexes).
    """
    roles = [r.role for r in work.link.references if work.link.driving in (None, r.role)]
    by_role = {reference.role: reference.bk for reference in work.mapping.references}
    chosen = tuple(by_role[role] for role in roles)
    if alone and any(identifies(bk, staging.key) for bk in chosen):
        return tuple(f"s.{quote(column)}" for column in staging.key)
    return tuple(key_expression(bk) for bk in chosen)


def fk_columns(link: Link) -> tuple[str, ...]:
    """Return the quoted fk columns of a link, in the order of its references."""
    return tuple(quote(reference.column) for reference in link.references)


def hub_table_of(stage: Stage, hub: str) -> TableName:
    return stage.pipeline.hubs[hub].table

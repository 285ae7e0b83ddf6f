"""Links whose other rows matter: which keys a load touches, and which rows give the same links or driving keys now."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import opaque, quote, text_literal
from pyelt_provider.model.domain import Link
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.link_rows import (
    LinkWork,
    conditions,
    hub_joins,
    key_columns,
    lookup,
    references,
    resolved_columns,
    row_number,
    source_relation,
    staging_of,
    touched,
    touched_bindings,
)
from pyelt_provider.statements.step import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGroup:
    """All mappings of the pipe onto one link with a history, those that have nothing new included.

    `full`: all their rows are compared. Else the keys that the changed rows have or had are in the temporary table
    `keys`: the lookups (look_1, ...), the whole key (key_1, ...), the link's type and whether the row is closed.
    """

    link: Link
    works: tuple[LinkWork, ...]
    full: bool

    @property
    def keys(self) -> str:
        return quote(f"link_keys_{self.works[0].number}")

    @property
    def states(self) -> str:
        """The temporary table of the links that are touched, and whether each is current."""
        return quote(f"link_states_{self.works[0].number}")

    @property
    def alone(self) -> bool:
        return len(self.works) == 1

    def lookups(self, stage: Stage, work: LinkWork) -> tuple[str, ...]:
        staging = staging_of(stage, work.mapping.source)
        by_bk = StagingTable(schema="", name="", source=None, key=())  # type: ignore[arg-type]
        return lookup(work, staging or by_bk, alone=self.alone)


def link_type(work: LinkWork) -> str:
    """Return the type of the mapping's links as SQL: a text, or null for links without types."""
    return f"{text_literal(work.mapping.type)}::text" if work.mapping.type is not None else "null::text"


def create_keys(stage: Stage, group: LinkGroup) -> Statement:
    """Make the temporary table of touched keys."""
    work = group.works[0]
    looks = ", ".join(f"look_{number} text" for number, _ in enumerate(group.lookups(stage, work), 1))
    keys = ", ".join(f"key_{number} text" for number, _ in enumerate(group.link.references, 1))
    return Statement(
        label="make room for the keys of changed rows",
        mapping=work.mapping.name,
        sql=f"create temporary table {group.keys} ({looks}, {keys}, type text, gone boolean) on commit drop",
    )


def collect_keys(stage: Stage, run: Run, group: LinkGroup, work: LinkWork) -> Statement:
    """Collect the keys of the mapping's changed rows, the closed ones included.

    Where a changed row was never usable, the row that stood before it says what the vault has of it.
    """
    staging = staging_of(stage, work.mapping.source)
    assert staging is not None
    same_key = " and ".join(f"before.{quote(column)} = later.{quote(column)}" for column in staging.key)
    key_list = ", ".join(f"before.{quote(column)}" for column in staging.key)
    later_key_list = ", ".join(f"first.{quote(column)}" for column in staging.key)
    looks = ", ".join(
        f"{expression} as look_{number}" for number, expression in enumerate(group.lookups(stage, work), 1)
    )
    return Statement(
        label="collect the keys of changed rows",
        mapping=work.mapping.name,
        parameters=touched_bindings(stage, run, work),
        sql=f"""
insert into {group.keys}
with recursive changed as materialized (
    {touched(stage, work)}
), later as (
    select first._id, first._runid, first._valid, {later_key_list}
    from {staging.table.sql} first where first._id in (select _id from changed)
      and (first._active or first._runid < first._finish_runid)
    union
    select before._id, before._runid, before._valid, {key_list}
    from later join {staging.table.sql} before on before._finish_runid = later._runid and {same_key}
    where not later._valid and before._runid < before._finish_runid
)
select distinct {looks}, {key_columns(work)}, {link_type(work)}, not s._active
from {source_relation(stage, work.mapping.source)}
{conditions(work.mapping.source, "s._id in (select _id from later)")}
""",
    )


def collect_history(stage: Stage, group: LinkGroup, work: LinkWork) -> Statement:
    """Collect every active row of a mapping that gives a touched link (or driving key); all of them when full.

    Rejected rows are there too, as not usable: they give no new link, and do not end the one that they gave.
    """
    source, staging = work.mapping.source, staging_of(stage, work.mapping.source)
    looks = group.lookups(stage, work)
    look_list = ", ".join(f"look_{number}" for number, _ in enumerate(looks, 1))
    narrowed = (
        () if group.full else (f"({', '.join(looks)}) in (select {look_list} from {group.keys} k{_of_type(work)})",)
    )
    active = ("s._active",) if staging is not None else ()
    return Statement(
        label="look up the references of all rows with changed keys",
        mapping=work.mapping.name,
        table=group.link.table,
        sql=f"""
create temporary table {work.rows} on commit drop as
select {row_number(source, len(group.link.references)).replace("s._id", "row_id")} as row_id,
    c.usable, c.run_number, c.preference, c.place,
    {resolved_columns(group.link, "c")}
from (
    select {_history_columns(work, staging)}, {key_columns(work)}
    from {source_relation(stage, source)}
    {conditions(source, *active, *narrowed)}
) c
{hub_joins(stage, group.link, "c")}
""",
    )


def collect_standing(stage: Stage, group: LinkGroup, work: LinkWork) -> Statement:
    """Add the rows that rejected active rows replaced: what the vault has of them stays as it was."""
    source, staging = work.mapping.source, staging_of(stage, work.mapping.source)
    assert staging is not None
    same_key = " and ".join(f"before.{quote(column)} = later.{quote(column)}" for column in staging.key)
    key_list = ", ".join(f"before.{quote(column)}" for column in staging.key)
    first_key_list = ", ".join(f"first.{quote(column)}" for column in staging.key)
    return Statement(
        label="keep what rejected rows gave before",
        mapping=work.mapping.name,
        table=group.link.table,
        sql=f"""
insert into {work.rows}
with recursive later as (
    select first._id, first._runid, first._valid, {first_key_list}
    from {staging.table.sql} first where first._active and not first._valid
    union
    select before._id, before._runid, before._valid, {key_list}
    from later join {staging.table.sql} before on before._finish_runid = later._runid and {same_key}
    where not later._valid and before._runid < before._finish_runid
)
select {row_number(source, len(group.link.references)).replace("s._id", "row_id")} as row_id,
    false, c.run_number, c.preference, c.place,
    {resolved_columns(group.link, "c")}
from (
    select {_history_columns(work, staging)}, {key_columns(work)}
    from {source_relation(stage, source)}
    {conditions(source, "s._id in (select _id from later)", "not s._active")}
) c
{hub_joins(stage, group.link, "c")}
""",
    )


def _history_columns(work: LinkWork, staging: StagingTable | None) -> str:
    order = opaque(work.mapping.prefer) if work.mapping.prefer else "null::integer"
    preference = f"dense_rank() over (order by {order})" if work.mapping.prefer else "null::bigint"
    if staging is None:
        keys = ", ".join(opaque(bk) for bk in references(work))
        return (
            f"true as usable, null::numeric as run_number, {preference} as preference, "
            f"row_number() over (order by {keys}) as place"
        )
    key = ", ".join(f"s.{quote(column)}" for column in staging.key)
    row = "s._id as row_id, " if work.mapping.source.is_incremental else ""
    place = f"row_number() over (order by {key})" if work.link.driving else "null::bigint"
    return (
        f"{row}s._active and s._valid as usable, s._runid as run_number, {preference} as preference, {place} as place"
    )


def _of_type(work: LinkWork) -> str:
    return f" where k.type = {link_type(work)}" if work.mapping.type is not None else ""

"""Links whose other rows matter: which keys a load touches, and which rows give the same links or driving keys now."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import opaque, quote, quote_all, text_literal
from pyelt_provider.model.domain import Link
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.links.rows import LinkWork, conditions, hub_joins, relation, resolved_columns, usable
from pyelt_provider.statements.mappings.past_filters import passed
from pyelt_provider.statements.mappings.row_history import history_parameters, replaced_rows, stood
from pyelt_provider.statements.sql.casts import key_expression
from pyelt_provider.statements.sql.expressions import identifies
from pyelt_provider.statements.step import Count, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGroup:
    """Mappings of one link that are loaded together; with a history all mappings of the pipe on it.

    `full`: all their rows are compared. Else the keys that the changed rows have or had are in the temporary table
    `keys`: the lookups (look_1, ...), the whole key (key_1, ...), the link's type, whether the row is closed (`gone`), and
    whether it was closed since the mappings last looked (`closed_now`), not long ago behind a row that is rejected.
    """

    link: Link
    works: tuple[LinkWork, ...]
    full: bool
    has_history: bool

    @property
    def name(self) -> str:
        return ", ".join(work.name for work in self.works)

    @property
    def keys(self) -> str:
        return quote(f"pyelt_link_keys_{self.works[0].number}")

    @property
    def states(self) -> str:
        """The temporary table of the links that are touched, and whether each is current."""
        return quote(f"pyelt_link_states_{self.works[0].number}")

    def by_staging_key(self, work: LinkWork) -> bool:
        """True when one of the references says the key of the staging table, and no other mapping gives the link.

        Then no two active rows give the same link (or driving key).
        """
        chosen = self._lookup_references(work)
        return (
            len(self.works) == 1
            and work.source.is_incremental
            and work.staging is not None
            and any(identifies(bk, work.staging.key) for bk in chosen)
        )

    def lookups(self, work: LinkWork) -> tuple[str, ...]:
        """Return the expressions by which other active rows of the same link (or driving key) are found by an index.

        The staging key where that says it, else the reference expressions that have an index (see mapping_indexes).
        """
        if self.by_staging_key(work) and work.staging is not None:
            return tuple(f"s.{quote(column)}" for column in work.staging.key)
        return tuple(key_expression(bk) for bk in self._lookup_references(work))

    def _lookup_references(self, work: LinkWork) -> tuple[str, ...]:
        by_role = {reference.role: reference.bk for reference in work.mapping.references}
        return tuple(by_role[r.role] for r in self.link.references if self.link.driving in (None, r.role))


def link_type(work: LinkWork) -> str:
    """Return the type of the mapping's links as SQL: a text, or null for links without types."""
    return f"{text_literal(work.mapping.type)}::text" if work.mapping.type is not None else "null::text"


def create_keys(group: LinkGroup) -> Statement:
    """Make the temporary table of touched keys."""
    looks = ", ".join(f"look_{number} text" for number, _ in enumerate(group.lookups(group.works[0]), 1))
    keys = ", ".join(f"key_{number} text" for number, _ in enumerate(group.link.references, 1))
    return Statement(
        label="make room for the keys of changed rows",
        mapping=group.name,
        sql=f"create temporary table {group.keys} ({looks}, {keys}, type text, gone boolean, closed_now boolean)"
        " on commit drop",
    )


def _row_parameters(stage: Stage, work: LinkWork, staging: StagingTable) -> dict[str, object]:
    return history_parameters(stage, work.name, staging, work.delta.runids)


def collect_keys(stage: Stage, run: Run, group: LinkGroup, work: LinkWork, *, excluded: bool) -> Statement:
    """Collect the keys of the mapping's changed rows, the closed ones included.

    Where a changed row gave the vault nothing so far, the row that stood before it says what the vault has. With
    `excluded`, rows whose keys cannot be evaluated stay out, behind a fence.
    """
    staging = work.staging
    assert staging is not None
    looks = ", ".join(f"{expression} as look_{number}" for number, expression in enumerate(group.lookups(work), 1))
    where = conditions(work.source, "pyelt_id = s._id", "(s._active or pyelt_stood)")  # else a closed row gave nothing
    if work.delta.past_filters:
        now = f"({opaque(work.source.filter or 'true')})"
        past = f"not s._active and pyelt_stood and {passed(stage, run, work.entity)}"
        where = f"where pyelt_id = s._id\n      and (s._active and {now}\n        or {past})"
    source = work.entity.relation
    if excluded:
        join = f"\n    {opaque(work.source.join)}" if work.source.join else ""
        source = f"""(
        select s.* from {staging.table.sql} s
        where not exists (select from {work.entity.rejected}_keys x where x._row = s._id)
        offset 0) s{join}"""
    return Statement(
        label="collect the keys of changed rows",
        mapping=work.name,
        parameters=_row_parameters(stage, work, staging),
        sql=f"""
insert into {group.keys}
with recursive later as (
    select changed._id, changed._runid,
        case when changed._active then changed._runid = any(%(runids)s::numeric[]) else {stood(stage, "changed")} end
            as stood,
        {quote_all(staging.key, "changed")}, changed._active as of_active
    from {staging.table.sql} changed
    where changed._id in (select _touched from {work.touched})
      and (changed._active or changed._finish_runid is distinct from changed._runid)
    union
    {replaced_rows(stage, staging, carried=("of_active",))}
),
looked_at as (
    select _id as pyelt_id, bool_or(stood) as pyelt_stood, bool_or(not of_active) as pyelt_closed_now from later group by _id
)
select distinct {looks}, {work.key_columns}, {link_type(work)}, not s._active, pyelt_closed_now
from looked_at, {source}
{where}
""",
    )


def collect_history(stage: Stage, group: LinkGroup, work: LinkWork, *, excluded: bool) -> Statement:
    """Collect every usable row of a mapping that gives a touched link (or driving key); all of them when full."""
    looks = group.lookups(work)
    look_list = ", ".join(f"look_{number}" for number, _ in enumerate(looks, 1))
    of_type = f" where k.type = {link_type(work)}" if work.mapping.type is not None else ""
    narrowed = () if group.full else (f"({', '.join(looks)}) in (select {look_list} from {group.keys} k{of_type})",)
    selected = (
        f"select {_history_columns(group, work)}, {work.key_columns}\n    from {relation(work, excluded=excluded)}"
    )
    unkeyed = ""
    if not group.full and work.has_news and not group.by_staging_key(work):
        # They give nothing and no lookup finds them, but they are counted, and a value that does not fit is still told.
        no_key = " or ".join(f"{look} is null" for look in looks)
        changed = f"s._id in (select _touched from {work.touched})"
        unkeyed = (
            f"\n    union all\n    {selected}\n    {conditions(work.source, *usable(work), changed, f'({no_key})')}"
        )
    return Statement(
        label="look up the references of all rows with changed keys",
        mapping=work.name,
        table=group.link.table,
        count=Count.READ,
        sql=f"""
create temporary table {work.rows} on commit drop as
select {work.row_id} as row_id, true as usable, c.run_number, c.preference, c.place{_values(work, "c.")},
    {resolved_columns(group.link)}
from (
    {selected}
    {conditions(work.source, *usable(work), *narrowed)}{unkeyed}
) c
{hub_joins(stage, work)}
""",
    )


def _values(work: LinkWork, prefix: str) -> str:
    return "".join(f", {prefix}{field.value}" for field in work.entity.fields)


def _history_columns(group: LinkGroup, work: LinkWork) -> str:
    """Return what is known of a source row besides its keys.

    `place` is its rank among all by the order of the source key, `preference` that by what the user prefers; neither is
    worked out where no two rows can meet.
    """
    preference = place = "null::bigint"
    if not group.by_staging_key(work):
        if work.mapping.prefer:
            preference = f"dense_rank() over (order by {opaque(work.mapping.prefer)})"
        if work.link.driving is not None or work.entity.fields:
            place = f"row_number() over (order by {_source_order(work)})"
    run_number = "null::numeric" if work.staging is None else "s._runid"
    values = "".join(f", {field.sql} as {field.value}" for field in work.entity.fields)
    return f"{work.source_id}{run_number} as run_number, {preference} as preference, {place} as place{values}"


def _source_order(work: LinkWork) -> str:
    if work.staging is None:
        return ", ".join(f'{key_expression(bk)} collate "C"' for bk in work.references)
    return ", ".join(f's.{quote(column)} collate "C"' for column in work.staging.key)

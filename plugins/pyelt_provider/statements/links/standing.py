"""What rejected rows gave the vault before: those links do not end, also where the keys cannot be read any more."""

from __future__ import annotations

from pyelt_provider.identifiers import opaque, quote, quote_all
from pyelt_provider.model.domain import Link
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.links.history import link_type
from pyelt_provider.statements.links.rows import LinkWork, conditions, hub_joins, resolved_columns
from pyelt_provider.statements.mappings.past_filters import passed
from pyelt_provider.statements.mappings.row_history import history_parameters, replaced_rows, stood
from pyelt_provider.statements.mappings.row_isolation import DATA_ERRORS, dollar_quoted
from pyelt_provider.statements.sql.casts import key_expression
from pyelt_provider.statements.step import Isolated, Routine, Statement, one


def keep_standing(stage: Stage, run: Run, work: LinkWork, *, excluded: bool) -> Routine[bool]:
    """Add what rejected active rows, or the rows that they replaced, gave the vault: that stays as it was.

    Such a row is not usable: it gives no new link, and its own does not end. With `excluded` also for the rows that
    this mapping rejects in this run. Where a key cannot be evaluated, every link that it may have been stays; then True
    is returned, and all is to be compared again next time.
    """
    plain = yield Isolated(
        label=f"keep what rejected rows of {work.name} gave",
        program=one(collect_standing(stage, run, work, excluded=excluded)),
        only=DATA_ERRORS,
        mapping=work.name,
    )
    if plain.error is None:
        return False
    yield prepare_keys(work, filtered=not work.delta.past_filters)
    yield read_keys(stage, run, work, excluded=excluded)
    yield keep_known(stage, work)
    return (yield keep_possible(stage, work)).row_count > 0


def _later(stage: Stage, work: LinkWork, *, excluded: bool) -> str:
    """The rejected active rows, and behind each that never stood the row that it replaced."""
    staging = work.staging
    assert staging is not None
    rejected = f"\n        union\n        select _row from {work.entity.rejected}" if excluded else ""
    return f"""later as (
    select refused._id, refused._runid,
        refused._runid <> all(%(runids)s::numeric[]) and {stood(stage, "refused")} as stood,
        {quote_all(staging.key, "refused")}
    from {staging.table.sql} refused
    where refused._id in (
        select bad._id from {staging.table.sql} bad where bad._active and not bad._valid{rejected})
    union
    {replaced_rows(stage, staging)}
)"""


def _parameters(stage: Stage, work: LinkWork) -> dict[str, object]:
    assert work.staging is not None
    return history_parameters(stage, work.name, work.staging, work.delta.runids)


def collect_standing(stage: Stage, run: Run, work: LinkWork, *, excluded: bool) -> Statement:
    stood_before = "s._id in (select _id from later where stood)"
    where = conditions(work.source, stood_before)
    if work.delta.past_filters:
        where = f"where {stood_before} and {passed(stage, run, work.entity)}"
    return Statement(
        label="keep what rejected rows gave before",
        mapping=work.name,
        table=work.link.table,
        parameters=_parameters(stage, work),
        sql=f"""
insert into {work.rows} (row_id, usable, run_number, {_resolved_names(work.link)})
with recursive {_later(stage, work, excluded=excluded)}
select {work.row_id} as row_id, false, c.run_number,
    {resolved_columns(work.link)}
from (
    select s._id as row_id, s._runid as run_number, {work.key_columns}
    from {work.entity.relation}
    {where}
) c
{hub_joins(stage, work)}
""",
    )


def _resolved_names(link: Link) -> str:
    fks = ", ".join(quote(reference.column) for reference in link.references)
    missing = ", ".join(f"missing_{number}" for number, _ in enumerate(link.references, 1))
    return f"{fks}, {missing}, keyed"


# ---------------------------------------------------------------- where keys cannot be evaluated


def keys_function(work: LinkWork) -> str:
    """The function that `prepare_keys` makes."""
    return f"pg_temp.pyelt_link_keys_{work.number}"


def _standing(work: LinkWork) -> str:
    """The temporary table of rows that stood: `row_id`, `run_number`, and per reference key_n and whether it is known_n."""
    return quote(f"pyelt_link_standing_{work.number}")


def prepare_keys(work: LinkWork, *, filtered: bool) -> Statement:
    """Make the function that gives the keys of a staging row, each with whether it could be evaluated.

    When `filtered`, no row comes back for a row that the mapping's filter leaves away.
    """
    evaluated = "\n".join(
        f"""    begin
        select {key_expression(bk)} into key_{number} from {work.entity.relation} where s._id = pyelt_candidate;
        known_{number} := true;
    exception when data_exception or integrity_constraint_violation then
        key_{number} := null;
        known_{number} := false;
    end;"""
        for number, bk in enumerate(work.references, 1)
    )
    filtering = ""
    if work.source.filter and filtered:
        filtering = f"""    begin
        perform from {work.entity.relation} where s._id = pyelt_candidate and ({opaque(work.source.filter)});
        if not found then
            return;
        end if;
    exception when data_exception or integrity_constraint_violation then
        null;
    end;
"""
    body = f"""
#variable_conflict use_column
begin
{filtering}{evaluated}
    return next;
end
"""
    outs = ", ".join(f"out key_{n} text, out known_{n} boolean" for n, _ in enumerate(work.references, 1))
    return Statement(
        label="prepare to read keys row by row",
        mapping=work.name,
        sql=f"""
create or replace function {keys_function(work)}(pyelt_candidate bigint, {outs})
returns setof record language plpgsql as {dollar_quoted(body)}
""",
    )


def read_keys(stage: Stage, run: Run, work: LinkWork, *, excluded: bool) -> Statement:
    """Collect the rows that stood, with the keys that can be evaluated."""
    staging = work.staging
    assert staging is not None
    of_its_time = f" and {passed(stage, run, work.entity)}" if work.delta.past_filters else ""
    return Statement(
        label="read the keys of rejected rows one by one",
        mapping=work.name,
        parameters=_parameters(stage, work),
        sql=f"""
create temporary table {_standing(work)} on commit drop as
with recursive {_later(stage, work, excluded=excluded)}
select s._id as row_id, s._runid as run_number, k.*
from {staging.table.sql} s, lateral {keys_function(work)}(s._id) k
where s._id in (select _id from later where stood){of_its_time}
""",
    )


def keep_known(stage: Stage, work: LinkWork) -> Statement:
    known = " and ".join(f"known_{number}" for number, _ in enumerate(work.references, 1))
    return Statement(
        label="keep what rejected rows gave before",
        mapping=work.name,
        table=work.link.table,
        sql=f"""
insert into {work.rows} (row_id, usable, run_number, {_resolved_names(work.link)})
select {work.row_id} as row_id, false, c.run_number,
    {resolved_columns(work.link)}
from (select * from {_standing(work)} where {known}) c
{hub_joins(stage, work)}
""",
    )


def keep_possible(stage: Stage, work: LinkWork) -> Statement:
    """Keep every link that a row whose keys are not all known may have given; the known ones among them are the same."""
    numbered = tuple(enumerate(work.link.references, 1))
    hubs = stage.pipeline.hubs
    joins = "\n".join(
        f"join {hubs[r.hub].table.sql} h{n} on h{n}._id = l.{quote(r.column)} and (not c.known_{n} or h{n}.bk = c.key_{n})"
        for n, r in numbered
    )
    fks = ", ".join(f"l.{quote(r.column)}" for _, r in numbered)
    missing = ", ".join("null::text" for _ in numbered)
    known = " and ".join(f"c.known_{n}" for n, _ in numbered)
    of_type = f" and l.type = {link_type(work)}" if work.link.types else ""
    return Statement(
        label="keep what rows with unreadable keys may have given",
        mapping=work.name,
        table=work.link.table,
        sql=f"""
insert into {work.rows} (row_id, usable, run_number, {_resolved_names(work.link)})
select c.row_id, false, c.run_number, {fks}, {missing}, true
from {_standing(work)} c
join {work.link.table.sql} l on not ({known}){of_type}
{joins}
""",
    )

"""Collects the business keys that a night's changed rows have or had: those whose other rows have to be looked up."""

from __future__ import annotations

from pyelt_provider.identifiers import opaque, quote, quote_all
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.mapped_rows import Group, MappedEntity, Work
from pyelt_provider.statements.mappings.past_filters import passed
from pyelt_provider.statements.mappings.row_history import history_parameters, replaced_rows, stood
from pyelt_provider.statements.mappings.row_isolation import DATA_ERRORS, isolate_keys
from pyelt_provider.statements.step import Isolated, Program, Statement, one


def collect_changed_keys(stage: Stage, run: Run, group: Group) -> Program:
    """Collect the keys that the changed rows of a group have or had, into its temporary table `keys`."""
    isolated = False
    guarded = yield Isolated(
        label="collect changed keys", program=one(collect_keys(stage, run, group)), only=DATA_ERRORS
    )
    if guarded.error is not None:
        for work in group.works:
            if work.is_touched:
                yield from isolate_keys(work)
        isolated = True
        yield collect_keys(stage, run, group, isolated=True)
    if group.keeps_status and (yield see_refused_rows(stage, group)).value is True:
        yield Statement(label="collect changed keys anew", sql=f"drop table {group.keys}")
        yield collect_keys_that_stood(stage, run, group, isolated=isolated)


def collect_keys(stage: Stage, run: Run, group: Group, *, isolated: bool = False) -> Statement:
    """Collect the business keys that the changed rows have or had (`_closed`: a row that gave it is closed now)."""
    works = [work for work in group.works if work.is_touched]
    queries = "\n    union all\n".join(
        _keys_of(stage, run, work, number, isolated=isolated) for number, work in enumerate(works)
    )
    return Statement(
        label="collect changed keys",
        mapping=group.works[0].entity.name,
        parameters=_histories(stage, works) if any(work.delta.past_filters for work in works) else {},
        sql=f"""
create temporary table {group.keys} on commit drop as
select changed._key, bool_or(changed._refused) as _refused, bool_or(changed._closed) as _closed
from (
{queries}) as changed
group by changed._key
""",
    )


def _keys_of(stage: Stage, run: Run, work: Work, number: int, *, isolated: bool) -> str:
    entity = work.entity
    closed = _gave_it(stage, run, work, number, isolated=isolated)
    return f"""    select {entity.key} as _key, not s._valid as _refused, {closed} as _closed
    from {_evaluable(entity, isolated=isolated)}
    where s._id in (select _touched from {entity.touched})
        and (s._active or s._finish_runid is distinct from s._runid)"""


def _gave_it(stage: Stage, run: Run, work: Work, number: int, *, isolated: bool) -> str:
    """Return the condition that a closed row gave its key; not one that the mapping's filter left away.

    Where single rows cannot be evaluated the filter is not asked: it might fail for them.
    """
    condition = work.entity.mapping.source.filter
    if work.delta.past_filters:
        return f"not s._active and {passed(stage, run, work.entity, f'_{number}')}"
    if not condition or isolated:
        return "not s._active"
    return f"not s._active and ({opaque(condition)}) is true"


def _evaluable(entity: MappedEntity, *, isolated: bool) -> str:
    """Return the mapping's source; without the rows whose key cannot be evaluated, behind a fence, when there are any."""
    if not isolated:
        return entity.relation
    assert entity.staging is not None
    join = f"\n    {opaque(entity.mapping.source.join)}" if entity.mapping.source.join else ""
    return f"""(
        select s.* from {entity.staging.table.sql} as s
        where s._id not in (select _row from {entity.rejected}_keys)
        offset 0) as s{join}"""


def see_refused_rows(stage: Stage, group: Group) -> Statement:
    """One row: whether any of the changed rows is or was rejected, by a validation or by its mapping.

    Then what it gave the vault is not what it says.
    """
    sys = quote(stage.pipeline.sys_schema)
    works = [work for work in group.works if work.is_touched]
    judged = " or ".join(
        f"""exists (
        select from {sys}.journal
        where schemaname = %(schema_{number})s and tablename = %(table_{number})s
            and runid = any(%(runids_{number})s::numeric[]) and before ? '_valid')"""
        for number, _ in enumerate(works)
    )
    return Statement(
        label="see whether rejected rows are among them",
        mapping=group.works[0].entity.name,
        fetch=True,
        assumed=((False,),),
        parameters={
            "mappings": [work.entity.name for work in works],
            **_histories(stage, works),
        },
        sql=f"""
select exists (select from {group.keys} where _refused)
    or exists (select from {sys}.rejected_rows where pipe = %(pipe)s and mapping = any(%(mappings)s))
    or {judged}
""",
    )


def _histories(stage: Stage, works: list[Work]) -> dict[str, object]:
    parameters: dict[str, object] = {}
    for number, work in enumerate(works):
        assert work.entity.staging is not None
        parameters |= history_parameters(stage, work.entity.name, work.entity.staging, work.delta.runids, f"_{number}")
    return parameters


def collect_keys_that_stood(stage: Stage, run: Run, group: Group, *, isolated: bool) -> Statement:
    """Collect the keys that the changed rows have, and those (`_closed`) that closed rows gave while they stood.

    Where a changed row never stood, the row that it replaced says what the vault has.
    """
    works = [work for work in group.works if work.is_touched]
    chains = ",\n".join(_chain(stage, work, number) for number, work in enumerate(works))
    queries = "\n    union all\n".join(
        f"""    select {work.entity.key} as _key, {_gave_it(stage, run, work, number, isolated=isolated)} as _closed
    from {_evaluable(work.entity, isolated=isolated)}
    where s._id in (
        select _id from later_{number} where stood
        union all
        select _id from {_staging(work)} where _active and _id in (select _touched from {work.entity.touched}))"""
        for number, work in enumerate(works)
    )
    return Statement(
        label="collect changed keys",
        mapping=group.works[0].entity.name,
        parameters=_histories(stage, works),
        sql=f"""
create temporary table {group.keys} on commit drop as
with recursive {chains}
select changed._key, bool_or(changed._closed) as _closed
from (
{queries}) as changed
group by changed._key
""",
    )


def _chain(stage: Stage, work: Work, number: int) -> str:
    entity = work.entity
    assert entity.staging is not None
    return f"""later_{number} as (
    select changed._id, changed._runid, not changed._active and {stood(stage, "changed", f"_{number}")} as stood,
        {quote_all(entity.staging.key, "changed")}
    from {_staging(work)} as changed
    where changed._id in (select _touched from {entity.touched})
        and (changed._active or changed._finish_runid is distinct from changed._runid)
    union
    {replaced_rows(stage, entity.staging, f"_{number}", f"later_{number}")})"""


def _staging(work: Work) -> str:
    assert work.entity.staging is not None
    return work.entity.staging.table.sql

"""Collects what a link mapping has to look at, and keeps out single rows whose expressions cannot be evaluated."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.domain import Hub, Link
from pyelt_provider.model.mapping import EntityMapping, LinkMapping, MissingReference
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.bulk_mode import look_up_by_index
from pyelt_provider.statements.links.history import (
    LinkGroup,
    collect_history,
    collect_keys,
    create_keys,
)
from pyelt_provider.statements.links.rows import Collected, LinkWork, collect_rows, count_rows, touch
from pyelt_provider.statements.links.standing import keep_standing
from pyelt_provider.statements.links.waiting import end_waiting, see_arrived
from pyelt_provider.statements.mappings.deltas import Delta, mapping_delta, mapping_fingerprint
from pyelt_provider.statements.mappings.mapped_rows import Group, MappedEntity, MappedField, Work, key_fingerprint
from pyelt_provider.statements.mappings.past_filters import past_of, prepare_past_filters
from pyelt_provider.statements.mappings.row_isolation import (
    DATA_ERRORS,
    isolate_keys,
    isolate_rows,
    judge_rejected_again,
    keep_rejections,
    make_room,
)
from pyelt_provider.statements.step import Count, Isolated, Number, Program, Routine, Statement, one


def look(stage: Stage, run: Run, link: Link, mapping: LinkMapping, left: frozenset[TableName]) -> Routine[LinkWork]:
    """Return what a mapping has to do in this run; asks also whether keys that it waits for are there now."""
    source, entity = mapping.source, as_entity(stage, link, mapping)
    delta = yield from mapping_delta(stage, run, mapping.name, source, entity.fingerprint, entity.key_fingerprint)
    work = Work(entity=entity, delta=delta)
    if past_of(work):
        yield prepare_past_filters(run, work)
    arrived = False
    if not delta.full and mapping.missing_reference is MissingReference.WAIT:
        if source.is_incremental:
            resolved = yield end_waiting(stage, run, mapping, link, left)
            arrived = resolved.row_count > 0
        else:
            arrived = bool((yield see_arrived(stage, mapping, link, left)).value)
    return LinkWork(
        mapping=mapping,
        link=link,
        delta=delta,
        full=delta.full or (not source.is_incremental and (arrived or not delta.is_empty)),
        arrived=arrived,
        number=entity.number,
        entity=entity,
        left=left,
    )


def as_entity(stage: Stage, link: Link, mapping: LinkMapping) -> MappedEntity:
    """Return a link mapping as the judging of single rows sees it: its references make one key, as a JSON array."""
    source = mapping.source
    types = {(s.name, c.name): c.type for s in link.satellites for c in s.columns}
    fields = tuple(
        MappedField(field=item, column_type=types[item.satellite, item.column], value=f"_value_{place}")
        for place, item in enumerate(mapping.fields, 1)
    )
    by_role = {reference.role: reference.bk for reference in mapping.references}
    expressions = tuple(by_role[reference.role] for reference in link.references)
    texts = (
        *(f"{role}={bk}" for role, bk in sorted(by_role.items())),
        mapping.type or "",
        mapping.prefer or "",
        mapping.missing_reference,
        link.driving or "",
        str(link.status),
        *sorted(f"{item.label}={item.field.expression}" for item in fields),
        *(f"fk {column}" for column in stage.the_pipe.fk_columns_of(source.staging, link.name)),
    )
    return MappedEntity(
        number=stage.the_pipe.links.index(mapping) + 1,
        mapping=EntityMapping(
            name=mapping.name,
            source=source,
            hub=link.name,
            bk=f"jsonb_build_array({', '.join(expressions)})",
            fields=mapping.fields,
            prefer=mapping.prefer,
        ),
        hub=Hub(schema=link.schema, name=link.name, root=link.name),
        staging=stage.the_pipe.table(source.staging) if source.staging else None,
        fields=fields,
        pipe=stage.the_pipe,
        fingerprint=mapping_fingerprint(stage, source, texts),
        key_fingerprint=key_fingerprint(stage, *expressions),
    )


def collect(stage: Stage, run: Run, group: LinkGroup) -> Routine[tuple[Collected, ...]]:
    """Collect the rows of the group's mappings with their references; nothing when no row was touched.

    A row that one mapping cannot evaluate is rejected for that mapping alone and leaves the vault as it was.
    """
    touched = 0
    if not group.full:
        yield look_up_by_index()
    for work in group.works:
        if work.has_news and not work.full and work.staging is not None:
            touched += (yield touch(stage, run, work, closed=group.has_history)).row_count
    if not group.full and not touched:
        return ()
    if group.has_history and not group.full:
        yield create_keys(group)
        for work in group.works:
            if work.has_news:
                yield from _collect_keys(stage, run, group, work)
    collected = []
    for work in group.works:
        collected.append((yield from _collect_rows(stage, run, group, work)))
    return tuple(collected)


def _collect_keys(stage: Stage, run: Run, group: LinkGroup, work: LinkWork) -> Program:
    guarded = yield Isolated(
        label=f"collect the keys of {work.name}",
        program=one(collect_keys(stage, run, group, work, excluded=False)),
        only=DATA_ERRORS,
        mapping=work.name,
    )
    if guarded.error is not None:
        yield from isolate_keys(_judged(work))
        yield collect_keys(stage, run, group, work, excluded=True)


def _collect_rows(stage: Stage, run: Run, group: LinkGroup, work: LinkWork) -> Routine[Collected]:
    excluded = work.delta.has_rejected
    if excluded:
        yield from judge_rejected_again(stage, _judged(work))
    numbers: list[int] = []
    guarded = yield Isolated(
        label=f"collect the rows of {work.name}",
        program=_counting(_statement(stage, group, work, excluded=excluded), numbers),
        only=DATA_ERRORS,
        mapping=work.name,
    )
    if guarded.error is not None:
        yield from isolate_rows(_judged_group(group, work), _judged(work), made_room=excluded)
        excluded = True
        numbers.append((yield _statement(stage, group, work, excluded=True)).row_count)
    unreadable = False
    if group.link.status and work.source.is_incremental:
        unreadable = yield from keep_standing(stage, run, work, excluded=excluded)
    unkeyed, missing = (int(str(number)) for number in (yield count_rows(work)).rows[0])
    if unkeyed:
        yield Number(
            label="rows without all keys",
            table=work.link.table,
            count=Count.UNKEYED,
            rows=unkeyed,
            mapping=work.name,
        )
    if missing and work.mapping.missing_reference is MissingReference.REJECT:
        if not excluded:
            yield from make_room(work.entity)
            excluded = True
        yield reject_missing(stage, work)
    if excluded:
        touched = work.has_news and not work.full and work.staging is not None
        yield from keep_rejections(stage, run, _judged(work), touched=touched)
    return Collected(work=work, rows=numbers[0] if numbers else 0, missing=missing, unreadable=unreadable)


def _statement(stage: Stage, group: LinkGroup, work: LinkWork, *, excluded: bool) -> Statement:
    if group.has_history:
        return collect_history(stage, group, work, excluded=excluded)
    return collect_rows(stage, work, excluded=excluded)


def reject_missing(stage: Stage, work: LinkWork) -> Statement:
    """Reject the rows that miss a key, for mappings that want it so; the message names the role, never the key."""
    numbered = tuple(enumerate(work.link.references, 1))
    cases = "\n        ".join(f"when missing_{number} is not null then %(message_{number})s" for number, _ in numbered)
    any_missing = " or ".join(f"missing_{number} is not null" for number, _ in numbered)
    hubs = stage.pipeline.hubs
    return Statement(
        label="reject rows whose keys are missing",
        mapping=work.name,
        parameters={
            f"message_{number}": f"no {reference.role} of this key in {hubs[reference.hub].table}"
            for number, reference in numbered
        },
        sql=f"""
insert into {work.entity.rejected} (_row, _message)
select row_id,
    case
        {cases}
    end
from {work.rows}
where usable and keyed and ({any_missing})
on conflict do nothing
""",
    )


def _judged(work: LinkWork) -> Work:
    return Work(entity=work.entity, delta=work.delta)


def _judged_group(group: LinkGroup, work: LinkWork) -> Group:
    delta = Delta(full=True) if group.full or group.has_history else work.delta
    return Group(number=work.number, works=(Work(entity=work.entity, delta=delta),), keeps_status=False)


def _counting(statement: Statement, numbers: list[int]) -> Program:
    numbers.append((yield statement).row_count)

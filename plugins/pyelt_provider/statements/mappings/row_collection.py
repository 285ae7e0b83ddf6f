"""Collects the rows of entity mappings that have to be loaded, each mapping's into a temporary table, with typed values.

Every expression of a mapping is evaluated here and nowhere else, so a row that cannot be evaluated is found before
anything of it is in the vault.
"""

from __future__ import annotations

from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.changed_keys import collect_changed_keys
from pyelt_provider.statements.mappings.deltas import touched_parameters, touched_rows
from pyelt_provider.statements.mappings.mapped_rows import Group, MappedEntity, Work
from pyelt_provider.statements.mappings.row_isolation import (
    DATA_ERRORS,
    fenced_relation,
    isolate_rows,
    judge_rejected_again,
    keep_rejections,
)
from pyelt_provider.statements.mappings.sources import conditions_of
from pyelt_provider.statements.step import Count, Isolated, Number, Program, Routine, Statement


def collect_touched(stage: Stage, run: Run, group: Group) -> Routine[bool]:
    """Collect which rows and keys of a group of mappings have changed; return False when none has."""
    if group.full:
        return True
    if not (yield from _touch(stage, group)):
        return False
    if group.needs_keys:
        yield from collect_changed_keys(stage, run, group)
        if not group.by_row:
            yield Statement(label="gather statistics of changed keys", sql=f"analyze {group.keys}")
    return True


def _touch(stage: Stage, group: Group) -> Routine[int]:
    found = 0
    for work in group.works:
        if work.is_touched:
            result = yield touch(stage, group, work)
            found += result.row_count
    return found


def collect_entity(
    stage: Stage, run: Run, group: Group, work: Work, *, isolated: set[int], numbered: bool
) -> Routine[int]:
    """Collect the rows of one mapping of the group into its temporary table; return how many there are.

    The candidates are all active valid rows of the keys that changed rows have or had; all rows when the group is full.
    Rows that cannot be evaluated are rejected for their mapping alone; then the mapping's number goes into `isolated`.
    `numbered` gives the rows new hub ids (`_id`), for a hub that is empty.
    """
    entity = work.entity
    excluded = work.delta.has_rejected
    if excluded:
        yield from judge_rejected_again(stage, work)
    counted: list[int] = []
    program = _counting(collect_rows(group, work, excluded=excluded, numbered=numbered), counted)
    if not entity.can_fail:
        yield from program
    else:
        guarded = yield Isolated(label=f"collect rows of {entity.name}", program=program, only=DATA_ERRORS)
        if guarded.error is not None:
            yield from isolate_rows(group, work, made_room=excluded)
            excluded = True
            yield from _counting(collect_rows(group, work, excluded=True, numbered=numbered), counted)
    if excluded:
        isolated.add(entity.number)
        yield from keep_rejections(stage, run, work, touched=not group.full and work.is_touched)
    rows = counted[-1]
    if not entity.has_one_row_per_key:
        yield from _number(Count.UNKEYED, "rows without a key", entity, count_unkeyed(group, work, excluded=excluded))
        if entity.fields and rows and (yield see_repeated_keys(entity)).value is True:
            yield from _number(Count.DIFFERING, "keys whose rows differ", entity, count_differing(entity))
    return rows


def _number(count: Count, label: str, entity: MappedEntity, statement: Statement) -> Program:
    result = yield statement
    rows = int(str(result.value))
    if rows:
        yield Number(label=label, table=entity.hub.table, count=count, rows=rows, mapping=entity.name)


def _counting(statement: Statement, counted: list[int]) -> Program:
    result = yield statement
    counted.append(result.row_count)


def touch(stage: Stage, group: Group, work: Work) -> Statement:
    """Collect the ids of the staging rows that the mapping has to look at, closed ones where it matters what went."""
    entity = work.entity
    assert entity.staging is not None
    rows = touched_rows(
        entity.staging,
        stage.pipeline.sys_schema,
        work.delta,
        stage.pipe_name,
        entity.name,
        with_closed=group.needs_keys,
    )
    return Statement(
        label="collect changed rows",
        mapping=entity.name,
        table=entity.staging.table,
        count=Count.READ,
        parameters=touched_parameters(entity.staging, work.delta, stage.pipe_name, entity.name),
        sql=f"""
create temporary table {entity.touched} on commit drop as
select changed._id as _touched
from (
    {rows}) as changed
""",
    )


def collect_rows(group: Group, work: Work, *, excluded: bool, numbered: bool = False) -> Statement:
    """Collect the rows of one mapping with their key and their values in the types of their columns.

    A mapping without satellites gives each key once. With `excluded`, rows in the temporary table of rejected rows stay
    out, behind a fence: their expressions must not be evaluated.
    """
    entity = work.entity
    narrowed: tuple[str, ...] = ()
    if not group.full and group.by_row:
        narrowed = (f"s._id in (select _touched from {entity.touched})",)
    relation = fenced_relation(entity, narrowed) if excluded else entity.relation
    unkeyed = ""
    if not group.full and not group.by_row:
        if work.is_touched and not is_keys_only(entity):
            unkeyed = "\nunion all\n" + _without_key(group, work, excluded=excluded, numbered=numbered)
        # A join, not a condition: the planner knows then that few rows are found, and asks the index on the key.
        keys = f"(select _key as pyelt_key from {group.keys}) as pyelt_keys"
        relation += f"\njoin {keys} on pyelt_keys.pyelt_key = {entity.key}"
    conditions = conditions_of(entity.mapping.source, *narrowed)
    return Statement(
        label="collect rows",
        mapping=entity.name,
        table=entity.staging.table if entity.staging else entity.hub.table,
        count=Count.READ if group.full and not is_keys_only(entity) else None,
        sql=f"""
create temporary table {entity.rows} on commit drop as
select {_selected(group, entity, numbered=numbered)}
from {relation}
{conditions}{" group by 1" if is_keys_only(entity) else ""}{unkeyed}
""",
    )


def _without_key(group: Group, work: Work, *, excluded: bool, numbered: bool) -> str:
    """A query of the changed rows that have no key: they give nothing, but a value that does not fit is still told."""
    entity = work.entity
    changed = f"s._id in (select _touched from {entity.touched})"
    relation = fenced_relation(entity, (changed,)) if excluded else entity.relation
    return f"""select {_selected(group, entity, numbered=numbered)}
from {relation}
{conditions_of(entity.mapping.source, changed, f"{entity.key} is null")}"""


def _selected(group: Group, entity: MappedEntity, *, numbered: bool) -> str:
    key = f"{entity.key} as _key"
    if is_keys_only(entity):
        return f"{key}, count(*) as _rows"
    columns = [
        *([f"{_new_id(entity)} as _id"] if numbered else []),
        *([f"{entity.row_identity} as _row"] if entity.staging else []),
        key,
        *([] if entity.has_one_row_per_key else [_rank(entity)]),
        *(f"{field.sql} as {field.value}" for field in entity.fields),
    ]
    return ",\n    ".join(columns)


def _new_id(entity: MappedEntity) -> str:
    return "row_number() over ()" if entity.has_one_row_per_key else f"dense_rank() over (order by {entity.key})"


def _rank(entity: MappedEntity) -> str:
    return f"row_number() over (partition by {entity.key} order by {entity.order}) as _rank"


def look_up_ids(entity: MappedEntity) -> Statement:
    """Collect the rows once more with the ids of their keys, which several satellites ask for."""
    return Statement(
        label="look up the ids of the keys",
        mapping=entity.name,
        table=entity.hub.table,
        sql=f"""
create temporary table {entity.keyed_rows} on commit drop as
select h._id, r.*
from {entity.rows} as r
join {entity.hub.table.sql} as h on h.bk = r._key
where {winners(entity)}
""",
    )


def is_keys_only(entity: MappedEntity) -> bool:
    """True when only the mapping's distinct keys matter: it fills no satellite and no column in staging."""
    names = {name for _, name in entity.staging.fk_columns} if entity.staging else set()
    return not entity.fields and entity.hub.name not in names


def winners(entity: MappedEntity) -> str:
    """Return the condition on collected rows `r` that leaves one per key, and none without a key."""
    return "true" if entity.has_one_row_per_key else "r._rank = 1 and r._key is not null"


def count_unkeyed(group: Group, work: Work, *, excluded: bool) -> Statement:
    """One row: how many of the rows to look at have no business key."""
    entity = work.entity
    if group.full or group.by_row:
        counted = "coalesce(sum(_rows), 0)::bigint" if is_keys_only(entity) else "count(*)"
        sql = f"select {counted} from {entity.rows} where _key is null"
    else:
        narrowed = (f"s._id in (select _touched from {entity.touched})",) if work.is_touched else ("false",)
        relation = fenced_relation(entity, narrowed) if excluded else entity.relation
        sql = f"""
select count(*) filter (where {entity.key} is null)
from {relation}
{conditions_of(entity.mapping.source, *narrowed)}
"""
    return Statement(label="count rows without a key", mapping=entity.name, fetch=True, assumed=((0,),), sql=sql)


def see_repeated_keys(entity: MappedEntity) -> Statement:
    """One row: whether any key has several rows."""
    return Statement(
        label="see whether keys have several rows",
        mapping=entity.name,
        fetch=True,
        assumed=((True,),),
        sql=f"select exists (select from {entity.rows} where _rank > 1 and _key is not null)",
    )


def count_differing(entity: MappedEntity) -> Statement:
    """One row: how many keys have rows whose values are not the same, so that the choice of the winner matters."""
    differs = " or ".join(f"r.{f.value}::text is distinct from w.{f.value}::text" for f in entity.fields)
    return Statement(
        label="count keys whose rows differ",
        mapping=entity.name,
        fetch=True,
        assumed=((0,),),
        sql=f"""
select count(distinct r._key)
from {entity.rows} as r
join {entity.rows} as w on w._key = r._key and w._rank = 1
where r._rank > 1 and ({differs})
""",
    )

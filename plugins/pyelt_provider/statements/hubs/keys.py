"""Fills hubs with the keys of collected rows: one statement per hub table, and the more specific type of a key wins."""

from __future__ import annotations

from collections.abc import Sequence

from pyelt_provider.identifiers import TableName, text_literal
from pyelt_provider.model.domain import SatelliteKind
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.given_keys import claim_keys, note_given
from pyelt_provider.statements.mappings.mapped_rows import MappedEntity
from pyelt_provider.statements.mappings.row_collection import is_keys_only, winners
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows
from pyelt_provider.statements.step import Count, Program, Statement


def insert_hub_keys(
    stage: Stage, run: Run, table: TableName, entities: Sequence[MappedEntity], *, first: bool
) -> Program:
    """Insert the keys that are not in the hub yet, from all the mappings' rows, in the order of the keys.

    That order is the same for everybody, so pipes that load the same hub at the same time wait for each other at most
    one way round; a key that two of them bring is there once. Where a mapping is onto a subtype, keys that are there
    under the type of a parent get the subtype. `first`: the hub is empty, and nobody else loads it.
    """
    yield insert_new_keys(stage, run, table, entities, first=first)
    if first:
        return
    mapping = ", ".join(entity.name for entity in entities)
    yield claim_keys(stage, run, table, mapping, _typed_keys(stage.pipeline, entities))
    traceless = [entity for entity in entities if not _leaves_a_row(entity)]
    if traceless:
        given = " union all ".join(f"select _key from {entity.rows}" for entity in traceless)
        ids = f"select h._id from {table.sql} as h where h.bk in ({given})"
        yield note_given(stage, run, table, ", ".join(entity.name for entity in traceless), ids)
    pairs = tuple(
        dict.fromkeys(
            (parent.type, entity.hub.type) for entity in entities for parent in stage.pipeline.parents_of(entity.hub)
        )
    )
    if pairs:
        found = yield note_types(stage, run, table, entities, pairs)
        if found.row_count:
            yield make_types_specific(stage, run, table, entities, pairs)


def _leaves_a_row(entity: MappedEntity) -> bool:
    """True when each key that the mapping gives is to be seen elsewhere: in a satellite, or in a column of staging.

    A hybrid satellite has no row of a key without values.
    """
    if is_keys_only(entity):
        return False
    hybrid = {satellite.name for satellite in entity.hub.satellites if satellite.kind is SatelliteKind.HYBRID}
    return not entity.fields or any(item.field.satellite not in hybrid for item in entity.fields)


def _typed_keys(pipeline: Pipeline, entities: Sequence[MappedEntity]) -> str:
    """Return a query of the distinct keys with the most specific type that a mapping gives them."""
    if len(entities) == 1:
        entity = entities[0]
        return f"""select r._key, {text_literal(entity.hub.type)}::text as type
    from {entity.rows} as r where {_once(entity)}"""
    queries = "\n        union all\n".join(
        f"        select _key, {text_literal(entity.hub.type)}::text as type, {len(pipeline.parents_of(entity.hub))} as depth "
        f"from {entity.rows} where _key is not null"
        for entity in entities
    )
    return f"""select distinct on (_key) _key, type
    from (
{queries}) as given
    order by _key, depth desc, type"""


def _once(entity: MappedEntity) -> str:
    return "r._key is not null" if is_keys_only(entity) else winners(entity)


def insert_new_keys(
    stage: Stage, run: Run, table: TableName, entities: Sequence[MappedEntity], *, first: bool
) -> Statement:
    new = "" if first else f"\nwhere not exists (select from {table.sql} as h where h.bk = k._key)"
    at_once = "" if first else "\norder by k._key\non conflict do nothing"
    return Statement(
        label="insert new keys",
        mapping=", ".join(entity.name for entity in entities),
        table=table,
        count=Count.INSERTED,
        parameters={"runid": run.number, "pipe": stage.pipe_name, "load_time": run.load_time},
        sql=f"""
insert into {table.sql} (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    {_typed_keys(stage.pipeline, entities)}) as k{new}{at_once}
""",
    )


def insert_numbered_keys(stage: Stage, run: Run, entity: MappedEntity) -> Statement:
    """Insert the keys of an empty hub under the ids that the collected rows have already."""
    return Statement(
        label="insert first keys",
        mapping=entity.name,
        table=entity.hub.table,
        count=Count.INSERTED,
        parameters={"runid": run.number, "pipe": stage.pipe_name, "load_time": run.load_time, "type": entity.hub.type},
        sql=f"""
insert into {entity.hub.table.sql} (_id, _runid, _source_system, _insert_date, type, bk)
select r._id, %(runid)s, %(pipe)s, %(load_time)s, %(type)s, r._key
from {entity.rows} as r
where {winners(entity)}
""",
    )


def continue_numbering(table: TableName) -> Statement:
    """Let the hub's own numbering go on behind the greatest id."""
    return Statement(
        label="let new keys be numbered from here",
        table=table,
        fetch=True,
        parameters={"table": table.sql.replace("%%", "%")},
        sql=f"select setval(pg_get_serial_sequence(%(table)s, '_id'), greatest(max(_id), 1)) from {table.sql}",
    )


def _less_specific(pairs: tuple[tuple[str, str], ...]) -> str:
    listed = ", ".join(f"({text_literal(parent)}, {text_literal(own)})" for parent, own in pairs)
    return f"(h.type is null or (h.type, k.type) in ({listed}))"


def note_types(
    stage: Stage, run: Run, table: TableName, entities: Sequence[MappedEntity], pairs: tuple[tuple[str, str], ...]
) -> Statement:
    """Write the type that a key has now into the journal where a more specific one comes; locks these keys in order."""
    return Statement(
        label="note keys that get a more specific type",
        mapping=", ".join(entity.name for entity in entities),
        parameters=journal_parameters(stage, run, table),
        sql=journal_rows(
            stage,
            f"""found._id, jsonb_build_object('type', found.type)
from (
    select h._id, h.type
    from {table.sql} as h
    join (
    {_typed_keys(stage.pipeline, entities)}) as k on k._key = h.bk
    where {_less_specific(pairs)}
    order by h.bk
    for no key update of h) as found
""",
        ),
    )


def make_types_specific(
    stage: Stage, run: Run, table: TableName, entities: Sequence[MappedEntity], pairs: tuple[tuple[str, str], ...]
) -> Statement:
    return Statement(
        label="make types more specific",
        mapping=", ".join(entity.name for entity in entities),
        table=table,
        count=Count.CHANGED,
        sql=f"""
update {table.sql} as h set type = k.type
from (
    {_typed_keys(stage.pipeline, entities)}) as k
where k._key = h.bk and {_less_specific(pairs)}
""",
    )

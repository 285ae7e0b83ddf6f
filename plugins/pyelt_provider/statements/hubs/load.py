"""Loads the hubs and satellites of a pipe: collects the rows that changed, inserts their keys, then their values."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyelt_provider.errors import MappingRefused
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.domain import Satellite, SatelliteKind
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.bulk_mode import (
    BULK_ROWS,
    load_alone,
    load_in_bulk,
    look_up_by_index,
    see_empty_tables,
)
from pyelt_provider.statements.ddl.tables import hub_spec
from pyelt_provider.statements.hubs.keys import continue_numbering, insert_hub_keys, insert_numbered_keys
from pyelt_provider.statements.hubs.record_status import load_record_status
from pyelt_provider.statements.mappings.deltas import forget_removed, mapping_delta, record_position
from pyelt_provider.statements.mappings.fk_columns import GivenIds, fill_fk_columns
from pyelt_provider.statements.mappings.mapped_rows import (
    Group,
    MappedEntity,
    Work,
    grouped,
    mapped_entities,
    satellites_of,
)
from pyelt_provider.statements.mappings.order import each_mapping
from pyelt_provider.statements.mappings.past_filters import past_of, prepare_past_filters
from pyelt_provider.statements.mappings.row_collection import (
    collect_entity,
    collect_touched,
    is_keys_only,
    look_up_ids,
    winners,
)
from pyelt_provider.statements.satellites.load import FilledColumn, SatelliteSource, load_satellite
from pyelt_provider.statements.satellites.owner import hub_owner
from pyelt_provider.statements.step import Program


@dataclass
class Progress:
    """What this stage has done so far. A part whose savepoint was rolled back ends in none of these."""

    works: dict[int, Work] = field(default_factory=dict)
    empty: set[TableName] = field(default_factory=set)
    alone: set[TableName] = field(default_factory=set)
    unchanged: set[int] = field(default_factory=set)
    """Groups (by number) of which no row has changed."""
    rows: dict[int, int] = field(default_factory=dict)
    """The number of collected rows by mapping."""
    isolated: set[int] = field(default_factory=set)
    """Mappings that have rejected rows."""
    filled: set[TableName] = field(default_factory=set)
    """Hubs that got their keys in this stage."""
    keyed: set[int] = field(default_factory=set)
    """Mappings whose keys are in their hub."""
    loaded: set[tuple[int, TableName]] = field(default_factory=set)
    """The satellites that were loaded, by group."""
    linked: set[int] = field(default_factory=set)
    """Groups whose rows are ready for the satellites: their ids are looked up, fk columns in staging are filled."""

    def is_done(self, group: Group) -> bool:
        """True when nothing of the group failed, so that its mappings have looked at what was new."""
        if group.is_empty or group.number in self.unchanged:
            return True
        satellites = {(group.number, satellite.table) for satellite in _satellites(group)}
        return self.is_keyed(group) and group.number in self.linked and satellites <= self.loaded

    def has_rows(self, works: tuple[Work, ...]) -> bool:
        return any(self.rows[work.entity.number] for work in works)

    def is_keyed(self, group: Group) -> bool:
        return all(work.entity.number in self.keyed for work in group.works)

    def is_numbered(self, group: Group, entity: MappedEntity) -> bool:
        """True when the rows can get their hub ids at once: the hub is empty, and one mapping fills it."""
        table = entity.hub.table
        others = [work for work in self.works.values() if work.entity.hub.table == table]
        return (
            group.full and len(others) == 1 and table in self.empty and table in self.alone and not is_keys_only(entity)
        )


def etl_hubs(stage: Stage, run: Run) -> Program:
    """Load what changed in the pipe's sources into hubs and satellites, first from staging, then from views and queries.

    Each mapping looks only at what it has not looked at, and remembers it in the same transaction. Values that did not
    change write nothing; a key that is not given any more stays, with its going noted in the record status. A row that
    cannot be evaluated is rejected for its mapping alone. With `on_errors: log` a mapping that fails leaves the vault
    as it was and looks at the same rows next time.
    """
    progress = Progress()
    on_errors = stage.pipeline.on_errors
    looks = [(entity.name, _look(stage, run, entity, progress)) for entity in mapped_entities(stage)]
    yield from each_mapping(looks, on_errors)
    groups = grouped(progress.works.values())
    if all(group.is_empty for group in groups):
        return
    yield look_up_by_index()
    yield from _see_what_is_empty(groups, progress)
    for from_staging in (True, False):
        collecting = [
            (_names(group), _collect(stage, run, group, progress, from_staging=from_staging))
            for group in groups
            if not group.is_empty and any((work.entity.staging is not None) == from_staging for work in group.works)
        ]
        yield from each_mapping(collecting, on_errors)
        yield from each_mapping(_hub_units(stage, run, groups, progress), on_errors)
        for group in groups:
            if progress.is_keyed(group) and group.number not in progress.linked:
                yield from each_mapping(_group_units(stage, run, group, progress), on_errors)
    for group in groups:
        if progress.is_done(group):
            for work in group.works:
                known = work.entity
                yield from record_position(stage, run, known.name, work.delta, known.fingerprint, known.key_fingerprint)
    works = progress.works.values()
    all_done = len(works) == len(stage.the_pipe.entities) and all(map(progress.is_done, groups))
    if all_done and any(work.delta.others_went for work in works):
        yield forget_removed(stage, run)


def _names(group: Group) -> str:
    return ", ".join(work.entity.name for work in group.works)


def _satellites(group: Group) -> tuple[Satellite, ...]:
    """Return the satellites that the group's mappings fill, each once, in the order of their tables."""
    found = {satellite.table: satellite for work in group.works for satellite in satellites_of(work.entity)}
    return tuple(found[table] for table in sorted(found))


def _look(stage: Stage, run: Run, entity: MappedEntity, progress: Progress) -> Program:
    source, place = entity.mapping.source, entity.mapping.place
    try:
        delta = yield from mapping_delta(stage, run, entity.name, source, entity.fingerprint, entity.key_fingerprint)
    except MappingRefused as refused:
        raise MappingRefused(f"{place}: {refused}" if place.file else str(refused)) from None
    work = Work(entity=entity, delta=delta)
    if past_of(work):
        yield prepare_past_filters(run, work)
    progress.works[entity.number] = work


def _see_what_is_empty(groups: tuple[Group, ...], progress: Progress) -> Program:
    """Look which tables are empty, where all rows are to be loaded, and whether this stage has them for itself."""
    owners: dict[TableName, TableName] = {}
    for group in groups:
        if group.full:
            for work in group.works:
                hub = work.entity.hub.table
                owners |= {hub: hub, **{satellite.table: hub for satellite in satellites_of(work.entity)}}
    tables = sorted(owners)
    if not tables:
        return
    seen = yield see_empty_tables(tables)
    progress.empty |= {tables[int(str(place))] for place, empty in seen.rows if empty}
    if progress.empty:
        wanted = sorted(progress.empty | {owners[table] for table in progress.empty})
        got = yield load_alone(wanted)
        progress.alone |= {wanted[int(str(place))] for place, alone in got.rows if alone}


def _collect(stage: Stage, run: Run, group: Group, progress: Progress, *, from_staging: bool) -> Program:
    if from_staging and not (yield from collect_touched(stage, run, group)):
        progress.unchanged.add(group.number)
        return
    if group.number in progress.unchanged:
        return
    rows: dict[int, int] = {}
    isolated: set[int] = set()
    for work in group.works:
        entity = work.entity
        if (entity.staging is not None) == from_staging:
            rows[entity.number] = yield from collect_entity(
                stage, run, group, work, isolated=isolated, numbered=progress.is_numbered(group, entity)
            )
    progress.rows |= rows
    progress.isolated |= isolated


def _hub_units(stage: Stage, run: Run, groups: tuple[Group, ...], progress: Progress) -> list[tuple[str, Program]]:
    """Return a unit per hub table, in the order of their names, for the mappings that were collected and not keyed yet."""
    waiting: dict[TableName, list[tuple[Group, MappedEntity]]] = {}
    for group in groups:
        for work in group.works:
            if work.entity.number in progress.rows and work.entity.number not in progress.keyed:
                waiting.setdefault(work.entity.hub.table, []).append((group, work.entity))
    return [
        (", ".join(entity.name for _, entity in waiting[table]), _load_hub(stage, run, table, waiting[table], progress))
        for table in sorted(waiting)
    ]


def _load_hub(
    stage: Stage, run: Run, table: TableName, members: list[tuple[Group, MappedEntity]], progress: Progress
) -> Program:
    group, first = members[0]
    entities = [entity for _, entity in members]
    rows = sum(progress.rows[entity.number] for entity in entities)
    # Another mapping may have filled the hub in the phase before.
    untouched = table in progress.empty and table in progress.alone and table not in progress.filled
    keys = insert_hub_keys(stage, run, table, entities, first=untouched)
    if progress.is_numbered(group, first):
        keys = _number_keys(stage, run, first)
    if untouched and rows >= BULK_ROWS:
        yield from load_in_bulk(hub_spec(first.hub), keys)
    elif rows:
        yield from keys
    progress.filled.add(table)
    progress.keyed |= {entity.number for entity in entities}


def _number_keys(stage: Stage, run: Run, entity: MappedEntity) -> Program:
    yield insert_numbered_keys(stage, run, entity)
    yield continue_numbering(entity.hub.table)


def _group_units(stage: Stage, run: Run, group: Group, progress: Progress) -> list[tuple[str, Program]]:
    """Return a unit that makes the rows ready, and one per satellite, in the order of their tables."""
    units = [(_names(group), _make_ready(stage, run, group, progress))]
    for satellite in _satellites(group):
        members = tuple(
            work for work in group.works if satellite.table in {s.table for s in satellites_of(work.entity)}
        )
        name = ", ".join(work.entity.name for work in members)
        units.append((name, _load_satellite(stage, run, group, satellite, members, progress)))
    return units


def _make_ready(stage: Stage, run: Run, group: Group, progress: Progress) -> Program:
    looks_up = _looks_up_once(group) and progress.has_rows(group.works)
    for work in group.works:
        if looks_up and not progress.is_numbered(group, work.entity):
            yield look_up_ids(work.entity)
        known = work.entity
        yield from fill_fk_columns(stage, run, known.name, known.staging, known.hub.name, _given_keys(known))
    progress.linked.add(group.number)


def _given_keys(entity: MappedEntity) -> GivenIds:
    joined = f"{entity.hub.table.sql} as h on h.bk = r._key"
    return GivenIds(rows=entity.rows, row="r._row", joined=joined, id="h._id")


def _looks_up_once(group: Group) -> bool:
    """True when the rows go into more than one satellite or type, so that looking up their ids once pays."""
    targets = {(item.field.satellite, item.field.type) for work in group.works for item in work.entity.fields}
    return len(targets) > 1


def _load_satellite(
    stage: Stage, run: Run, group: Group, satellite: Satellite, members: tuple[Work, ...], progress: Progress
) -> Program:
    if satellite.kind is SatelliteKind.RECORD_STATUS:
        yield from load_record_status(stage, run, satellite, group, members, frozenset(progress.isolated))
    elif progress.has_rows(group.works):
        rows = sum(progress.rows[work.entity.number] for work in members)
        table, hub = satellite.table, members[0].entity.hub
        empty = table in progress.empty
        bulk = empty and rows >= BULK_ROWS and {table, hub.table} <= progress.alone
        sources = [_source_of(group, work.entity, satellite, progress) for work in members]
        yield from load_satellite(stage, run, satellite, hub_owner(hub), sources, empty=empty, bulk=bulk)
    progress.loaded.add((group.number, satellite.table))


def _source_of(group: Group, entity: MappedEntity, satellite: Satellite, progress: Progress) -> SatelliteSource:
    numbered = progress.is_numbered(group, entity)
    looked_up = _looks_up_once(group) and not numbered
    return SatelliteSource(
        mapping=entity.name,
        rows=entity.keyed_rows if looked_up else entity.rows,
        keys=("_key",),
        columns=tuple(
            FilledColumn(column=item.field.column, value=item.value, type=item.field.type)
            for item in entity.fields
            if item.field.satellite == satellite.name
        ),
        where="true" if looked_up else winners(entity),
        owner_id="_id" if numbered or looked_up else None,
    )

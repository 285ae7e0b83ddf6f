"""Entity mappings as their load sees them: typed expressions, numbered temporary tables, and who must be loaded together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyelt_provider.identifiers import opaque, quote
from pyelt_provider.model.domain import Hub, Satellite, SatelliteKind
from pyelt_provider.model.mapping import EntityMapping, FieldMapping, MappingSource
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.deltas import Delta, mapping_fingerprint
from pyelt_provider.statements.mappings.sources import relation_of
from pyelt_provider.statements.sql.casts import cast_expression, key_expression
from pyelt_provider.statements.sql.expressions import SOURCE_ALIAS, TokenKind, cannot_fail, identifies, tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedField:
    """A field of a mapping with the type of its column; `sql` is the cast expression, `value` its temporary column."""

    field: FieldMapping
    column_type: str
    value: str

    @property
    def sql(self) -> str:
        return cast_expression(self.field.expression, self.column_type)

    @property
    def label(self) -> str:
        """What a message calls it: ``Contactgegevens.telnummer[mobiel] (text)``."""
        of_type = f"[{self.field.type}]" if self.field.type is not None else ""
        return f"{self.field.satellite}.{self.field.column}{of_type} ({self.column_type})"

    @property
    def can_fail(self) -> bool:
        return self.column_type != "text" or not cannot_fail(self.field.expression)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedEntity:
    """An entity mapping with its place in the pipe (`number`), its hub, its staging table, and its fingerprints."""

    number: int
    mapping: EntityMapping
    hub: Hub
    staging: StagingTable | None
    fields: tuple[MappedField, ...]
    pipe: Pipe
    fingerprint: str
    key_fingerprint: str

    @property
    def name(self) -> str:
        return self.mapping.name

    @property
    def rows(self) -> str:
        """The temporary table of the rows to load: `_row`, `_key`, `_rank` (1 for the winner of its key), `_value_<n>`."""
        return f"pyelt_rows_{self.number}"

    @property
    def keyed_rows(self) -> str:
        """The temporary table of the winning rows with the ids of their keys (`_id`)."""
        return f"pyelt_keyed_{self.number}"

    @property
    def touched(self) -> str:
        """The temporary table of the staging rows to look at (`_touched`)."""
        return f"pyelt_touched_{self.number}"

    @property
    def rejected(self) -> str:
        """The temporary table of the rows that cannot be evaluated (`_row`, `_message`)."""
        return f"pyelt_rejected_{self.number}"

    @property
    def copied(self) -> str:
        """The temporary copy of a view or query that rejected rows are found in (`_pyelt_row` and the source's columns)."""
        return f"pyelt_source_{self.number}"

    @property
    def key(self) -> str:
        """The business key of a source row as SQL text."""
        return key_expression(self.mapping.bk)

    @property
    def relation(self) -> str:
        return relation_of(self.pipe, self.mapping.source)

    @property
    def row_identity(self) -> str:
        """What identifies a source row: the staging row's id, else a hash of what it holds."""
        return f"{SOURCE_ALIAS}._id" if self.staging else f"hashtextextended({SOURCE_ALIAS}::text, 0)"

    @property
    def has_one_row_per_key(self) -> bool:
        """True when the key of the staging table says the business key, so that no two active rows have the same."""
        source = self.mapping.source
        return self.staging is not None and source.join is None and identifies(self.mapping.bk, self.staging.key)

    @property
    def can_fail(self) -> bool:
        """True when some expression could raise an error for some row."""
        return (
            any(field.can_fail for field in self.fields)
            or self.mapping.source.filter is not None
            or self.mapping.source.join is not None
            or self.staging is None
            or self.mapping.prefer is not None
            or not cannot_fail(self.mapping.bk)
        )

    @property
    def order(self) -> str:
        """The order by which the winner of a key is taken: what the user prefers, then the source key."""
        if self.staging is not None:
            source_key = ", ".join(f'{SOURCE_ALIAS}.{quote(column)} collate "C"' for column in self.staging.key)
        else:
            source_key = f'{SOURCE_ALIAS}::text collate "C"'
        return f"{opaque(self.mapping.prefer)}, {source_key}" if self.mapping.prefer else source_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A mapping and what it has to look at in this run."""

    entity: MappedEntity
    delta: Delta

    @property
    def is_touched(self) -> bool:
        """True when changed staging rows are collected for it (`touched`), unless all rows are looked at."""
        return self.entity.staging is not None and not self.delta.is_empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Mappings that are loaded together, because they share a satellite: a key that one touches is looked up in all.

    `full` compares all their rows. Unless it is full, `keys` is the temporary table of the keys that changed rows have
    or had (`_key`); it is made when `needs_keys`.
    """

    number: int
    works: tuple[Work, ...]
    keeps_status: bool

    @property
    def full(self) -> bool:
        return any(work.delta.full for work in self.works)

    @property
    def is_empty(self) -> bool:
        return all(work.delta.is_empty for work in self.works)

    @property
    def keys(self) -> str:
        return f"pyelt_keys_{self.number}"

    @property
    def by_row(self) -> bool:
        """True when a changed row says all about its key, so that no other rows have to be looked up."""
        return len(self.works) == 1 and (
            self.works[0].entity.has_one_row_per_key or not (self.works[0].entity.fields or self.keeps_status)
        )

    @property
    def needs_keys(self) -> bool:
        return not self.full and (self.keeps_status or not self.by_row)


def mapped_entities(stage: Stage) -> tuple[MappedEntity, ...]:
    """Return the pipe's entity mappings in their order."""
    return tuple(_mapped(stage, number, mapping) for number, mapping in enumerate(stage.the_pipe.entities, 1))


def satellites_of(entity: MappedEntity) -> tuple[Satellite, ...]:
    """Return the satellites that a mapping fills, the record status included, in the order of the domain."""
    filled = {field.field.satellite for field in entity.fields}
    return tuple(
        satellite
        for satellite in entity.hub.satellites
        if satellite.name in filled or satellite.kind is SatelliteKind.RECORD_STATUS
    )


def keeps_status(entity: MappedEntity) -> bool:
    return any(satellite.kind is SatelliteKind.RECORD_STATUS for satellite in entity.hub.satellites)


def grouped(works: Iterable[Work]) -> tuple[Group, ...]:
    """Return the mappings in groups that share a satellite, directly or through others; in the order of the mappings."""
    groups: list[tuple[set[object], list[Work]]] = []
    for work in works:
        tables: set[object] = {satellite.table for satellite in satellites_of(work.entity)}
        members = [work]
        for known in [known for known in groups if known[0] & tables]:
            groups.remove(known)
            tables |= known[0]
            members = known[1] + members
        groups.append((tables, members))
    return tuple(
        Group(
            number=members[0].entity.number,
            works=tuple(sorted(members, key=lambda work: work.entity.number)),
            keeps_status=any(keeps_status(work.entity) for work in members),
        )
        for _, members in sorted(groups, key=lambda group: group[1][0].entity.number)
    )


def _mapped(stage: Stage, number: int, mapping: EntityMapping) -> MappedEntity:
    hub = stage.pipeline.hubs[mapping.hub]
    types = {(s.name, c.name): c.type for s in hub.satellites for c in s.columns}
    fields = tuple(
        MappedField(field=item, column_type=types[item.satellite, item.column], value=f"_value_{place}")
        for place, item in enumerate(mapping.fields, 1)
    )
    texts = (
        hub.name,
        mapping.bk,
        mapping.prefer or "",
        *sorted(f"{item.label}={item.field.expression}" for item in fields),
        *(f"fk {column}" for column in stage.the_pipe.fk_columns_of(mapping.source.staging, hub.name)),
    )
    source = mapping.source
    return MappedEntity(
        number=number,
        mapping=mapping,
        hub=hub,
        staging=stage.the_pipe.table(source.staging) if source.staging else None,
        fields=fields,
        pipe=stage.the_pipe,
        fingerprint=mapping_fingerprint(stage, source, texts),
        key_fingerprint=key_fingerprint(stage, mapping.bk),
    )


def key_fingerprint(stage: Stage, *expressions: str) -> str:
    """Return a digest of key expressions and the functions they call; blanks and comments do not count."""
    texts = tuple(
        " ".join(token.text for token in tokens(expression) if token.kind is not TokenKind.BLANK)
        for expression in expressions
    )
    return mapping_fingerprint(stage, MappingSource(), texts)

"""Which indexes on staging tables the loads of a pipe need, to find the rows of a few changed keys quickly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, constraint_name, quote
from pyelt_provider.model.domain import SatelliteKind
from pyelt_provider.model.mapping import EntityMapping, LinkMapping
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.statements.sql.casts import key_expression
from pyelt_provider.statements.sql.expressions import cannot_fail, identifies, sole_column, without_alias


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingIndex:
    """An index on expressions over the active (or the closed) rows of a staging table; its name says which."""

    table: TableName
    name: str
    expressions: tuple[str, ...]
    where: str = "_active"

    @property
    def sql(self) -> str:
        """The statement that makes the index; a literal % stands doubled."""
        return f"create index {quote(self.name)} on {self.table.sql} ({self._keys}) where {self.where}"

    @property
    def statistics_sql(self) -> str | None:
        """The statement by which ANALYZE counts how many keys there are, None where it counts them anyway.

        The planner does not take that number from an index over some of the rows; without it, it would read the whole
        index for a night's few keys.
        """
        if all(sole_column(expression) for expression in self.expressions):
            return None
        name = TableName(self.table.schema, constraint_name(self.name, "stats"))
        return f"create statistics if not exists {name.sql} on {self._keys} from {self.table.sql}"

    @property
    def _keys(self) -> str:
        return ", ".join(f"({key_expression(expression)})" for expression in self.expressions)


def mapping_indexes(pipeline: Pipeline, pipe: Pipe) -> tuple[MappingIndex, ...]:
    """Return the indexes that ddl_sor makes for the pipe's mappings, each once, in the order of the mappings.

    A mapping needs one when it looks for other active rows of a changed key: it fills satellites, or its hub or link
    keeps a status. None is made where the staging key says it all (the key column, or that with literals), where a join
    is involved, or where the expression could fail for some row: that would refuse the row in staging. Where a
    status is kept, what stood before a rejected row is looked for too, by the staging key of closed rows.
    PostgreSQL may refuse one that is not immutable; then the load reads the whole table instead.
    """
    entities = (_entity_index(pipeline, pipe, mapping) for mapping in pipe.entities)
    links = (_link_index(pipeline, pipe, mapping) for mapping in pipe.links)
    return tuple(dict.fromkeys(index for found in (*entities, *links) for index in found))


def _filled(pipeline: Pipeline, mapping: EntityMapping) -> set[TableName]:
    """Return the satellites that a mapping loads; those that share one are loaded together."""
    names = {item.satellite for item in mapping.fields}
    return {
        satellite.table
        for satellite in pipeline.hubs[mapping.hub].satellites
        if satellite.name in names or satellite.kind is SatelliteKind.RECORD_STATUS
    }


def _entity_index(pipeline: Pipeline, pipe: Pipe, mapping: EntityMapping) -> Iterator[MappingIndex]:
    filled = _filled(pipeline, mapping)
    if not filled:
        return
    hub = pipeline.hubs[mapping.hub]
    if any(satellite.kind is SatelliteKind.RECORD_STATUS for satellite in hub.satellites):
        yield from _closed_rows_index(pipe, mapping.source.staging)
    alone = not any(filled & _filled(pipeline, other) for other in pipe.entities if other is not mapping)
    yield from _index(pipe, mapping.source.staging, mapping.source.join, (mapping.bk,), alone)


def _link_index(pipeline: Pipeline, pipe: Pipe, mapping: LinkMapping) -> Iterator[MappingIndex]:
    link = pipeline.links[mapping.link]
    if not mapping.fields and not link.status:
        return
    if link.status:
        yield from _closed_rows_index(pipe, mapping.source.staging)
    references = tuple(reference.bk for reference in mapping.references if link.driving in (None, reference.role))
    only = sum(other.link == mapping.link for other in pipe.links) == 1
    yield from _index(pipe, mapping.source.staging, mapping.source.join, references, only)


def _closed_rows_index(pipe: Pipe, staging: str | None) -> Iterator[MappingIndex]:
    """What stood before a rejected row is found by the staging key of closed rows, where a status is kept."""
    if staging is not None:
        table = pipe.table(staging)
        yield MappingIndex(
            table=table.table,
            name=constraint_name(table.name, "closed_key"),
            expressions=tuple(quote(column).replace("%%", "%") for column in table.key),
            where="not _active",
        )


def _index(
    pipe: Pipe, staging: str | None, join: str | None, expressions: tuple[str, ...], only: bool
) -> Iterator[MappingIndex]:
    if staging is None or join is not None or not all(cannot_fail(expression) for expression in expressions):
        return
    table = pipe.table(staging)
    if only and any(identifies(expression, table.key) for expression in expressions):
        return
    bare = tuple(without_alias(expression) for expression in expressions)
    digest = hashlib.sha256("\x00".join(bare).encode()).hexdigest()[:8]
    yield MappingIndex(table=table.table, name=constraint_name(table.name, "key", digest), expressions=bare)

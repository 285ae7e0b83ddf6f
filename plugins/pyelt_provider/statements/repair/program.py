"""Everything that an old PyELT may have left broken, in the order in which it is mended: one list for report and repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.domain import Link
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.statements.ddl.catalog import Catalog, FoundTable, read_catalog
from pyelt_provider.statements.ddl.tables import exceptions_spec, hstage_spec, specs_of
from pyelt_provider.statements.repair.damage import Damage, Found, Repair
from pyelt_provider.statements.repair.exceptions import repeated_exceptions
from pyelt_provider.statements.repair.histories import ForeignKey, active_twice, orphans
from pyelt_provider.statements.repair.keys import loose_keys
from pyelt_provider.statements.repair.links import broken_links
from pyelt_provider.statements.repair.runs import open_runs
from pyelt_provider.statements.repair.sources import filling_pipes, unknown_sources, without_source
from pyelt_provider.statements.repair.staging import frozen_keys
from pyelt_provider.statements.step import Program, Routine, Statement

_HISTORY = ("_insert_date", "_finish_date", "_active", "_revision")


def find_damage(pipeline: Pipeline) -> Routine[tuple[Found, ...]]:
    """Count every kind of damage in the pipeline's tables; nothing is changed. The bookkeeping tables have to be there."""
    found = []
    for damage in (yield from _look(pipeline)):
        counted = yield damage.count
        if rows := int(str(counted.value)):
            found.append(Found(damage=damage, rows=rows))
    return tuple(found)


def mend(pipeline: Pipeline, repair: Repair, mended: list[Found], left: list[Found]) -> Program:
    """Mend what can be mended, one kind after the other: one may bring another to light. Fills `mended` and `left`.

    What was mended is counted again at the end; rows that are still there are left for a person.
    """
    for damage in (yield from _look(pipeline)):
        counted = yield damage.count
        rows = int(str(counted.value))
        if rows and damage.repair is not None:
            yield from damage.repair(repair)
            mended.append(Found(damage=damage, rows=rows))
    left += yield from find_damage(pipeline)


def _possible_damage(pipeline: Pipeline, catalog: Catalog, checked: frozenset[ForeignKey]) -> Iterator[Damage]:
    """Yield every kind of damage that the tables which are there may have, those first that others stand on."""
    there = {table: found for table, found in catalog.tables.items() if found.kind in ("r", "p")}
    specs = [spec for spec in specs_of(pipeline) if spec.table in there]
    histories = [
        spec
        for spec in specs
        if spec.replaces_keys and {*spec.primary_key, *_HISTORY} <= there[spec.table].columns.keys()
    ]
    satellites = [spec for spec in histories if spec.foreign_keys]
    pipes = filling_pipes(pipeline)
    yield from open_runs(pipeline)
    for spec in histories:
        yield from without_source(pipeline, there[spec.table], pipes.get(spec.table, ()))
        yield from unknown_sources(pipeline, there[spec.table])
    for link in pipeline.links.values():
        if _is_whole(pipeline, link, there):
            yield from broken_links(pipeline, link, catalog, checked)
    for spec in satellites:
        yield from orphans(spec, catalog, checked)
    for spec in histories:
        yield from active_twice(spec, there[spec.table])
    for pipe in pipeline.pipes:
        for staging in pipe.tables:
            yield from frozen_keys(staging, catalog)
    yield from repeated_exceptions(_exception_schemas(pipeline), catalog)
    staged = [hstage_spec(staging, ()) for pipe in pipeline.pipes for staging in pipe.tables]
    for spec in (*specs, *staged):
        if spec.table in there:
            yield from loose_keys(spec, there[spec.table])


def _is_whole(pipeline: Pipeline, link: Link, there: dict[TableName, FoundTable]) -> bool:
    """True when the tables of a link and of its hubs are there, with the columns that this project gives them."""
    columns = {reference.column for reference in link.references} | ({"type"} if link.types else set())
    hubs = {pipeline.hubs[reference.hub].table for reference in link.references}
    return link.table in there and columns <= there[link.table].columns.keys() and hubs <= there.keys()


def _look(pipeline: Pipeline) -> Routine[Iterable[Damage]]:
    """Return what may be broken; nothing in a warehouse that PyELT never loaded."""
    runs = TableName(pipeline.sys_schema, "runs").sql
    by_pyelt = yield Statement(
        label="look whether PyELT loaded the warehouse",
        fetch=True,
        sql=f"select exists (select from {runs} where dag_id is null)",
    )
    if by_pyelt.value is not True:
        return ()
    tables = [spec.table for spec in specs_of(pipeline)]
    tables += [staging.table for pipe in pipeline.pipes for staging in pipe.tables]
    tables += [exceptions_spec(schema).table for schema in _exception_schemas(pipeline)]
    catalog = yield from read_catalog(tables)
    return _possible_damage(pipeline, catalog, (yield from _checked_keys({table.schema for table in tables})))


def _checked_keys(schemas: set[str]) -> Routine[frozenset[ForeignKey]]:
    """Return the foreign keys of one column that are known to hold."""
    found = yield Statement(
        label="look which foreign keys hold",
        fetch=True,
        parameters={"schemas": sorted(schemas)},
        sql="""
select n.nspname, c.relname, a.attname, tn.nspname, t.relname
from pg_constraint as k
join pg_class as c on c.oid = k.conrelid join pg_namespace as n on n.oid = c.relnamespace
join pg_class as t on t.oid = k.confrelid join pg_namespace as tn on tn.oid = t.relnamespace
join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.conkey[1]
where k.contype = 'f' and k.convalidated and cardinality(k.conkey) = 1 and n.nspname = any(%(schemas)s::name[])""",
    )
    rows = (tuple(str(part) for part in row) for row in found.rows)
    return frozenset((TableName(s, t), column, TableName(to_s, to_t)) for s, t, column, to_s, to_t in rows)


def _exception_schemas(pipeline: Pipeline) -> set[str]:
    written: set[TableName] = {spec.table for spec in specs_of(pipeline)}
    return {pipe.sor_schema for pipe in pipeline.pipes} | {t.schema for t in written if t.name == "_exceptions"}

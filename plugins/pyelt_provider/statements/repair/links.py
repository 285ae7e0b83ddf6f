"""Links that are there twice, and links that are not whole: what hangs on them follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, constraint_name, quote, quote_all
from pyelt_provider.model.domain import Link
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.statements.ddl.catalog import Catalog
from pyelt_provider.statements.ddl.tables import TableSpec, link_status_spec, satellite_spec
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.repair.histories import ForeignKey, close_older
from pyelt_provider.statements.step import Count, Program, Statement

_TWICE = "links that are there twice"
_HALF = "links that are not whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hanging:
    """What hangs on a link, as far as it is there: its satellites, and the columns of staging that name it."""

    link: Link
    catalog: Catalog
    satellites: tuple[TableSpec, ...]
    columns: tuple[tuple[TableName, str], ...]

    @property
    def ids(self) -> TableName:
        """The session's own table of links that go: `_id`, and for links that are there twice the `first` one."""
        return TableName("pg_temp", constraint_name(self.link.table.schema, self.link.table.name, "going"))


def broken_links(pipeline: Pipeline, link: Link, catalog: Catalog, checked: frozenset[ForeignKey]) -> Iterator[Damage]:
    """Yield what counts and mends the half links of a table, then what does so for those that are there twice.

    Keys that hold spare the look: columns that are not null, foreign keys that were `checked`, a unique index.
    """
    table = link.table
    hanging = _Hanging(
        link=link,
        catalog=catalog,
        satellites=tuple(spec for spec in _satellites(link) if spec.table in catalog.tables),
        columns=tuple(_columns(pipeline, link, catalog)),
    )
    found = catalog.tables[table]
    lacking = []
    for reference in link.references:
        hub, column = pipeline.hubs[reference.hub].table, quote(reference.column)
        if not found.columns[reference.column].not_null:
            lacking.append(f"t.{column} is null")
        if (table, reference.column, hub) not in checked:
            lacking.append(
                f"t.{column} is not null and not exists (select from {hub.sql} as h where h._id = t.{column})"
            )
    if lacking:
        half = " or ".join(lacking)
        yield Damage(
            table=table,
            what=_HALF,
            mend="removed with their satellites' rows, and kept in sys.repaired_rows",
            count=counting(table, _HALF, f"select count(*) from {table.sql} as t where {half}"),
            repair=lambda repair: _remove_half(repair, pipeline, hanging, half),
        )
    if any(index.unique and index.valid and set(index.columns) == set(_same(link)) for index in found.indexes):
        return
    yield Damage(
        table=table,
        what=_TWICE,
        mend="the oldest stays; satellites and staging's columns point at it",
        count=counting(table, _TWICE, f"select count(*) from (\n    {_later(link)}) as o"),
        repair=lambda repair: _merge(repair, pipeline, hanging),
    )


def _same(link: Link) -> tuple[str, ...]:
    return (*(reference.column for reference in link.references), *(("type",) if link.types else ()))


def _satellites(link: Link) -> Iterator[TableSpec]:
    yield from (satellite_spec(satellite, link.table) for satellite in link.satellites)
    if link.status:
        yield link_status_spec(link)


def _columns(pipeline: Pipeline, link: Link, catalog: Catalog) -> Iterator[tuple[TableName, str]]:
    for pipe in pipeline.pipes:
        for staging in pipe.tables:
            for column, target in staging.fk_columns:
                found = catalog.tables.get(staging.table)
                if target == link.name and found is not None and column in found.columns:
                    yield staging.table, column


def _later(link: Link) -> str:
    same = quote_all(_same(link), "l")
    whole = " and ".join(f"l.{quote(reference.column)} is not null" for reference in link.references)
    return f"""select _id, first from (
        select l._id, min(l._id) over (partition by {same}) as first from {link.table.sql} as l where {whole}) as together
    where _id <> first"""


def _remove_half(repair: Repair, pipeline: Pipeline, hanging: _Hanging, half: str) -> Program:
    table, ids = hanging.link.table, hanging.ids
    yield Statement(
        label=f"look for {_HALF}",
        table=table,
        sql=f"create temporary table {ids.sql} on commit drop as select t._id from {table.sql} as t where {half}",
    )
    going = f"t._id in (select _id from {ids.sql})"
    for spec in hanging.satellites:
        yield repair.remove(spec.table, f"satellite rows of {_HALF}", going)
    for staging, column in hanging.columns:
        named = f"t.{quote(column)} in (select _id from {ids.sql})"
        yield repair.note(
            staging, f"{column} of {_HALF}", f"select t._id, t.{quote(column)} from {staging.sql} as t where {named}"
        )
        yield Statement(
            label=f"empty {column}",
            table=staging,
            count=Count.REPAIRED,
            sql=f"update {staging.sql} as t set {quote(column)} = null where {named}",
        )
    yield _forget_given(pipeline, hanging)
    yield repair.remove(table, _HALF, going)
    yield Statement(label="drop the list of them", sql=f"drop table {ids.sql}")


def _merge(repair: Repair, pipeline: Pipeline, hanging: _Hanging) -> Program:
    table, ids = hanging.link.table, hanging.ids
    yield Statement(
        label=f"look for {_TWICE}",
        table=table,
        sql=f"create temporary table {ids.sql} on commit drop as\n    {_later(hanging.link)}",
    )
    for spec in hanging.satellites:
        yield from _merge_satellite(repair, hanging, spec)
    for staging, column in hanging.columns:
        named = f"from {ids.sql} as m where m._id = t.{quote(column)}"
        yield repair.note(
            staging,
            f"{column} of {_TWICE}",
            f"select t._id, t.{quote(column)} from {staging.sql} as t where exists (select {named})",
        )
        yield Statement(
            label=f"let {column} name the oldest",
            table=staging,
            count=Count.REPAIRED,
            sql=f"update {staging.sql} as t set {quote(column)} = m.first {named}",
        )
    yield _forget_given(pipeline, hanging)
    yield repair.remove(table, _TWICE, f"t._id in (select _id from {ids.sql})")
    yield Statement(label="drop the list of them", sql=f"drop table {ids.sql}")


def _merge_satellite(repair: Repair, hanging: _Hanging, spec: TableSpec) -> Program:
    """Let the rows of all links that are the same hang on the oldest: one row per run, one of them active."""
    table, ids = spec.table, hanging.ids
    of_type = ", s.type" if "type" in spec.primary_key else ""
    yield repair.remove(
        table,
        f"satellite rows of {_TWICE}, from the same run",
        f"""t.ctid in (
        select place from (
            select s.ctid as place, row_number() over (
                partition by coalesce(m.first, s._id){of_type}, s._runid, s._source_system order by s._id) as number
            from {table.sql} as s
            left join {ids.sql} as m on m._id = s._id
            where s._id in (select _id from {ids.sql} union select first from {ids.sql})) as placed
        where number > 1)""",
    )
    yield from close_older(repair, spec, hanging.catalog.tables[table], ids.sql)
    named = f"from {ids.sql} as m where m._id = t._id"
    yield repair.note(
        table, f"satellite rows of {_TWICE}", f"select t.* from {table.sql} as t where exists (select {named})"
    )
    yield Statement(
        label="let them hang on the oldest",
        table=table,
        count=Count.REPAIRED,
        sql=f"update {table.sql} as t set _id = m.first {named}",
    )


def _forget_given(pipeline: Pipeline, hanging: _Hanging) -> Statement:
    table = hanging.link.table
    return Statement(
        label="forget who gives them",
        parameters={"schema": table.schema, "table": table.name},
        sql=f"""
delete from {quote(pipeline.sys_schema)}.given_keys
where (schemaname, tablename) = (%(schema)s, %(table)s) and row_id in (select _id from {hanging.ids.sql})""",
    )

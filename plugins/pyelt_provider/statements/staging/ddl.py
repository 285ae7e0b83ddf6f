"""The ddl_sor stage: staging tables, their indexes, database functions and extra SQL of one pipe."""

from __future__ import annotations

import hashlib
from typing import cast

from pyelt_provider.identifiers import opaque, quote
from pyelt_provider.model.pipe import DatabaseFunction, ExtraSql
from pyelt_provider.model.source import DatabaseSource
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.database_functions import ensure_functions
from pyelt_provider.statements.ddl.table_ddl import confirm, ensure_tables, in_short_tries, lock_ddl
from pyelt_provider.statements.ddl.tables import TableSpec, exceptions_spec, hstage_spec, temp_hash_spec, temp_spec
from pyelt_provider.statements.mappings.indexes import MappingIndex, mapping_indexes
from pyelt_provider.statements.staging.columns import StagingColumns, this_delivery
from pyelt_provider.statements.step import Isolated, Program, Statement


def ddl_sor(stage: Stage, run: Run) -> Program:
    """Create and extend what the pipe's loads need; with nothing to do it only looks, and takes no lock.

    Reads the header of every delivery of this run: new columns are added, a missing one is refused by name, a file that
    is not there raises DeliveryMissing. Functions are made anew only when their text changed, extra SQL runs once per
    text.
    """
    pipe = stage.the_pipe
    specs: list[TableSpec] = [exceptions_spec(pipe.sor_schema)]
    for staging in pipe.tables:
        columns = yield from this_delivery(staging)
        specs += _specs(stage, columns)
    yield from ensure_tables(specs, stage, run)
    for function in pipe.functions:
        yield from _schema(function)
    yield from ensure_functions(pipe.functions, stage, run, owner=pipe.name)
    yield from _indexes(stage, run, mapping_indexes(stage.pipeline, pipe))
    yield from _extra_sql(stage, run, pipe.extra_sql)


def _specs(stage: Stage, columns: StagingColumns) -> list[TableSpec]:
    pipe, staging = stage.the_pipe, columns.staging
    # Columns that are known stay in the order in which they came; a config that takes fewer drops none.
    kept = tuple(dict.fromkeys((*columns.known, *columns.taken)))
    specs = [hstage_spec(staging, kept, pipe.validations), temp_spec(staging, columns.copied)]
    if isinstance(pipe.source_of(staging), DatabaseSource):
        specs.append(temp_hash_spec(staging))
    return specs


def _schema(function: DatabaseFunction) -> Program:
    schema = function.name.rpartition(".")[0].strip('"')
    if not schema:
        return
    there = yield Statement(
        label="look for the function's schema",
        fetch=True,
        assumed=((True,),),
        parameters={"schema": schema},
        sql="select true from pg_namespace where nspname = %(schema)s",
    )
    if not there.rows:
        yield Statement(label=f"create schema {schema}", sql=f"create schema if not exists {quote(schema)}")


# ---------------------------------------------------------------- extra SQL


def _extra_sql(stage: Stage, run: Run, items: tuple[ExtraSql, ...]) -> Program:
    if not items:
        return
    todo = yield _new_texts(stage, items)
    digests = {str(row[0]) for row in todo.rows}
    new = [item for item in items if _digest(item.sql) in digests]
    if not new:
        return
    confirm(stage, run, "\n".join(item.sql for item in new))
    yield from lock_ddl()
    for item in new:
        # Only whoever writes the text down runs it: another pipe may have had it too while we waited.
        mine = yield Statement(
            label=f"claim extra SQL {item.name}",
            fetch=True,
            assumed=((True,),),
            parameters={
                "digest": _digest(item.sql),
                "pipe": stage.pipe_name,
                "name": item.name,
                "runid": run.number,
                "now": run.load_time,
            },
            sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.extra_sql (digest, pipe, name, runid, date)
values (%(digest)s, %(pipe)s, %(name)s, %(runid)s, %(now)s)
on conflict do nothing returning true""",
        )
        if mine.rows:
            yield Statement(label=f"run extra SQL {item.name}", sql=opaque(item.sql))


def _new_texts(stage: Stage, items: tuple[ExtraSql, ...]) -> Statement:
    digests = list(dict.fromkeys(_digest(item.sql) for item in items))
    return Statement(
        label="look which extra SQL is new",
        fetch=True,
        assumed=tuple((digest,) for digest in digests),
        parameters={"digests": digests},
        sql=f"""
select d.digest from unnest(%(digests)s::text[]) as d (digest)
where not exists (select from {quote(stage.pipeline.sys_schema)}.extra_sql as done where done.digest = d.digest)""",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- indexes of the mappings


def _indexes(stage: Stage, run: Run, wanted: tuple[MappingIndex, ...]) -> Program:
    if not wanted:
        return
    found = yield Statement(
        label="look which indexes of the mappings are there",
        fetch=True,
        parameters={"schemas": [i.table.schema for i in wanted], "names": [i.name for i in wanted]},
        sql="""
select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'i' and (n.nspname, c.relname) in (select * from unnest(%(schemas)s::text[], %(names)s::text[]))""",
    )
    there = cast(set[tuple[str, str]], {(row[0], row[1]) for row in found.rows})
    missing = [index for index in wanted if (index.table.schema, index.name) not in there]
    if not missing:
        return
    confirm(stage, run, "\n".join(f"{index.sql};".replace("%%", "%") for index in missing))
    yield from lock_ddl()
    for index in missing:
        yield from in_short_tries(stage, lambda index=index: _index(index))  # type: ignore[misc]


def _index(index: MappingIndex) -> Program:
    # An expression that PostgreSQL refuses to index (42P17), or a column that check_mappings will complain about
    # better: the load then reads the whole table.
    yield Isolated(label=f"try index {index.name}", program=_create(index), only=("42",))


def _create(index: MappingIndex) -> Program:
    sql = index.sql.replace("create index", "create index if not exists", 1)
    yield Statement(label=f"create index {index.name}", table=index.table, sql=sql)
    if index.statistics_sql is not None:
        yield Statement(label=f"create statistics for {index.name}", table=index.table, sql=index.statistics_sql)

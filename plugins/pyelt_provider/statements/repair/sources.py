"""Rows with history whose source nobody is: a load never compares them with what it gets."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.identifiers import TableName, quote
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import pipe_stages
from pyelt_provider.statements.ddl.catalog import FoundTable
from pyelt_provider.statements.repair.damage import Damage, Repair, counting
from pyelt_provider.statements.step import Count, Program, Statement


def filling_pipes(pipeline: Pipeline) -> dict[TableName, tuple[str, ...]]:
    """Return which pipes of the pipeline fill each table."""
    filling: dict[TableName, tuple[str, ...]] = {}
    for pipe in pipeline.pipes:
        written = {target.table for stage in pipe_stages(pipeline, pipe) for target in stage.writes}
        for table in written:
            filling[table] = (*filling.get(table, ()), pipe.name)
    return filling


def without_source(pipeline: Pipeline, found: FoundTable, pipes: tuple[str, ...]) -> Iterator[Damage]:
    """Yield what counts rows without a source, and gives them that of the only pipe that fills their table."""
    table, what = found.table, "rows without a source"
    if found.columns["_source_system"].not_null:
        return
    missing = f"select count(*) from {table.sql} where _source_system is null"
    only = pipes[0] if len(pipes) == 1 else ""
    parameters: dict[str, object] = {"pipe": only}
    others = f"exists (select from {table.sql} where _source_system <> %(pipe)s)"

    def fill(repair: Repair) -> Program:
        yield repair.note(table, what, f"select t.* from {table.sql} as t where t._source_system is null")
        yield Statement(
            label="give them the source that fills the table",
            table=table,
            count=Count.REPAIRED,
            parameters=parameters,
            sql=f"update {table.sql} set _source_system = %(pipe)s where _source_system is null",
        )

    plain = table.sql.replace("%%", "%")
    if only:
        yield Damage(
            table=table,
            what=what,
            mend=f"they become those of pipe {only}, which alone fills the table",
            count=counting(table, what, f"{missing} and not {others}", parameters),
            repair=fill,
        )
    yield Damage(
        table=table,
        what=what,
        mend="several sources fill the table; say which one goes on with them: "
        f"update {plain} set _source_system = 'PIPE' where _source_system is null and ...;",
        count=counting(table, what, f"{missing} and {others}" if only else missing, parameters if only else None),
    )


def unknown_sources(pipeline: Pipeline, found: FoundTable) -> Iterator[Damage]:
    """Yield what counts active rows whose source is no pipe of the pipeline, and of no other one that has loaded."""
    table, what = found.table, "active rows of a source that no pipe has"
    plain = table.sql.replace("%%", "%")
    yield Damage(
        table=table,
        what=what,
        mend="no load goes on with them, so a pipe that delivers them adds its own; where a pipe has another name now: "
        f"update {plain} set _source_system = 'PIPE' where _source_system = 'OLD NAME';",
        count=counting(
            table,
            what,
            f"""
select count(*) from {table.sql}
where _active and _source_system <> all(%(pipes)s)
    and _source_system not in (select pipe from {quote(pipeline.sys_schema)}.stages)""",
            {"pipes": [pipe.name for pipe in pipeline.pipes]},
        ),
    )

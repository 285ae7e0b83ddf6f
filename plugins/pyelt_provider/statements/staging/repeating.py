"""A staging load of which some tables failed (``on_errors: log``), begun again: only those tables are loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from pyelt_provider.identifiers import quote
from pyelt_provider.model.limits import NO_LIMITS
from pyelt_provider.model.staging import CsvFile, FixedWidthFile, StagingTable
from pyelt_provider.planning.fingerprint import fingerprint
from pyelt_provider.planning.plan import pipe_stages
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.runs.locking import LOADING
from pyelt_provider.statements.runs.taking_back import take_back
from pyelt_provider.statements.staging.validations import rules_fingerprint
from pyelt_provider.statements.step import IdentifyFile, Program, Routine, Statement

_LOAD_OF = "load of "
"""What the marks of loaded tables begin with, where they stand beside mappings."""


def begin_again(stage: Stage, run: Run, *, failed: bool) -> Program:
    """Make ready for doing a stage again that was done in this run: take back what it did.

    Of an etl_sor stage that only `failed` in part, the tables that were loaded stay as they are, unless one of them has
    another file or another config now, or another run has looked at a table that failed. What later stages of the run
    made without the failed tables is taken back.
    """
    going_on = failed and (yield from _can_go_on(stage, run))
    if not going_on:
        yield from take_back(stage, run)


def loaded_tables(stage: Stage, run: Run) -> Routine[dict[str, str]]:
    """Return the tables that an earlier attempt of this run has loaded, with what they were loaded by."""
    found = yield Statement(
        label="see which tables are loaded already",
        fetch=True,
        parameters={"runid": run.number, "stage": stage.id, "pipe": stage.pipe_name, "marks": f"{_LOAD_OF}%"},
        sql=f"""
select mapping, fingerprint from {quote(stage.pipeline.sys_schema)}.mapping_states
where runid = %(runid)s and stage = %(stage)s and pipe = %(pipe)s and mapping like %(marks)s""",
    )
    return {str(mapping).removeprefix(_LOAD_OF): str(text) for mapping, text in found.rows}


def mark_loaded(stage: Stage, run: Run, tables: list[StagingTable]) -> Statement:
    """Remember that these tables are loaded, while others of the stage failed; the marks go when the stage is taken back."""
    return Statement(
        label="remember which tables are loaded",
        parameters={
            "runid": run.number,
            "stage": stage.id,
            "pipe": stage.pipe_name,
            "marks": [f"{_LOAD_OF}{table.name}" for table in tables],
            "loaded_by": [_loaded_by(stage, table) for table in tables],
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
select %(pipe)s, loaded.mark, %(runid)s, %(stage)s, loaded.by, ''
from unnest(%(marks)s::text[], %(loaded_by)s::text[]) as loaded (mark, by)""",
    )


def _loaded_by(stage: Stage, table: StagingTable) -> str:
    """Everything in the config that decides what a delivery becomes; limits only decide whether it does."""
    rules = tuple(rule for rule in stage.the_pipe.validations if rule.table == table.name)
    source = stage.the_pipe.source_of(table)
    return fingerprint(replace(table, limits=NO_LIMITS), source, rules_fingerprint(stage, rules))


def _can_go_on(stage: Stage, run: Run) -> Routine[bool]:
    marks = yield from loaded_tables(stage, run)
    tables = {table.name: table for table in stage.the_pipe.tables}
    if not marks or any(name not in tables or _loaded_by(stage, tables[name]) != by for name, by in marks.items()):
        return False
    for name in marks:
        if not (yield from _is_same_file(stage, run, tables[name])):
            return False
    looked = yield _look_for_readers(stage, run, [name for name in tables if name not in marks])
    if any(runid != run.number for (runid,) in looked.rows):
        return False
    if looked.rows:
        yield from take_back(_next_loading(stage), run)
    return True


def _is_same_file(stage: Stage, run: Run, table: StagingTable) -> Routine[bool]:
    """Tell whether the table's file is the very one that it was loaded from; a database cannot be asked that."""
    if not isinstance(table.source, CsvFile | FixedWidthFile):
        return True
    found = yield Statement(
        label="look up the file that was loaded",
        table=table.table,
        fetch=True,
        parameters={"pipe": stage.pipe_name, "schema": table.schema, "table": table.name, "runid": run.number},
        sql=f"""
select size, sha256 from {quote(stage.pipeline.sys_schema)}.delivered_files
where pipe = %(pipe)s and schemaname = %(schema)s and tablename = %(table)s and runid <= %(runid)s
order by runid desc limit 1""",
    )
    size, sha256 = cast(tuple[int, str | None], found.rows[0]) if found.rows else (0, None)
    if sha256 is None:
        return False
    same = yield IdentifyFile(
        label="see whether it is the file that was loaded", staging=table, size=size, sha256=sha256
    )
    return same.value is True


def _look_for_readers(stage: Stage, run: Run, failed: list[str]) -> Statement:
    return Statement(
        label="look for stages that ran without the failed tables",
        fetch=True,
        parameters={
            "pipe": stage.pipe_name,
            "schema": stage.the_pipe.sor_schema,
            "failed": failed,
            "runid": run.number,
        },
        sql=f"""
select distinct runid from {quote(stage.pipeline.sys_schema)}.positions
where pipe = %(pipe)s and schemaname = %(schema)s and tablename = any(%(failed)s::text[]) and sor_runid = %(runid)s""",
    )


def _next_loading(stage: Stage) -> Stage:
    later = [s for s in pipe_stages(stage.pipeline, stage.the_pipe) if s.kind in LOADING and s.kind is not stage.kind]
    return min(later, key=lambda s: LOADING.index(s.kind))

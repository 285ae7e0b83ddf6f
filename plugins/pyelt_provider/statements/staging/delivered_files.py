"""Which file a table was loaded from: a file that is the very one that was loaded last need not be read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pyelt_provider.identifiers import quote
from pyelt_provider.model.staging import CsvFile, FixedWidthFile
from pyelt_provider.planning.fingerprint import fingerprint
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.staging.delivery import Delivered
from pyelt_provider.statements.step import Count, IdentifyFile, Number, Program, Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFile:
    """The file of the table's last load: its size in bytes, its SHA-256, its rows, and the rows that were active then."""

    size: int
    sha256: str
    rows: int
    active: int


def is_loaded_already(stage: Stage, run: Run, columns: StagingColumns) -> Routine[int | None]:
    """Return the rows of this run's file when it is, byte for byte, that of the last load, so that loading it changes nothing.

    Only when that load rejected no row, read the file in the same way, and left as many active rows as there are now:
    otherwise rows are compared. A file of another size is not read for this. What after_sor hooks find in the temp
    table is theirs, so with such hooks every delivery is read.
    """
    last = yield from _last_file(stage, run, columns)
    if last is None:
        return None
    staging = columns.staging
    same = yield IdentifyFile(
        label="see whether it is the file of the last load",
        staging=staging,
        size=last.size,
        sha256=last.sha256,
    )
    if same.value is not True:
        return None
    active = yield Statement(
        label="count active rows",
        table=staging.table,
        fetch=True,
        assumed=((last.active,),),
        sql=f"select count(*) from {staging.table.sql} where _active",
    )
    if active.value != last.active:
        return None
    yield Number(label="the file of the last load", table=staging.table, count=Count.READ, rows=last.rows)
    return last.rows


def _last_file(stage: Stage, run: Run, columns: StagingColumns) -> Routine[LastFile | None]:
    staging = columns.staging
    if not isinstance(staging.source, CsvFile | FixedWidthFile) or stage.the_pipe.after_sor or run.debug:
        return None
    found = yield Statement(
        label="look up the file of the last load",
        fetch=True,
        assumed=((0, "", 0, 0, True),),
        parameters={
            "pipe": stage.pipe_name,
            "schema": staging.schema,
            "table": staging.name,
            "read_as": _read_as(columns),
        },
        sql=f"""
select size, sha256, rows, active, read_as = %(read_as)s
from {quote(stage.pipeline.sys_schema)}.delivered_files
where pipe = %(pipe)s and schemaname = %(schema)s and tablename = %(table)s
order by runid desc limit 1""",
    )
    if not found.rows:
        return None
    size, sha256, rows, active, alike = cast(tuple[int, str | None, int, int | None, bool], found.rows[0])
    if sha256 is None or active is None or not alike:
        return None
    return LastFile(size=size, sha256=sha256, rows=rows, active=active)


def record_file(stage: Stage, run: Run, columns: StagingColumns, delivered: Delivered, active: int | None) -> Program:
    """Remember which file this load read; `active` are the rows that it left active, None when it rejected any.

    A load of only a part of a file (debug) is remembered without a digest: the next load compares rows.
    """
    if delivered.file is None:
        return
    staging = columns.staging
    yield Statement(
        label="remember the file",
        table=staging.table,
        parameters={
            "pipe": stage.pipe_name,
            "schema": staging.schema,
            "table": staging.name,
            "runid": run.number,
            "path": delivered.file.path,
            "size": delivered.file.size,
            "sha256": None if run.debug else delivered.file.sha256,
            "read_as": _read_as(columns),
            "rows": delivered.rows,
            "active": active,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s)""",
    )


def _read_as(columns: StagingColumns) -> str:
    """Everything that decides what a file's bytes become."""
    staging = columns.staging
    return fingerprint(staging.source, staging.key, staging.delivery, staging.deleted_when, columns.taken)

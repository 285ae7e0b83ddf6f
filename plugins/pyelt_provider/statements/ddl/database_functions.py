"""Creates the database functions of a project, once per text."""

from __future__ import annotations

import hashlib

from pyelt_provider.errors import DdlRefused
from pyelt_provider.identifiers import opaque, quote
from pyelt_provider.model.pipe import DatabaseFunction
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.table_ddl import confirm, in_short_tries, lock_ddl
from pyelt_provider.statements.step import Isolated, Program, Statement

_NOT_MADE_YET = ("42P01", "3F000", "42703", "42704")
"""SQLSTATEs of a function that names a table, schema, column or type which is not there."""


def ensure_functions(
    functions: tuple[DatabaseFunction, ...], stage: Stage, run: Run, *, owner: str, may_wait: bool = False
) -> Program:
    """Create or replace the functions whose text changed since it was last done, or which are not there any more.

    `owner` is the pipe's name, empty for the pipeline's own. Bodies are not checked, so that a function may name tables
    that a later stage makes; with `may_wait` one that cannot do without them is left to the stage that asks again.
    Raises DdlRefused when a function cannot be replaced, and when the pipeline asks for confirmation.
    """
    if not functions:
        return
    known = yield _known(functions, stage, owner)
    there = {str(name): str(text) for name, text in known.rows}
    changed = [function for function in functions if there.get(function.name) != _digest(function)]
    if not changed:
        return
    confirm(stage, run, "\n".join(f"{function.sql.strip().rstrip(';')};" for function in changed))
    yield from lock_ddl()
    yield from in_short_tries(stage, lambda: _create_all(changed, stage, run, owner, may_wait))


def _digest(function: DatabaseFunction) -> str:
    return hashlib.sha256(function.sql.encode()).hexdigest()


def _known(functions: tuple[DatabaseFunction, ...], stage: Stage, owner: str) -> Statement:
    names = [function.name for function in functions]
    return Statement(
        label="look up which functions are there",
        fetch=True,
        parameters={"owner": owner, "names": names, "bare": [name.rpartition(".")[2] for name in names]},
        sql=f"""
select distinct on (wanted.name) wanted.name, split_part(done.digest, ':', 1)
from unnest(%(names)s::text[], %(bare)s::text[]) as wanted (name, bare)
join {quote(stage.pipeline.sys_schema)}.extra_sql done on done.pipe = %(owner)s and done.name = 'function ' || wanted.name
where exists (select from pg_proc p where p.proname in (wanted.bare, lower(wanted.bare)))
order by wanted.name, done.runid desc, done.date desc""",
    )


def _create_all(changed: list[DatabaseFunction], stage: Stage, run: Run, owner: str, may_wait: bool) -> Program:
    yield Statement(label="leave bodies unchecked", sql="set local check_function_bodies = off")
    for function in changed:
        result = yield Isolated(
            label=f"create function {function.name}",
            program=_create(function, stage, run, owner),
            only=("42P13", *(_NOT_MADE_YET if may_wait else ())),
        )
        if result.error is not None and "42P13" in result.error:
            raise DdlRefused(
                f"{function.place}: function {function.name} cannot be replaced because its arguments or its result changed "
                f"({result.error}); a DBA may run: drop function {function.name};"
            )


def _create(function: DatabaseFunction, stage: Stage, run: Run, owner: str) -> Program:
    yield Statement(label=f"create function {function.name}", sql=opaque(function.sql))
    yield Statement(
        label="remember the function",
        # The run's number makes the same text a new row when a function goes back to what it was before.
        parameters={
            "digest": f"{_digest(function)}:{owner}:{run.number}:{run.attempt}",
            "owner": owner,
            "name": f"function {function.name}",
            "runid": run.number,
            "date": run.load_time,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.extra_sql (digest, pipe, name, runid, date)
values (%(digest)s, %(owner)s, %(name)s, %(runid)s, %(date)s)
on conflict (digest) do update set date = excluded.date""",
    )

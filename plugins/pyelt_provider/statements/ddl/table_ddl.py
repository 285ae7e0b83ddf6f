"""Makes tables as their specs say: looks first, and takes a lock only when there is something to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyelt_provider.errors import DdlRefused
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.catalog import read_catalog
from pyelt_provider.statements.ddl.table_changes import Change, Changes, changes_for, unknown_types
from pyelt_provider.statements.ddl.tables import TableSpec
from pyelt_provider.statements.step import Isolated, Program, Routine, Statement

SECONDS_PER_TRY = 3
"""How long one try of DDL waits for a table lock; longer would make every reader of the table wait behind it."""


def ensure_table(spec: TableSpec, stage: Stage, run: Run) -> Program:
    """Make one table as `ensure_tables` does."""
    yield from ensure_tables((spec,), stage, run)


def ensure_tables(specs: Iterable[TableSpec], stage: Stage, run: Run) -> Program:
    """Create the tables, add what is missing, replace the keys of old PyELT tables; never drop a column or a row.

    With nothing to do this is one look at the catalogue. Otherwise the DDL runs under one advisory lock per warehouse,
    in tries of a few seconds so that readers are not held up. Raises DdlRefused, with all reasons at once and the
    statements for a DBA, when a type differs or rows stand in the way; also when the pipeline asks for confirmation
    (`ask_confirm_on_db_changes`) and the run does not allow DDL.
    """
    wanted = tuple(specs)
    changes = yield from _look(wanted)
    if not changes.todo:
        return
    confirm(stage, run, changes.ddl)
    yield from lock_ddl()
    changes = yield from _look(wanted)  # somebody else may have done it while we waited
    yield from in_short_tries(stage, lambda: _apply(changes.todo))


def _look(specs: tuple[TableSpec, ...]) -> Routine[Changes]:
    catalog = yield from read_catalog(spec.table for spec in specs)
    spellings: dict[str, str] = {}
    different = unknown_types(specs, catalog)
    if different:
        spelled = yield Statement(
            label="look up how the database spells types",
            fetch=True,
            parameters={"types": list(different)},
            sql="select t, format_type(to_regtype(t), null) from unnest(%(types)s::text[]) as u (t) "
            "where to_regtype(t) is not null and t !~ '[(]'",
        )
        spellings = {str(name): str(spelling) for name, spelling in spelled.rows}
    changes = changes_for(specs, catalog, spellings)
    if changes.refused:
        raise DdlRefused("\n".join(changes.refused))
    return changes


def confirm(stage: Stage, run: Run, ddl: str) -> None:
    """Raise DdlRefused with the DDL when the pipeline wants to be asked before the database changes and was not."""
    if stage.pipeline.ask_confirm_on_db_changes and not run.allow_ddl:
        raise DdlRefused(
            f"stage {stage.id} has to change the database, and ask_confirm_on_db_changes is on. "
            f"Start it again with allow_ddl to let it do this:\n{ddl}"
        )


def lock_ddl() -> Program:
    """Wait until nobody else changes tables of this warehouse; held until the end of the transaction."""
    yield Statement(
        label="wait for other changes of tables",
        sql="select pg_advisory_xact_lock(hashtextextended('pyelt ddl', 0))",
    )


def in_short_tries(stage: Stage, work: Callable[[], Program]) -> Program:
    """Run DDL that waits a few seconds for its locks, and try again until the pipeline's lock_timeout is used up.

    Everything behind a waiting ALTER TABLE waits too, so a short wait and another try is kinder to readers.
    """
    patience = stage.pipeline.lock_timeout.total_seconds()
    for _ in range(max(1, int(patience / (SECONDS_PER_TRY + 1)))):
        result = yield Isolated(label="change tables", program=_impatient(patience, work()), only=("55P03", "40P01"))
        if result.error is None:
            return
        yield Statement(label="let others go first", sql="select pg_sleep(1)")
    raise DdlRefused(
        f"stage {stage.id} could not lock the tables that it has to change within {patience:.0f} seconds: somebody "
        f"holds them ({result.error}); end that session or wait, then start the stage again"
    )


def _impatient(patience: float, program: Program) -> Program:
    yield _lock_timeout(min(SECONDS_PER_TRY, patience))
    yield from program
    yield _lock_timeout(patience)


def _lock_timeout(seconds: float) -> Statement:
    return Statement(
        label="set how long to wait for locks",
        parameters={"timeout": f"{int(seconds * 1000)}ms"},
        sql="select set_config('lock_timeout', %(timeout)s, true)",
    )


def _apply(todo: tuple[Change, ...]) -> Program:
    for change in todo:
        if not change.excused:
            yield change.statement
            continue
        result = yield Isolated(label=change.statement.label, program=_single(change.statement), only=change.excused)
        if result.error is None:
            continue
        if change.otherwise is None:
            raise DdlRefused(change.refusal)
        yield change.otherwise


def _single(statement: Statement) -> Program:
    yield statement

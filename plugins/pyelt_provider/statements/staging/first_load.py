"""The first load of a staging table: the delivery goes straight into it, and indexes are made after the rows."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.bulk import Dropped, drop_for_bulk
from pyelt_provider.statements.ddl.tables import hstage_spec
from pyelt_provider.statements.staging.columns import StagingColumns
from pyelt_provider.statements.staging.delivery import Loaded, copy_delivery, rejected_table
from pyelt_provider.statements.staging.delivery_limits import refuse_short
from pyelt_provider.statements.staging.rejects import find_rejected, has_null, keep_rejected, take_out_rejected
from pyelt_provider.statements.step import Count, Isolated, Number, Program, Routine, Statement


def can_load_directly(columns: StagingColumns) -> bool:
    """Return True when every delivered column is a column of staging and no delivered row means a deletion."""
    return columns.copied == columns.taken and columns.staging.deleted_when is None


def load_empty_table(stage: Stage, run: Run, columns: StagingColumns) -> Routine[Loaded]:
    """Load a delivery into the empty table.

    What staging adds to a row stands in the columns' defaults while the delivery streams in, so that every row is
    written once. That keys are unique shows when the unique index is made; only when it cannot be made are rows looked
    through for repeated keys. Raises DeliveryRefused when the delivery is too short.
    """
    staging = columns.staging
    dropped = yield from drop_for_bulk(hstage_spec(staging, columns.taken, stage.the_pipe.validations))
    yield _set_defaults(stage, run, columns)
    delivered = yield from copy_delivery(columns, staging.table)
    refuse_short(run, staging, delivered.rows, 0)
    yield _drop_defaults(columns)
    yield Number(label="add new rows", table=staging.table, count=Count.INSERTED, rows=delivered.rows)
    without_key = yield _look_for_null_keys(columns)
    rejected = None
    if without_key.value is True:
        rejected = yield from _take_out_rejected(columns)
    rejected = yield from _restore(columns, dropped, rejected)
    if rejected is not None:
        yield from keep_rejected(stage, run, columns)
    return Loaded(delivered=delivered, rejected=rejected, active=delivered.rows)


def _set_defaults(stage: Stage, run: Run, columns: StagingColumns) -> Statement:
    return Statement(
        label="let every row get this run's marks",
        table=columns.staging.table,
        parameters={"runid": run.number, "pipe": stage.pipe_name, "now": run.load_time},
        sql=f"""
alter table {columns.staging.table.sql}
    alter column _runid set default %(runid)s,
    alter column _source_system set default %(pipe)s,
    alter column _insert_date set default %(now)s,
    alter column _revision set default 0""",
    )


def _drop_defaults(columns: StagingColumns) -> Statement:
    return Statement(
        label="take this run's marks off the defaults",
        table=columns.staging.table,
        sql=f"""
alter table {columns.staging.table.sql}
    alter column _runid drop default, alter column _source_system drop default, alter column _insert_date drop default""",
    )


def _look_for_null_keys(columns: StagingColumns) -> Statement:
    return Statement(
        label="look for rows without a key",
        table=columns.staging.table,
        fetch=True,
        assumed=((False,),),
        sql=f"select exists (select from {columns.staging.table.sql} where {has_null(columns)})",
    )


def _take_out_rejected(columns: StagingColumns) -> Routine[TableName]:
    """Rows that this very load brought in and that are rejected leave the table again; they come back as rejected."""
    yield from find_rejected(columns, columns.staging.table)
    yield from take_out_rejected(columns, columns.staging.table)
    return rejected_table(columns)


def _restore(columns: StagingColumns, dropped: Dropped, rejected: TableName | None) -> Routine[TableName | None]:
    for statement in dropped.restoring:
        if rejected is None and "unique index" in statement.sql.lower():
            tried = yield Isolated(label=statement.label, program=_single(statement), only=("23505",))
            if tried.error is None:
                continue
            rejected = yield from _take_out_rejected(columns)
        yield statement
    return rejected


def _single(statement: Statement) -> Program:
    yield statement

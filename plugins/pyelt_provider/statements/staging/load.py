"""The etl_sor stage: this run's deliveries become rows of the historical staging tables."""

from __future__ import annotations

from pyelt_provider.errors import DeliveryRefused
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.model.staging import Delivery, StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.order import each_mapping
from pyelt_provider.statements.staging.columns import StagingColumns, this_delivery
from pyelt_provider.statements.staging.delivered_files import is_loaded_already, record_file
from pyelt_provider.statements.staging.delivery import Loaded, copy_delivery
from pyelt_provider.statements.staging.delivery_limits import refuse_short
from pyelt_provider.statements.staging.delta import Comparison, load_changes
from pyelt_provider.statements.staging.exceptions import record_rejected
from pyelt_provider.statements.staging.first_load import can_load_directly, load_empty_table
from pyelt_provider.statements.staging.hashes import hash_comparison, hashes_pay, only_differing_rows
from pyelt_provider.statements.staging.rejection_limit import check_rejected
from pyelt_provider.statements.staging.repeating import loaded_tables, mark_loaded
from pyelt_provider.statements.staging.source_positions import last_position, record_source_position
from pyelt_provider.statements.staging.validations import judge
from pyelt_provider.statements.step import CallHook, Program, Routine, Statement


def etl_sor(stage: Stage, run: Run) -> Program:
    """Load every staging table of the pipe from this run's delivery, between the hooks before and after.

    Each table ends as the delivery says: new keys get a row, changed ones a row with the next revision, keys that are
    missing in a full delivery are closed, unchanged ones are not touched. Raises DeliveryRefused with the numbers when
    a delivery is too short or would delete too much, RejectionsRefused when too many rows are rejected. With
    ``on_errors: log`` a table that fails is left as it was, alone, and the next attempt loads only what failed.
    """
    pipe = stage.the_pipe
    yield from prefer_parallel_plans()
    for hook in pipe.before_sor:
        yield CallHook(label=f"before sor: {hook.target}", hook=hook)
    loaded: set[str] = set()
    if stage.pipeline.on_errors is OnErrors.LOG:
        loaded |= set((yield from loaded_tables(stage, run)))
    to_load = [table for table in pipe.tables if table.name not in loaded]
    yield from each_mapping(
        ((table.name, _load_and_note(stage, run, table, loaded)) for table in to_load), stage.pipeline.on_errors
    )
    new = [table for table in to_load if table.name in loaded]
    if new and len(new) < len(to_load):
        yield mark_loaded(stage, run, new)
    for hook in pipe.after_sor:
        yield CallHook(label=f"after sor: {hook.target}", hook=hook)


def prefer_parallel_plans() -> Program:
    """Let the planner use parallel workers for the comparison, whose result it overestimates (changes are few)."""
    yield Statement(
        label="prefer parallel plans",
        sql="select set_config('parallel_setup_cost', '0', true), set_config('synchronize_seqscans', 'off', true)",
    )


def _load_and_note(stage: Stage, run: Run, staging: StagingTable, loaded: set[str]) -> Program:
    yield from load_table(stage, run, staging)
    loaded.add(staging.name)


def load_table(stage: Stage, run: Run, staging: StagingTable) -> Program:
    """Load one staging table; see etl_sor."""
    columns = yield from this_delivery(staging)
    _refuse_unknown(stage, columns)
    position = yield from last_position(stage, staging)
    rows = yield from is_loaded_already(stage, run, columns)
    if rows is not None:
        first, rejected = False, None
        refuse_short(run, staging, rows, None)
    else:
        first = can_load_directly(columns) and (yield from _is_empty(staging))
        if first:
            loaded = yield from load_empty_table(stage, run, columns)
        else:
            loaded = yield from _load_changes(stage, run, columns, position)
        rows, rejected = loaded.delivered.rows, loaded.rejected
        known = rejected is None and columns.unique
        yield from record_file(stage, run, columns, loaded.delivered, loaded.active if known else None)
    judged_all = yield from judge(stage, run, staging, everything=first)
    yield from check_rejected(stage, run, columns, rejected, delivered=rows, judged_all=judged_all and not first)
    yield from record_rejected(stage, run, columns, rejected)
    if staging.changed_since and not run.debug:
        yield from record_source_position(stage, run, staging, staging.table if first else staging.temp)


def _load_changes(stage: Stage, run: Run, columns: StagingColumns, position: str | None) -> Routine[Loaded]:
    staging = columns.staging
    full = staging.delivery is Delivery.FULL and staging.changed_since is None and not run.debug
    hashes = None
    if full and staging.deleted_when is None and (yield from hashes_pay(stage, run, columns)):
        hashes = hash_comparison(columns)
    delivered = yield from copy_delivery(columns, staging.temp, position, hashes)
    by_hashes = hashes is not None and (yield from only_differing_rows(columns))
    comparison = Comparison(columns=columns, delivered=delivered, detects_deletions=full, found_by_hashes=by_hashes)
    return (yield from load_changes(stage, run, comparison))


def _refuse_unknown(stage: Stage, columns: StagingColumns) -> None:
    if columns.new:
        places = ", ".join(str(columns.delivered.index(name) + 1) for name in columns.new)
        raise DeliveryRefused(
            f"{columns.staging.table}: column {places} of the delivery is not in the table yet: the delivery changed "
            f"after the table was prepared. Start {stage.pipe_name}'s ddl_sor task again, then this one"
        )


def _is_empty(staging: StagingTable) -> Routine[bool]:
    # A table that foreign keys of others point at cannot be truncated, so it is not loaded in bulk.
    found = yield Statement(
        label="look whether the table is empty",
        fetch=True,
        assumed=((False,),),
        parameters={"schema": staging.schema, "table": staging.name},
        sql=f"""
select not exists (select from {staging.table.sql})
    and not exists (
        select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
        join pg_namespace as n on n.oid = c.relnamespace
        where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s)""",
    )
    return found.value is True

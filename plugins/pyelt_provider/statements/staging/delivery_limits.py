"""Refuses deliveries that are too short to be true: with too few rows, or that would delete too much."""

from __future__ import annotations

from pyelt_provider.errors import DeliveryRefused
from pyelt_provider.model.limits import COUNTS_FROM, DELETED_BY_DEFAULT
from pyelt_provider.model.staging import Delivery, StagingTable
from pyelt_provider.planning.run import Run

_WAY_OUT = (
    "Nothing of it was loaded. When this is right, let it through for one run with allow_deletions; "
    "else let the source deliver again"
)


def refuse_short(run: Run, staging: StagingTable, rows: int, active: int | None) -> None:
    """Raise DeliveryRefused for a full delivery with fewer rows than `min_rows`, or with none while rows are active.

    `active` is None where it does not matter: the delivery is not empty.
    """
    if run.allow_deletions or run.debug or staging.delivery is Delivery.DELTA:
        return
    least = staging.limits.min_rows
    if least is None and rows == 0 and active:
        raise DeliveryRefused(
            f"{staging.table}: the delivery is full and has 0 rows while {active} rows are active. {_WAY_OUT}, or write "
            "min_rows: 0 where a delivery without rows is usual"
        )
    if least is not None and rows < least:
        raise DeliveryRefused(
            f"{staging.table}: the delivery has {rows} rows, fewer than the {least} of min_rows. {_WAY_OUT}, or change "
            "min_rows"
        )


def refuse_deletions(run: Run, staging: StagingTable, rows: int, deleted: int, active: int) -> None:
    """Raise DeliveryRefused when more of the `active` rows would be deleted than `max_deleted` allows.

    Without it, a full delivery may delete half of a table, and all of a table with fewer than 100 rows.
    """
    if run.allow_deletions or not deleted:
        return
    limit = staging.limits.max_deleted
    if limit is None:
        if staging.delivery is Delivery.DELTA or active < COUNTS_FROM:
            return
        limit = DELETED_BY_DEFAULT
    if limit.is_exceeded(deleted, active):
        raise DeliveryRefused(
            f"{staging.table}: the delivery has {rows} rows and would delete {deleted} of {active} active rows, more "
            f"than the {limit} of max_deleted. {_WAY_OUT}, or change max_deleted"
        )

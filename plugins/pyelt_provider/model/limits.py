"""How much of a table a load may refuse or delete before somebody has to look: numbers of rows, or shares of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Amount:
    """At most so many rows (``250``), or at most such a share of them (``1%``)."""

    value: Decimal
    is_share: bool = False

    def is_exceeded(self, rows: int, of: int) -> bool:
        """Tell whether `rows` of `of` rows are more than this."""
        return rows * 100 > self.value * of if self.is_share else rows > self.value

    def __str__(self) -> str:
        return f"{self.value:f}%" if self.is_share else f"{self.value:f}"


def share(percent: int | str) -> Amount:
    """Return the amount of so many percent."""
    return Amount(Decimal(percent), is_share=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a load of a table refuses to do without somebody's word; None is no limit, but for `max_deleted`.

    `min_rows` is the least number of rows of a full delivery; None refuses an empty one where rows are active.
    `max_deleted` is how many active rows a load may delete; None refuses, of full deliveries, more than half of at least
    100 rows. `max_rejected` is how many rows a load may reject that were not rejected before.
    """

    min_rows: int | None = None
    max_deleted: Amount | None = None
    max_rejected: Amount | None = None

    def or_else(self, above: Limits) -> Limits:
        """Return these limits, and those of `above` where there is none."""
        return Limits(
            min_rows=above.min_rows if self.min_rows is None else self.min_rows,
            max_deleted=self.max_deleted or above.max_deleted,
            max_rejected=self.max_rejected or above.max_rejected,
        )


NO_LIMITS = Limits()
DELETED_BY_DEFAULT = share(50)
COUNTS_FROM = 100
"""The default limit on deleted rows goes for tables of at least so many active rows."""
EVERYTHING = Limits(min_rows=0, max_deleted=share(100))
"""Lets every delivery through, however short."""

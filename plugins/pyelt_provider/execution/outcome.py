"""What came of a stage: its state, its numbers per table, its steps with seconds and rows, what failed in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pyelt_provider.identifiers import TableName
from pyelt_provider.statements.step import Count


class StageState(StrEnum):
    """The state of a stage in a run: committed (done), committed with failed mappings (failed), or taken back (to do)."""

    DONE = "done"
    FAILED = "failed"
    TO_DO = "to do"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step that was done: where, what, how many rows, how many seconds."""

    label: str
    table: TableName | None
    count: Count | None
    rows: int | None
    seconds: float
    mapping: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutcome:
    """What a stage did in one attempt. `failures` are (mapping, error) pairs; `state` is done only when there are none."""

    stage: str
    run: Decimal
    attempt: int
    state: StageState
    seconds: float
    steps: tuple[StepRecord, ...] = ()
    failures: tuple[tuple[str, str], ...] = field(default=())

    @property
    def numbers(self) -> dict[str, dict[str, int]]:
        """Rows per table and count, as in ``{"sor_his.patient_hstage": {"inserted": 3}}``; zeros included."""
        return sum_numbers(self.steps)

    @property
    def written_tables(self) -> set[TableName]:
        """The tables of which this attempt wrote, marked or took back rows."""
        return {
            step.table
            for step in self.steps
            if step.table and step.rows and step.count is not None and step.count.is_write
        }

    def changed_rows(self, table: TableName) -> int:
        """Return how many rows of a table this attempt wrote, in whatever way."""
        writes = {
            Count.INSERTED,
            Count.CHANGED,
            Count.CLOSED,
            Count.DELETED,
            Count.RETURNED,
            Count.MARKED,
            Count.TAKEN_BACK,
        }
        return sum(step.rows or 0 for step in self.steps if step.table == table and step.count in writes)


def sum_numbers(steps: Iterable[StepRecord]) -> dict[str, dict[str, int]]:
    """Add up the rows of steps per table and count."""
    numbers: dict[str, dict[str, int]] = {}
    for step in steps:
        if step.table is not None and step.count is not None and step.rows is not None:
            of_table = numbers.setdefault(str(step.table), {})
            of_table[step.count.value] = of_table.get(step.count.value, 0) + step.rows
    return numbers

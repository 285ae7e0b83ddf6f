"""A stage's log as people read it: a group to open per table or mapping, and the numbers as a table at the end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.statements.step import Count

SECTION = "section"
"""The key of `extra` that says which table or mapping a line belongs to."""


class SectionedLog(logging.LoggerAdapter[Any]):
    """Passes lines on to a task's log, those of one table or mapping in a group that Airflow's pages fold.

    Warnings and errors stand outside of the groups, where they are seen.
    """

    def __init__(self, log: Any) -> None:
        super().__init__(log)
        self._section = ""

    def info(self, msg: object, *args: object, **keywords: Any) -> None:
        self._enter(str((keywords.pop("extra", None) or {}).get(SECTION, "")))
        self.logger.info(msg, *args)

    def warning(self, msg: object, *args: object, **keywords: Any) -> None:
        self._enter("")
        self.logger.warning(msg, *args)

    def error(self, msg: object, *args: object, **keywords: Any) -> None:
        self._enter("")
        self.logger.error(msg, *args)

    def end(self) -> None:
        """Close the group that is still open."""
        self._enter("")

    def _enter(self, section: str) -> None:
        if section == self._section:
            return
        if self._section:
            self.logger.info("::endgroup::")
        if section:
            self.logger.info("::group::%s", section)
        self._section = section


def number_lines(numbers: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the rows per table and count as lines of a table; counts that are 0 everywhere get no column."""
    counts = [count.value for count in Count if any(of_table.get(count.value) for of_table in numbers.values())]
    if not counts:
        return ["no rows read, no rows changed"] if numbers else []
    rows = [["table", *(count.replace("_", " ") for count in counts)]]
    rows += [[table, *(str(numbers[table].get(count, "-")) for count in counts)] for table in numbers]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def log_outcome(outcome: StageOutcome, log: Any) -> None:
    """Write what came of a stage: its numbers, and every mapping that failed."""
    for line in number_lines(outcome.numbers):
        log.info("%s", line)
    log.info("Run %s, attempt %s: %s in %.1f seconds.", outcome.run, outcome.attempt, outcome.state, outcome.seconds)


def xcom_value(outcome: StageOutcome) -> dict[str, Any]:
    """Return what goes to the task's XCom: small, plain JSON, no data."""
    return {
        "run": str(outcome.run),
        "attempt": outcome.attempt,
        "state": outcome.state.value,
        "seconds": round(outcome.seconds, 3),
        "tables": outcome.numbers,
        "failures": [mapping for mapping, _ in outcome.failures],
    }

"""One run as the statements see it: its number, its interval, its load time and what its operator allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a stage knows of the run that it belongs to. Times are UTC; `load_time` is one per task attempt.

    `number` is PyELT's run id (``_runid``). The `allow_...` flags are run parameters that let through on purpose what
    is refused otherwise.
    """

    number: Decimal
    dag_id: str
    dag_run_id: str
    interval_start: datetime
    interval_end: datetime
    load_time: datetime
    attempt: int = 1
    debug: bool = False
    allow_deletions: bool = False
    allow_rejections: bool = False
    allow_ddl: bool = False
    allow_key_change: bool = False

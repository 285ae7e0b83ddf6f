"""Keeps every load of some pipes out while a command changes what they loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2

from pyelt_provider.errors import PyeltError
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.runs.locking import lock_pipes
from pyelt_provider.statements.step import Statement


def keep_loads_out(connection: Any, stages: Sequence[Stage], datamarts: Stage | None, what: str) -> None:
    """Take the locks of the stages' pipes, of their tables and of the datamarts, until the end of the transaction.

    Raises PyeltError when somebody loads just now; `what` says what was not done (``taken back``).
    """
    with connection.cursor() as cursor:
        try:
            for step in lock_pipes(stages, datamarts):
                assert isinstance(step, Statement)
                cursor.execute(step.sql, dict(step.parameters))
        except psycopg2.errors.LockNotAvailable:
            raise PyeltError(
                f"nothing was {what}: another stage loads these pipes or their tables just now; let it end, or stop it, "
                "and start again"
            ) from None

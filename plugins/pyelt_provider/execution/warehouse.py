"""Opens sessions on the warehouse: every connection of ours has the same settings and a name that says whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from pyelt_provider.errors import PyeltError
from pyelt_provider.execution.environment import Environment
from pyelt_provider.model.connection import masked
from pyelt_provider.model.pipeline import Pipeline

CLIENT_CHECK_SECONDS = 10
"""A worker that was killed leaves its backend behind; the server notices within this time and ends it (PostgreSQL 14+)."""


@contextmanager
def session(pipeline: Pipeline, environment: Environment, name: str, *, autocommit: bool = False) -> Iterator[Any]:
    """Open a session on the warehouse and close it at the end; what was not committed is rolled back.

    Times are UTC and dates ISO whatever the server's or the role's settings are. `name` (cut at 63 bytes by the server)
    is what a DBA sees in pg_stat_activity.
    """
    arguments = dict(environment.warehouse(pipeline.warehouse))
    arguments["application_name"] = name[:63]
    arguments.setdefault("connect_timeout", 15)
    try:
        connection = psycopg2.connect(**arguments)
    except psycopg2.Error as error:
        reason = masked(" ".join(str(error).split()))
        raise PyeltError(f"the warehouse {pipeline.warehouse} cannot be reached: {reason}") from None
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                """
                select set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false),
                       set_config('standard_conforming_strings', 'on', false), set_config('jit', 'off', false),
                       set_config('lock_timeout', %(lock_timeout)s, false), set_config('work_mem', %(work_mem)s, false),
                       set_config('maintenance_work_mem', %(work_mem)s, false),
                       -- The planner takes most rows of a comparison for results and spares its workers handing them
                       -- over. There are few, and where there are many it pays all the same.
                       set_config('parallel_tuple_cost', '0', false),
                       set_config('client_connection_check_interval', %(check)s, false)
                """,
                {
                    "lock_timeout": f"{int(pipeline.lock_timeout.total_seconds() * 1000)}ms",
                    "work_mem": f"{pipeline.work_memory_mb}MB",
                    "check": f"{CLIENT_CHECK_SECONDS}s",
                },
            )
        connection.autocommit = autocommit
        yield connection
    finally:
        connection.close()

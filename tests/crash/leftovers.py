"""What a load must not leave behind on the server: sessions of ours, locks, transactions that nobody ends, deadlocks."""

from __future__ import annotations

import contextlib
import time

import psycopg2

PATIENCE = 20.0
"""Seconds: the server notices that the client of a busy session is gone when it next looks, every ten seconds."""

_LEFT = """
    select 'session "' || application_name || '" is ' || coalesce(state, '?') || ' in ' || left(query, 80)
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
      and application_name like 'pyelt%'
    union all
    select 'lock of ' || locktype || ' ' || mode || ' by process ' || coalesce(pid::text, '?')
    from pg_locks
    where database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()
      and (locktype = 'advisory' or pid not in (select pid from pg_stat_activity where backend_type <> 'client backend'))
    union all
    select 'prepared transaction ' || gid from pg_prepared_xacts where database = current_database()
"""
_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


def left_behind(warehouse: str) -> list[str]:
    """Return what is left of loads that have all ended, and a text when the database has seen a deadlock.

    A session whose client was killed is given the time in which the server notices.
    """
    until = time.monotonic() + PATIENCE
    with contextlib.closing(psycopg2.connect(warehouse)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while True:
            cursor.execute(_LEFT)
            found = [text for (text,) in cursor.fetchall()]
            if not found or time.monotonic() > until:
                break
            time.sleep(0.05)
        cursor.execute(_DEADLOCKS)
        ((deadlocks,),) = cursor.fetchall()
    return found + ([f"{deadlocks} deadlocks"] if deadlocks else [])

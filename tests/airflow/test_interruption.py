"""A task that is killed or out of time does not wait for the statement that the server works on."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

import psycopg2
import pytest

from databases import Database
from pyelt_provider.orchestration.interruption import Interruption


class OutOfTime(Exception):
    pass


def out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTime


def test_a_signal_ends_the_statement_at_once_and_python_hears_of_it(warehouse: Database) -> None:
    interruption = Interruption()
    connection = warehouse.connect()
    interruption.watch(connection)
    before = signal.signal(signal.SIGTERM, out_of_time)
    killer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    killer.start()
    started = time.monotonic()
    try:
        with pytest.raises(OutOfTime), interruption.watched(), connection.cursor() as cursor:
            cursor.execute("select pg_sleep(30)")
    finally:
        signal.signal(signal.SIGTERM, before)
        killer.join()
    assert time.monotonic() - started < 5
    assert warehouse.rows(
        "select count(*) from pg_stat_activity where query like '%pg_sleep(30)' and state = 'active'"
    ) == [(0,)]


def test_the_statement_is_ended_also_when_no_handler_raises(warehouse: Database) -> None:
    interruption = Interruption()
    connection = warehouse.connect()
    interruption.watch(connection)
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with (
            pytest.raises(psycopg2.errors.QueryCanceled),
            interruption.watched(),
            connection.cursor() as cursor,
        ):
            cursor.execute("select pg_sleep(30)")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_cancelling_when_nothing_runs_does_no_harm(warehouse: Database) -> None:
    interruption = Interruption()
    interruption.cancel()
    connection = warehouse.connect()
    interruption.watch(connection)
    interruption.cancel()
    connection.close()
    interruption.cancel()

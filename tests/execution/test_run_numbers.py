"""Run ids: PyELT's rule, bound to the DAG run, given out under a lock."""

from __future__ import annotations

import contextlib
import threading
from datetime import date, datetime
from decimal import Decimal

import pytest

from databases import Database
from pyelt_provider.execution.run_log import RunKey, RunLog, next_run_number

NOON = datetime(2026, 1, 1, 12)


def key(name: str) -> RunKey:
    return RunKey(pipeline="p", dag_id="p", dag_run_id=name, interval_start=NOON, interval_end=NOON)


def number_of(warehouse: Database, name: str, day: date) -> Decimal:
    with contextlib.closing(warehouse.connect()) as connection:
        connection.autocommit = True
        log = RunLog(connection, "sys")
        log.ensure_tables()
        return log.run_number(key(name), day, NOON, debug=False)


@pytest.mark.parametrize(
    ("last", "day", "expected"),
    [
        (None, date(2026, 1, 1), "1.00"),
        (("1.00", date(2026, 1, 1)), date(2026, 1, 1), "1.01"),
        (("1.01", date(2026, 1, 1)), date(2026, 1, 2), "2.00"),
        (("1.99", date(2026, 1, 1)), date(2026, 1, 1), "2.00"),
        (("2.00", date(2026, 1, 1)), date(2026, 1, 1), "2.01"),
    ],
)
def test_a_run_gets_a_whole_number_per_day_and_a_hundredth_for_each_further_run(
    last: tuple[str, date] | None, day: date, expected: str
) -> None:
    assert next_run_number(last, day) == Decimal(expected)


def test_a_dag_run_keeps_its_number_however_often_it_asks(warehouse: Database) -> None:
    first, second = date(2026, 1, 1), date(2026, 1, 2)
    assert number_of(warehouse, "a", first) == Decimal("1.00")
    assert number_of(warehouse, "b", first) == Decimal("1.01")
    assert number_of(warehouse, "c", second) == Decimal("2.00")
    assert number_of(warehouse, "a", second) == Decimal("1.00")


def test_runs_that_start_together_get_different_numbers(warehouse: Database) -> None:
    numbers: list[Decimal] = []
    threads = [
        threading.Thread(target=lambda n=n: numbers.append(number_of(warehouse, f"run {n}", date(2026, 1, 1))))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [Decimal(f"1.0{n}") for n in range(8)]


def test_an_old_pyelt_runs_table_is_continued(warehouse: Database) -> None:
    warehouse.execute(
        """create schema sys;
           create table sys.runs (runid numeric primary key, rundate timestamp, finish_date timestamp, exceptions text,
                                  sor_versions text, dv_version text, pyelt_version text);
           insert into sys.runs (runid, rundate) values (412.01, '2025-12-31 02:00')"""
    )
    assert number_of(warehouse, "first with Airflow", date(2026, 1, 1)) == Decimal("413.00")

"""A night, and taking it back, read what changed by index: no table of the vault is ever gone through from end to end."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest

from databases import Database
from loading import Loader
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.rewinding import rewind
from small_project import deliver, small_pipeline

DAYS = [date(2026, 1, number) for number in range(1, 5)]
PATIENTS = 30_000
FEW = 60
"""The first so many patients are gone in the second night, as many change, and as many are new. Of many more the planner
may rightly find that going through a table is faster."""


@pytest.fixture
def loader(warehouse: Database, tmp_path: Path) -> Loader:
    """A hospital whose patients are loaded, and whose statistics are those of the morning."""
    loader = Loader(warehouse, small_pipeline(tmp_path))
    patients(tmp_path, DAYS[0], range(PATIENTS))
    loader.run(DAYS[0])
    settle(warehouse)
    return loader


def patients(root: Path, day: date, numbers: range, moved: range = range(0)) -> None:
    deliver(
        root,
        day,
        patients="".join(
            f"{n};name {n};{'Soest' if n in moved else 'Zeist'};a{(n + (n in moved)) % 100}\n" for n in numbers
        ),
        relations="".join(f"{n};06{n + (n in moved)}\n" for n in numbers),
    )


def settle(warehouse: Database) -> None:
    with contextlib.closing(psycopg2.connect(warehouse.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("vacuum (analyze)")


@contextlib.contextmanager
def read_whole(warehouse: Database, into: dict[str, int]) -> Iterator[None]:
    """Note, per large table of staging and vault, the rows that are read meanwhile by going through it from end to end."""
    before = _scanned(warehouse)
    yield
    after = _scanned(warehouse)
    into.update({name: after[name] - rows for name, rows in before.items() if after[name] - rows > 10 * FEW})


def _scanned(warehouse: Database) -> dict[str, int]:
    """Small tables are gone through whole because that is faster."""
    return {
        str(name): int(rows)
        for name, rows in warehouse.rows(
            """select schemaname || '.' || relname, seq_tup_read from pg_stat_user_tables
               where schemaname <> 'sys' and n_live_tup > 1000"""
        )
    }


def of_vault(scanned: dict[str, int]) -> set[str]:
    return {name for name in scanned if not name.startswith("sor_")}


def test_a_night_of_few_changes_reads_the_active_rows_once_to_compare_and_no_table_of_the_vault(
    loader: Loader, warehouse: Database, tmp_path: Path
) -> None:
    patients(tmp_path, DAYS[1], range(FEW, PATIENTS + FEW), range(1000, 1000 + FEW))
    scanned: dict[str, int] = {}
    with read_whole(warehouse, scanned):
        outcomes = loader.run(DAYS[1])

    assert outcomes["his.sor.etl_sor"].numbers["sor_his.patients_hstage"]["inserted"] == FEW
    assert of_vault(scanned) == set()
    assert scanned["sor_his.patients_hstage"] <= PATIENTS + 10 * FEW


def test_a_night_in_which_nothing_changed_reads_no_table_of_the_vault(
    loader: Loader, warehouse: Database, tmp_path: Path
) -> None:
    patients(tmp_path, DAYS[1], range(PATIENTS))
    scanned: dict[str, int] = {}
    with read_whole(warehouse, scanned):
        loader.run(DAYS[1])

    assert scanned == {}


def test_taking_a_night_of_few_changes_back_reads_no_table(loader: Loader, warehouse: Database, tmp_path: Path) -> None:
    first = Decimal(str(loader.rows("select max(runid) from sys.runs")[0][0]))
    patients(tmp_path, DAYS[1], range(FEW, PATIENTS + FEW), range(1000, 1000 + FEW))
    loader.run(DAYS[1])
    settle(warehouse)
    scanned: dict[str, int] = {}
    with read_whole(warehouse, scanned):
        taken = rewind(
            loader.pipeline, first, LocalEnvironment(), now=datetime(2026, 1, 3), log=logging.getLogger(__name__)
        )

    assert sum(back.rows for back in taken) > 4 * FEW
    assert scanned == {}
    assert loader.rows("select count(*) from dv.patient_hub") == [(PATIENTS,)]


def test_a_night_that_is_cleared_reads_what_it_brought_and_no_table_of_the_vault(
    loader: Loader, warehouse: Database, tmp_path: Path
) -> None:
    patients(tmp_path, DAYS[1], range(FEW, PATIENTS + FEW), range(1000, 1000 + FEW))
    loader.run(DAYS[1])
    settle(warehouse)
    scanned: dict[str, int] = {}
    with read_whole(warehouse, scanned):
        loader.run(DAYS[1])

    assert of_vault(scanned) == set()

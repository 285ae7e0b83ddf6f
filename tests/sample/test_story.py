"""The sample's whole story on a real warehouse: six nights and two months, in several orders, and done again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from logging import getLogger
from pathlib import Path

import psycopg2
import pytest

from databases import Database, fresh_database
from grants import grant_loading
from loading import Loader
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.execution.rewinding import rewind
from pyelt_provider.sample.expected import ANSWERS, ROWS, problems
from sample.clinic import FEBRUARY, JANUARY, NIGHTS, Clinic, clinic


@pytest.fixture(scope="module")
def told(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The story told once, in the order of its days."""
    folder = tmp_path_factory.mktemp("clinic")
    with pytest.MonkeyPatch.context() as monkeypatch, clinic(server, folder, monkeypatch) as told:
        told.whole_story()
        yield told


def test_the_warehouse_holds_what_the_story_says(told: Clinic) -> None:
    assert problems(told.warehouse.url) == []


def test_the_expected_end_state_looks_at_every_table_that_is_loaded(told: Clinic) -> None:
    tables = told.warehouse.rows(
        """
        select schemaname || '.' || tablename from pg_tables
        where schemaname in ('sor_his', 'sor_lab', 'sor_billing', 'valset', 'dv', 'dm')
          and tablename <> '_exceptions' and tablename not like '%\\_temp' and tablename not like '%\\_temp\\_hash'
        """
    )
    assert {table for (table,) in tables} == set(ROWS)


def test_every_run_has_ended_and_has_its_number(told: Clinic) -> None:
    runs = told.warehouse.rows(
        "select runid::text, dag_id, run_day::text, finish_date is not null from sys.runs order by runid"
    )
    assert runs == [
        ("1.00", "clinic", "2026-01-29", True),
        ("2.00", "clinic", "2026-01-30", True),
        ("3.00", "clinic", "2026-01-31", True),
        ("3.01", "clinic__monthly", "2026-01-31", True),
        ("4.00", "clinic", "2026-02-01", True),
        ("5.00", "clinic", "2026-02-02", True),
        ("6.00", "clinic", "2026-02-03", True),
        ("7.00", "clinic__monthly", "2026-02-28", True),
    ]


@pytest.fixture
def retold(told: Clinic, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """The same warehouse in a copy, to go on from."""
    with fresh_database(server, "copy") as copy:
        with contextlib.closing(psycopg2.connect(server.url("postgres"))) as maintenance:
            maintenance.autocommit = True
            maintenance.cursor().execute(f'drop database "{copy.name}"')
            maintenance.cursor().execute(f'create database "{copy.name}" template "{told.warehouse.name}"')
        grant_loading(server.url(copy.name))
        yield Clinic(told.pipeline, Loader(copy, told.pipeline), copy)


def test_the_last_night_done_again_gives_the_same(retold: Clinic) -> None:
    retold.night(NIGHTS[-1])
    assert problems(retold.warehouse.url) == []


def test_nights_that_are_taken_back_and_loaded_again_give_the_same(retold: Clinic) -> None:
    loader = retold.loader
    taken = list(
        rewind(loader.pipeline, Decimal("3.01"), loader.environment, now=datetime(2026, 3, 1), log=getLogger("rewind"))
    )
    assert sorted({str(part.run) for part in taken}) == ["4.00", "5.00", "6.00", "7.00"]
    assert retold.warehouse.rows("select max(_runid)::text from sor_his.patient_hstage") == [("3.00",)]
    for day in NIGHTS[3:]:
        retold.night(day)
    retold.month(FEBRUARY)
    assert problems(retold.warehouse.url) == []


def test_what_is_wrong_in_the_warehouse_is_told(retold: Clinic) -> None:
    retold.warehouse.execute(
        "delete from dm.dim_practitioner where staff_code = 'D01'; update dm.fact_lab_result set value = value + 1 "
        "where order_number = 'L0000001' and analyte_code = 'NA'"
    )
    assert problems(retold.warehouse.url) == [
        "dm.dim_practitioner has 20 instead of 21 (rows)",
        "results of the story's lab orders: mended, withdrawn, corrected, given later: "
        "L0000001, GLU, 5.4, false; L0000001, K, 4.1, true; L0000001, NA, 142, false; L0000002, CRP, 7.1, false; "
        "L0000007, TSH, 2.2, false instead of "
        "L0000001, GLU, 5.4, false; L0000001, K, 4.1, true; L0000001, NA, 141, false; L0000002, CRP, 7.1, false; "
        "L0000007, TSH, 2.2, false",
        "the sum of all results: 41082.85 instead of 41081.85",
    ]


def test_the_order_of_pipes_and_of_the_two_dags_does_not_matter(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clinic(server, tmp_path, monkeypatch, pipes_reversed=True) as other:
        other.month(JANUARY)
        other.month(FEBRUARY)
        for day in NIGHTS:
            other.night(day)
        assert problems(other.warehouse.url) == []


def test_every_night_done_twice_gives_the_same_as_once(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clinic(server, tmp_path, monkeypatch) as twice:
        for day in NIGHTS:
            twice.night(day)
            twice.night(day)
        for month in (JANUARY, FEBRUARY):
            twice.month(month)
            twice.month(month)
        assert problems(twice.warehouse.url) == []


def test_an_empty_database_has_everything_wrong(warehouse: Database) -> None:
    assert len(problems(warehouse.url)) == len(ROWS) + len(ANSWERS)

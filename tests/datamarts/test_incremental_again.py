"""Incremental models are taken back exactly: a build that is done again, or whose loads went, leaves no trace of its first."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from logging import getLogger
from pathlib import Path

import pytest

from databases import Database
from datamarts.test_datamarts import DIM, DOMAIN, FACT, PIPE, built, patients
from loading import Loader
from pyelt_provider.execution.rewinding import TakenBack, rewind
from written_projects import loader

DAY_1, DAY_2, DAY_3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)

RECENT = FACT + "where d.name not like '%old%'"
"""A window: rows of patients that became old stay as they were, and are in no later answer of the query."""

OWN_RUN = """
-- materialized: incremental
-- unique_key: bk
select bk, default_name, _runid from dv.patient_view where default_name not like '%old%'
"""

FACTS = "select nr, name, size, _runid::text from dm.a_fact order by 1"
OWN = "select bk, default_name, _runid::text from dm.own order by 1"

FIRST = "1,Anna,1990-01-01\n2,Bert,\n3,Cor,\n"
SECOND = "1,Anne,1990-01-01\n2,old Bert,\n3,Cor,\n4,Dirk,\n"
WRONG = "1,Anna,1990-01-01\n2,Bart,\n3,Kor,\n9,Wrong,\n"


@pytest.fixture
def load(warehouse: Database, tmp_path: Path) -> Loader:
    models = {"dim_patient": DIM, "a_fact": RECENT, "own": OWN_RUN}
    return loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, **{f"datamarts__{n}___sql": sql for n, sql in models.items()})


def night(load: Loader, folder: Path, day: date, text: str) -> None:
    patients(folder, text)
    load.run(day)


def take_back(load: Loader, to: str, pipe: str | None = None, *, dry_run: bool = False) -> tuple[TakenBack, ...]:
    return rewind(
        load.pipeline,
        Decimal(to),
        load.environment,
        now=datetime(2026, 3, 1),
        log=getLogger("rewind"),
        pipe=pipe,
        dry_run=dry_run,
    )


AFTER_FIRST = [("1", "Anna", 4, "1.00"), ("2", "Bert", 4, "1.00"), ("3", "Cor", 3, "1.00")]
AFTER_SECOND = [("1", "Anne", 4, "2.00"), ("2", "Bert", 4, "1.00"), ("3", "Cor", 3, "1.00"), ("4", "Dirk", 4, "2.00")]
OWN_AFTER_FIRST = [("1", "Anna", "1.00"), ("2", "Bert", "1.00"), ("3", "Cor", "1.00")]
OWN_AFTER_SECOND = [("1", "Anne", "1.00"), ("2", "Bert", "1.00"), ("3", "Cor", "1.00"), ("4", "Dirk", "2.00")]


def test_the_task_cleared_leaves_everything_as_it_was(load: Loader, warehouse: Database, tmp_path: Path) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    night(load, tmp_path, DAY_2, SECOND)
    assert warehouse.rows(FACTS) == AFTER_SECOND
    assert warehouse.rows(OWN) == OWN_AFTER_SECOND
    for _ in range(2):
        load.run(DAY_2, stages=["etl_dm"])
        assert warehouse.rows(FACTS) == AFTER_SECOND
        assert warehouse.rows(OWN) == OWN_AFTER_SECOND


def test_a_corrected_delivery_leaves_nothing_of_the_wrong_one(
    load: Loader, warehouse: Database, tmp_path: Path
) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    night(load, tmp_path, DAY_2, WRONG)
    assert warehouse.rows("select name, _runid::text from dm.a_fact where nr in ('3', '9') order by 1") == [
        ("Kor", "2.00"),
        ("Wrong", "2.00"),
    ]
    night(load, tmp_path, DAY_2, SECOND)
    assert warehouse.rows(FACTS) == AFTER_SECOND
    assert warehouse.rows(OWN) == OWN_AFTER_SECOND


def test_a_wrong_delivery_that_was_taken_back_leaves_with_the_next_run_at_the_latest(
    load: Loader, warehouse: Database, tmp_path: Path
) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    night(load, tmp_path, DAY_2, WRONG)
    patients(tmp_path, SECOND)
    load.run(DAY_2, stages=["his.sor.etl_sor", "his.dv.etl_hubs"])
    night(load, tmp_path, DAY_3, SECOND)
    assert [row[:2] for row in warehouse.rows(FACTS)] == [row[:2] for row in AFTER_SECOND]
    assert warehouse.rows("select count(*) from dm.a_fact where _runid = 2") == [(0,)]


def test_an_older_run_is_not_undone_under_a_newer_one(load: Loader, warehouse: Database, tmp_path: Path) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    night(load, tmp_path, DAY_2, SECOND)
    load.run(DAY_1, stages=["etl_dm"])
    assert warehouse.rows(FACTS) == AFTER_SECOND


def test_rewinding_brings_the_datamarts_back_at_once_and_the_same_nights_give_the_same_again(
    load: Loader, warehouse: Database, tmp_path: Path
) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    seen = "select mapping, schemaname, tablename, runid::text, stage from sys.positions where pipe = '' order by 1, 2, 3, 4"
    positions = warehouse.rows(seen)
    night(load, tmp_path, DAY_2, WRONG)
    night(load, tmp_path, DAY_3, SECOND)
    before = [warehouse.rows(query) for query in (FACTS, OWN, "select * from dm.dim_patient order by 1")]

    shown = take_back(load, "1.00", dry_run=True)
    assert [warehouse.rows(query) for query in (FACTS, OWN)] == before[:2]
    assert take_back(load, "1.00") == shown
    assert [(str(table), rows) for table, rows in shown[-1].tables] == [
        ("dm.a_fact", 6),
        ("dm.dim_patient", 3),
        ("dm.own", 6),
    ]
    assert warehouse.rows(FACTS) == AFTER_FIRST
    assert warehouse.rows(OWN) == OWN_AFTER_FIRST
    assert warehouse.rows("select nr, name from dm.dim_patient order by 1") == [
        ("1", "Anna"),
        ("2", "Bert"),
        ("3", "Cor"),
    ]
    assert warehouse.rows(seen) == positions

    night(load, tmp_path, DAY_2, WRONG)
    night(load, tmp_path, DAY_3, SECOND)
    assert [warehouse.rows(query) for query in (FACTS, OWN, "select * from dm.dim_patient order by 1")] == before


def test_a_model_whose_query_fails_when_rewinding_is_left_to_the_next_run(
    load: Loader, warehouse: Database, tmp_path: Path
) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    night(load, tmp_path, DAY_2, SECOND)
    warehouse.execute("alter view dv.patient_view rename to moved")
    take_back(load, "1.00")
    assert warehouse.rows("select count(*) from dm.dim_patient") == [(4,)]
    warehouse.execute("alter view dv.moved rename to patient_view")
    night(load, tmp_path, DAY_2, FIRST)
    assert warehouse.rows("select nr, name from dm.dim_patient order by 1") == [
        ("1", "Anna"),
        ("2", "Bert"),
        ("3", "Cor"),
    ]


def test_a_row_of_before_that_fits_no_more_stays_and_stops_nothing(
    load: Loader, warehouse: Database, tmp_path: Path
) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    night(load, tmp_path, DAY_2, SECOND)
    warehouse.execute("update sys.journal set before = before || '{\"size\": \"many\"}' where before ? 'size'")
    load.run(DAY_2, stages=["etl_dm"])
    assert warehouse.rows(FACTS) == AFTER_SECOND


def test_a_warehouse_of_the_version_before_the_horizons_knows_what_was_seen_and_what_is_gone(
    load: Loader, warehouse: Database, tmp_path: Path
) -> None:
    night(load, tmp_path, DAY_1, FIRST)
    _forget_horizons(warehouse)
    patients(tmp_path, FIRST)
    assert built(load.run(DAY_2)["etl_dm"]) == []

    patients(tmp_path, WRONG)
    load.run(DAY_3)
    patients(tmp_path, FIRST)
    stages = [stage.id for stage in load.plan().stages]
    load.run(DAY_3, stages=stages[: stages.index("etl_dm")])
    _forget_horizons(warehouse)
    load.run(date(2026, 1, 4))
    assert load.rows(FACTS) == AFTER_FIRST
    assert load.rows(OWN) == OWN_AFTER_FIRST


def _forget_horizons(warehouse: Database) -> None:
    warehouse.execute("drop table sys.writes, sys.horizons; comment on schema sys is 'PyELT bookkeeping, version 7'")

"""Run numbers follow the order of loads, also when a newer night was loaded first and had to be taken back."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from nights.comparison import vault_differences
from nights.hospital import Hospital, day_of
from nights.model import Model
from soak.story import told_at_once


class FourNights:
    """A random hospital of four nights, whose last one is loaded first, and taken back."""

    def __init__(self, warehouse: Database, folder: Path, seed: int) -> None:
        self.told = told_at_once(seed, 4)
        self.hospital = Hospital(warehouse, folder, self.told.story)
        self.told.deliver(self.hospital)
        self.load(3)
        self.hospital.take_back(-1)

    def load(self, night: int, **arguments: Any) -> None:
        self.hospital.run(day_of(night), **arguments)

    def numbers(self) -> list[tuple[Any, ...]]:
        return self.hospital.rows(
            "select runid, interval_start::date - date '2026-01-01', dag_run_id, overtaken_by from sys.runs order by runid"
        )


@pytest.mark.parametrize("seed", [1, 6])
def test_a_night_that_was_loaded_too_early_gets_a_new_number_behind_the_older_ones(
    warehouse: Database, tmp_path: Path, seed: int
) -> None:
    nights = FourNights(warehouse, tmp_path, seed)
    model = Model(nights.told.story)
    for night in range(4):
        nights.load(night)
        model.night(night)

    assert vault_differences(nights.hospital, model) == []
    assert nights.numbers() == [
        (Decimal("1.00"), 3, "scheduled__2026-01-04 as 1.00", Decimal("5.00")),
        (Decimal("2.00"), 0, "scheduled__2026-01-01", None),
        (Decimal("3.00"), 1, "scheduled__2026-01-02", None),
        (Decimal("4.00"), 2, "scheduled__2026-01-03", None),
        (Decimal("5.00"), 3, "scheduled__2026-01-04", None),
    ]


def test_its_new_number_stays_when_it_is_run_again(warehouse: Database, tmp_path: Path) -> None:
    nights = FourNights(warehouse, tmp_path, 1)
    for night in (0, 3, 3):
        nights.load(night)

    assert [number for number, *_ in nights.numbers()] == [Decimal("1.00"), Decimal("2.00"), Decimal("3.00")]
    assert nights.hospital.rows("select distinct state from sys.stages where runid = 3.00") == [("done",)]


def test_a_night_that_was_taken_back_and_is_loaded_again_at_once_keeps_its_number(
    warehouse: Database, tmp_path: Path
) -> None:
    nights = FourNights(warehouse, tmp_path, 1)
    nights.load(3)

    assert nights.numbers() == [(Decimal("1.00"), 3, "scheduled__2026-01-04", None)]


def test_attempts_that_were_killed_under_the_old_number_are_seen_to_be(warehouse: Database, tmp_path: Path) -> None:
    nights = FourNights(warehouse, tmp_path, 1)
    warehouse.execute("update sys.attempts set state = 'running' where stage = 'his.sor.etl_sor'")
    for night in (0, 3):
        nights.load(night)

    assert warehouse.rows("select runid, error from sys.attempts where state <> 'done'") == [
        (Decimal("1.00"), "the worker was killed")
    ]


def test_a_night_of_which_one_pipe_was_taken_back_does_not_load_it_behind_an_older_night(
    warehouse: Database, tmp_path: Path
) -> None:
    nights = FourNights(warehouse, tmp_path, 1)
    nights.load(3)
    warehouse.execute("update sys.stages set state = 'to do' where pipe = 'his'")
    nights.load(0, stages=["his.sor.etl_sor"])
    warehouse.execute("update sys.runs set finish_date = '2026-01-05' where runid = 2.00")

    assert nights.hospital.fails(day_of(3), stages=["his.sor.etl_sor"]) == (
        "his.sor.etl_sor: pipe his was loaded for an older interval by run 2.00, and run 1.00 keeps its number because "
        "another pipe is loaded under it; take all pipes back: pyelt rewind PROJECT --to 0.00"
    )

"""A file that is the very one that was loaded last is recognised by its digest: its rows are not read again."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.outcome import StageOutcome
from pyelt_provider.execution.rewinding import rewind
from pyelt_provider.model.pipe import Hook
from pyelt_provider.model.staging import CsvFile, Delivery, FixedColumn, FixedWidthFile
from staging.deliveries import TABLE, Town, _day, rule

FILE = "nr,naam\n1,An\n2,Bo\n3,Cor\n"
OTHER = "nr,naam\n1,An\n2,Bas\n3,Co\n"
assert len(FILE) == len(OTHER)


def load(town: Town, content: str | bytes | None = None, day: int = 1) -> StageOutcome:
    if content is not None:
        town.deliver(content)
    return town.loader.run(_day(day))["his.sor.etl_sor"]


def was_read(outcome: StageOutcome) -> bool:
    labels = [step.label for step in outcome.steps]
    assert ("read the delivery" in labels) != ("the file of the last load" in labels)
    return "read the delivery" in labels


@pytest.fixture
def town(warehouse: Database, tmp_path: Path) -> Town:
    """A table with three rows, loaded on day 1."""
    loaded = Town(warehouse, tmp_path)
    assert was_read(load(loaded, FILE))
    return loaded


def test_the_same_file_is_not_read_again_and_its_rows_are_counted(town: Town) -> None:
    before = town.history()
    outcome = load(town, FILE, day=2)
    assert not was_read(outcome)
    assert outcome.numbers == {TABLE: {"read": 3}}
    assert town.history() == before
    assert not was_read(load(town, FILE, day=3))


def test_a_file_of_the_same_size_with_another_content_is_read(town: Town) -> None:
    assert was_read(load(town, OTHER, day=2))
    assert town.active() == [("1", "An"), ("2", "Bas"), ("3", "Co")]
    assert not was_read(load(town, OTHER, day=3))
    assert was_read(load(town, FILE, day=4))
    assert town.active() == [("1", "An"), ("2", "Bo"), ("3", "Cor")]


def test_every_load_remembers_its_file(town: Town) -> None:
    load(town, FILE, day=2)
    load(town, "nr,naam\n1,An\n2,Bo\n2,Bob\n", day=3)
    path = str(town.folder / "patients.csv")
    assert town.rows(
        "select runid::text, path, size, length(sha256), rows, active from sys.delivered_files order by 1"
    ) == [
        ("1.00", path, 24, 64, 3, 3),
        ("3.00", path, 24, 64, 3, None),
    ]


def test_rows_that_somebody_deleted_by_hand_come_back(town: Town) -> None:
    town.warehouse.execute(f"delete from {TABLE} where nr = '2'")
    assert was_read(load(town, FILE, day=2))
    assert town.active() == [("1", "An"), ("2", "Bo"), ("3", "Cor")]


def test_rejected_rows_are_rejected_again(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    load(town, "nr,naam\n1,An\n1,Ans\n,Bo\n3,Cor\n")
    assert was_read(load(town, None, day=2))
    assert [(first, last) for _, _, _, first, last in town.exceptions()] == [("1.00", "2.00")] * 3


def test_a_rule_that_changes_judges_the_rows_of_the_same_file(town: Town) -> None:
    town.configure(pipe={"validations": (rule("no Bo", when="naam = 'Bo'"),)})
    assert not was_read(load(town, FILE, day=2))
    assert town.rejected() == [("2", "Bo", True, "no Bo", "1.00")]
    assert not was_read(load(town, FILE, day=3))
    assert [(first, last) for _, _, _, first, last in town.exceptions()] == [("2.00", "3.00")]
    town.configure(pipe={"validations": ()})
    assert not was_read(load(town, FILE, day=4))
    assert town.rejected() == []


def test_another_way_to_read_it_reads_it(town: Town) -> None:
    town.configure(source=CsvFile(path="patients.csv", null="Bo"))
    assert was_read(load(town, FILE, day=2))
    assert town.active() == [("1", "An"), ("2", None), ("3", "Cor")]
    town.configure(delivery=Delivery.DELTA)
    assert was_read(load(town, FILE, day=3))
    assert not was_read(load(town, FILE, day=4))


def test_a_run_that_is_cleared_compares_with_the_file_before_it(town: Town) -> None:
    load(town, OTHER, day=2)
    assert not was_read(load(town, FILE, day=2))
    assert town.history() == [
        (nr, naam, True, 0, "1.00", None, None) for nr, naam in (("1", "An"), ("2", "Bo"), ("3", "Cor"))
    ]
    assert was_read(load(town, OTHER, day=2))
    assert town.active() == [("1", "An"), ("2", "Bas"), ("3", "Co")]


def test_a_first_load_that_is_cleared_is_read(town: Town) -> None:
    assert was_read(load(town, FILE))
    assert town.history() == [
        (nr, naam, True, 0, "1.00", None, None) for nr, naam in (("1", "An"), ("2", "Bo"), ("3", "Cor"))
    ]


def test_rewinding_forgets_the_files_of_later_runs(town: Town) -> None:
    load(town, OTHER, day=2)
    list(
        rewind(
            town.loader.pipeline,
            Decimal("1.00"),
            LocalEnvironment(),
            now=datetime(2026, 1, 3),
            log=logging.getLogger(__name__),
        )
    )
    assert not was_read(load(town, FILE, day=2))
    assert town.active() == [("1", "An"), ("2", "Bo"), ("3", "Cor")]
    assert was_read(load(town, OTHER, day=3))


def test_a_load_that_failed_leaves_no_trace(town: Town) -> None:
    town.refuses("nr,naam\n1,An\n2,Bas,x\n")
    assert not was_read(load(town, FILE, day=2))


def test_a_run_with_debug_lets_the_next_one_compare(town: Town) -> None:
    town.configure(pipeline={"debug": True})
    assert was_read(load(town, OTHER, day=2))
    town.configure(pipeline={"debug": False})
    assert was_read(load(town, OTHER, day=3))
    assert not was_read(load(town, OTHER, day=4))


def test_a_hook_after_the_load_finds_every_delivery_in_the_temp_table(town: Town) -> None:
    (town.folder / "hooks.py").write_text("def count(context):\n    pass\n")
    town.configure(pipe={"after_sor": (Hook(target="hooks.py:count"),)})
    assert was_read(load(town, FILE, day=2))
    assert was_read(load(town, FILE, day=3))
    assert town.rows("select count(*) from sor_his.patient_temp") == [(3,)]


def test_a_fixed_width_file_and_another_encoding(warehouse: Database, tmp_path: Path) -> None:
    columns = (FixedColumn(name="nr", start=1, width=2), FixedColumn(name="naam", start=3, width=6))
    town = Town(warehouse, tmp_path, source=FixedWidthFile(path="patients.txt", columns=columns, encoding="cp1252"))
    town.deliver("01Renée \n02Bo    \n".encode("cp1252"), "patients.txt")
    assert was_read(load(town))
    assert not was_read(load(town, day=2))
    town.deliver("01Renéé \n02Bo    \n".encode("cp1252"), "patients.txt")
    assert was_read(load(town, day=3))
    assert town.active() == [("01", "Renéé"), ("02", "Bo")]

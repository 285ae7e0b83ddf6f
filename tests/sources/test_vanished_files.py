"""A file that ddl_sor has seen and etl_sor does not find: the task waits or fails as a whole, and nothing is loaded."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.errors import DeliveryMissing
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.model.staging import CsvFile, StagingTable
from staging.deliveries import Town

BEFORE = ["prepare", "his.sor.ddl_sor", "his.sor.check_mappings"]
ROWS = """
select (select count(*) from sor_his.patient_hstage), (select count(*) from sor_his.ward_hstage),
    (select count(*) from sys.stages where stage = 'his.sor.etl_sor' and state = 'done')"""


@pytest.mark.parametrize("on_errors", list(OnErrors))
def test_a_file_that_vanished_is_waited_for_and_everything_is_loaded_when_it_is_back(
    on_errors: OnErrors, warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path)
    ward = StagingTable(
        schema="sor_his",
        name="ward_hstage",
        source=CsvFile(path="wards.csv"),
        key=("nr",),
        wait_for=timedelta(minutes=5),
    )
    patient = town.loader.pipeline.pipes[0].tables[0]
    town.configure(pipe={"tables": (patient, ward)}, pipeline={"on_errors": on_errors})
    town.deliver("nr,naam\n1,Ann\n")
    town.deliver("nr,naam\n5,East\n", name="wards.csv")
    day = date(2026, 1, 1)
    town.loader.run(day, stages=BEFORE)
    (tmp_path / "wards.csv").rename(tmp_path / "elsewhere.csv")

    for _ in range(2):
        with pytest.raises(DeliveryMissing, match=r"his\.sor\.etl_sor: there is no file .*/wards\.csv") as caught:
            town.loader.run(day, stages=["his.sor.etl_sor"])
        assert caught.value.wait_for == timedelta(minutes=5)
        assert town.rows(ROWS) == [(0, 0, 0)]

    (tmp_path / "elsewhere.csv").rename(tmp_path / "wards.csv")
    town.loader.run(day, stages=["his.sor.etl_sor", "close"])
    assert town.rows(ROWS) == [(1, 1, 1)]


@pytest.mark.parametrize("on_errors", list(OnErrors))
def test_a_file_that_nobody_waits_for_fails_the_task_and_keeps_what_was_there(
    on_errors: OnErrors, warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path)
    town.configure(pipeline={"on_errors": on_errors})
    town.load("nr,naam\n1,Ann\n")
    day = date(2026, 1, 2)
    town.loader.run(day, stages=BEFORE)
    (tmp_path / "patients.csv").unlink()
    with pytest.raises(DeliveryMissing) as caught:
        town.loader.run(day, stages=["his.sor.etl_sor"])
    assert caught.value.wait_for == timedelta(0)
    assert town.active() == [("1", "Ann")]

"""How many rows a mapping may reject: counted against the limit of its staging table, before anything is committed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, from_source, hub, pipe, satellite
from pyelt_provider.model.limits import Amount, Limits, share
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.model.staging import Delivery

HEADERS = {"his_patient": "nr;name;born;weight"}
PATIENT = hub("Patient", satellite("Patient", name="text", born="date"), satellite("Patient", "Body", weight="int"))
MAPPING = entity("patient", name="name", born="born", Body__weight="weight")
GOOD = [f"{number};Ann;2000-01-31;70" for number in range(100, 110)]
BORN = "cannot make Default.born (date) of this row (SQLSTATE 22007)"
WEIGHT = "cannot make Body.weight (int) of this row (SQLSTATE 22P02)"
STATE = (
    "select (select count(*) from dv.patient_hub), (select count(*) from dv.patient_sat), "
    "(select count(*) from sys.rejected_rows), (select count(*) from dv._exceptions)"
)


def his(max_rejected: Amount, *mappings: object, delivery: Delivery = Delivery.FULL) -> Pipe:
    limits = Limits(min_rows=0, max_deleted=share(100), max_rejected=max_rejected)
    made = pipe("his", {"patient": HEADERS["his_patient"]}, *(mappings or (MAPPING,)))  # type: ignore[arg-type]
    tables = tuple(replace(table, limits=limits, delivery=delivery) for table in made.tables)
    return replace(made, tables=tables, limits=limits)


@pytest.mark.parametrize("max_rejected", [Amount(Decimal(2)), share(15)])
def test_a_mapping_that_rejects_more_than_the_limit_fails_and_leaves_the_vault_as_it_was(
    warehouse: Database, tmp_path: Path, max_rejected: Amount
) -> None:
    care = Care(warehouse, tmp_path, his(max_rejected), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=GOOD)
    before = care.rows(STATE)

    care.write(DAY_2, HEADERS, his_patient=[*GOOD, "1;Bob;x;70", "2;Cas;y;70", "3;Dirk;;heavy", "4;Eva;;71"])
    error = care.fails(DAY_2)

    assert (
        "mapping patient_hstage -> Patient (sor_his.patient_hstage): 3 of the 14 rows that were looked at are rejected and "
        f"were not before, more than the {max_rejected} of max_rejected: 2 x '{BORN}', 1 x '{WEIGHT}'"
    ) in error
    assert care.rows(STATE) == before

    care.run(DAY_2, allow_rejections=True)
    assert care.rows(STATE) == [(11, 11, 3, 3)]


def test_what_a_mapping_rejected_the_night_before_does_not_count_again_also_when_it_changed(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, his(Amount(Decimal(0))), hubs=[PATIENT])
    care.write(DAY_1, HEADERS, his_patient=[*GOOD, "1;Bob;x;70", "2;Cas;y;70"])
    assert "2 of the 12 rows" in care.fails(DAY_1)
    care.run(DAY_1, allow_rejections=True)
    care.deliver(DAY_2, HEADERS, his_patient=[*GOOD, "1;Bob;x;70", "2;Cas;z;70"])
    care.deliver(DAY_3, HEADERS, his_patient=[*GOOD, "1;Bob;;70", "2;Cas;z;72"])
    care.write(DAY_4, HEADERS, his_patient=[*GOOD, "1;Bob;x;70", "2;Cas;z;72"])
    error = care.fails(DAY_4)
    assert "1 of the 12 rows that were looked at are rejected and were not before" in error
    assert f"more than the 0 of max_rejected: 1 x '{BORN}'" in error


def test_of_a_delta_a_share_is_one_of_the_rows_that_came(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, his(share(40), delivery=Delivery.DELTA), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=GOOD)
    care.write(DAY_2, HEADERS, his_patient=["1;Bob;x;70", "2;Cas;;70"])
    assert "1 of the 2 rows that were looked at" in care.fails(DAY_2)
    care.write(DAY_2, HEADERS, his_patient=["1;Bob;x;70", "2;Cas;;70", "3;Dirk;;71"])
    care.run(DAY_2)


def test_a_mapping_from_a_query_has_the_limit_of_its_pipe(warehouse: Database, tmp_path: Path) -> None:
    query = from_source(
        MAPPING, name="bodies", query="select nr, name, born, weight from sor_his.patient_hstage where _active"
    )
    care = Care(warehouse, tmp_path, his(Amount(Decimal(0)), query), hubs=[PATIENT])
    care.write(DAY_1, HEADERS, his_patient=[*GOOD, "1;Bob;x;70"])
    error = care.fails(DAY_1)
    assert "mapping bodies: 1 of the 11 rows that were looked at are rejected" in error
    assert f"more than the 0 of max_rejected: 1 x '{BORN}'" in error
    care.run(DAY_1, allow_rejections=True)
    care.write(DAY_2, HEADERS, his_patient=[*GOOD, "1;Bob;x;70"])
    care.run(DAY_2)


def test_with_on_errors_log_the_other_mappings_commit(warehouse: Database, tmp_path: Path) -> None:
    ward = hub("Ward", satellite("Ward", name="text"))
    wards = entity("patient", "Ward", bk="weight", name="name")
    care = Care(
        warehouse, tmp_path, his(Amount(Decimal(0)), MAPPING, wards), hubs=[PATIENT, ward], on_errors=OnErrors.LOG
    )
    care.write(DAY_1, HEADERS, his_patient=[*GOOD, "1;Bob;x;heavy"])
    failures = care.run(DAY_1)["his.dv.etl_hubs"].failures
    assert [(name, "1 of the 11 rows" in error) for name, error in failures] == [("patient_hstage -> Patient", True)]
    assert care.rows("select bk from dv.ward_hub order by 1") == [("70",), ("heavy",)]
    assert care.rows(STATE) == [(0, 0, 0, 0)]

"""What a rejected row gave before is read with the filter of its time, not with that of today."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, from_source, hub, pipe, record_status, satellite
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.staging import Validation

HEADERS = {"his_patient": "nr;bsn;kind;born"}
PATIENT = hub("Patient", satellite("Patient", born="date"), record_status("Patient"))
NOT_OUT = "kind <> 'out'"
NO_OUT = Validation(table="patient_hstage", when="kind = 'out'", message="Out is out")
STATUS = (
    "select h.bk, s.record_status, s._runid::int from dv.patient_sat_record_status s "
    "join dv.patient_hub h using (_id) where s._active order by 1"
)


def his(condition: str | None, *validations: Validation) -> Pipe:
    mapping = entity("patient", bk="bsn", born="born")
    if condition is not None:
        mapping = from_source(mapping, filter=condition)
    return replace(pipe("his", {"patient": HEADERS["his_patient"]}, mapping), validations=validations)


def test_a_new_filter_does_not_end_what_a_rejected_row_gave_when_there_was_none(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, his(None), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;A;out;", "2;B;in;"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;C;out;31 feb", "2;B;in;"])
    assert care.rows(STATUS) == []

    care = Care(warehouse, tmp_path, his(NOT_OUT, NO_OUT), hubs=[PATIENT])
    care.deliver(DAY_3, HEADERS, his_patient=["1;C;out;31 feb", "2;B;in;"])
    assert care.rows(STATUS) == []
    care.deliver(DAY_4, HEADERS, his_patient=["1;D;out;31 feb", "2;B;in;2000-01-01"])
    assert care.rows(STATUS) == []


def test_a_removed_filter_keeps_nothing_that_it_had_left_away(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, his(NOT_OUT), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;A;out;", "2;A;in;"])
    care = Care(warehouse, tmp_path, his(None, NO_OUT), hubs=[PATIENT])
    care.deliver(DAY_2, HEADERS, his_patient=["1;C;out;", "2;A;in;"])
    assert care.rows(STATUS) == []
    care.deliver(DAY_3, HEADERS, his_patient=["1;C;out;"])
    assert care.rows(STATUS) == [("A", "deleted", 3)]


def test_a_filter_that_does_not_work_any_more_leaves_nothing_away(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(
        "create schema own; create function own.taken(text) returns boolean language sql as 'select true'"
    )
    care = Care(warehouse, tmp_path, his("own.taken(kind)"), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;A;out;", "2;B;in;"])
    warehouse.execute("drop function own.taken")
    care = Care(warehouse, tmp_path, his(NOT_OUT, NO_OUT), hubs=[PATIENT])
    care.deliver(DAY_2, HEADERS, his_patient=["1;C;out;", "2;B;in;"])
    assert care.rows(STATUS) == []

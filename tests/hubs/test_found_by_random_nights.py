"""Nights that random stories found: each once went wrong, and stands here as a literal."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, from_source, hub, pipe, record_status, satellite
from pyelt_provider.model.mapping import EntityMapping
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.staging import Validation

HEADER = "nr;doctor;beds;kind"
HEADERS = {"his_visit": HEADER, "crm_visit": HEADER, "his_shift": HEADER}
DOCTOR = hub("Doctor", satellite("Doctor", beds="integer"), record_status("Doctor"))
BAD = Validation(table="visit_hstage", when="kind = 'bad'", message="A bad row")
VISITS = entity("visit", "Doctor", bk="doctor", beds="beds")
FILTERED = from_source(VISITS, filter="kind <> 'out'")


def doctors(name: str, mapping: EntityMapping = VISITS) -> Pipe:
    return pipe(name, {"visit": HEADER}, mapping, validations=[BAD])


def gone(care: Care) -> list[tuple[object, ...]]:
    return care.rows(
        "select h.bk, s._source_system from dv.doctor_sat_record_status s join dv.doctor_hub h using (_id) "
        "where s._active and s.record_status = 'deleted' order by 1, 2"
    )


def test_a_row_that_the_filter_left_away_takes_no_key_with_it(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, doctors("his"), doctors("crm", FILTERED), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;A;1;good"], crm_visit=["1;A;1;out", "2;B;1;good"])
    care.deliver(DAY_2, HEADERS, his_visit=["1;A;1;good"], crm_visit=["2;B;1;good"])
    assert gone(care) == []


def test_a_new_filter_takes_no_key_away_that_comes_tonight_for_the_first_time(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, doctors("his"), doctors("crm"), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;A;1;good"], crm_visit=["1;B;1;good", "2;C;1;out"])
    care = Care(warehouse, tmp_path, doctors("his"), doctors("crm", FILTERED), hubs=[DOCTOR])
    care.deliver(DAY_2, HEADERS, his_visit=["1;A;1;good"], crm_visit=["1;B;1;good", "2;C;1;out", "3;A;1;out"])
    assert gone(care) == [("C", "crm")]


def test_a_rejected_row_keeps_nothing_that_the_filter_had_left_away_before(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, doctors("his", FILTERED), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;A;1;good", "2;A;1;good"])
    care.deliver(DAY_2, HEADERS, his_visit=["1;A;1;out", "2;A;1;good"])
    care.deliver(DAY_3, HEADERS, his_visit=["1;C;1;bad", "2;B;1;good"])
    assert gone(care) == [("A", "his")]


def test_a_changed_row_without_a_key_is_rejected_for_its_values_all_the_same(
    warehouse: Database, tmp_path: Path
) -> None:
    """Else it would depend on what else is compared whether its old key goes."""
    care = Care(warehouse, tmp_path, doctors("his"), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;A;1;good", "2;B;1;good"])
    care.deliver(DAY_2, HEADERS, his_visit=["1;;x;good", "2;;1;good"])
    assert gone(care) == [("B", "his")]
    care.deliver(DAY_3, HEADERS, his_visit=["1;;1;good", "2;;1;good"])
    assert gone(care) == [("A", "his"), ("B", "his")]


def test_keys_that_only_a_removed_mapping_gave_go(warehouse: Database, tmp_path: Path) -> None:
    shifts = entity("shift", "Doctor", bk="doctor", beds="beds")
    tables = {"visit": HEADER, "shift": HEADER}
    rows = {"his_visit": ["1;A;1;good"], "his_shift": ["1;A;1;good", "2;B;2;good"]}
    both = Care(warehouse, tmp_path, pipe("his", tables, VISITS, shifts), hubs=[DOCTOR])
    both.deliver(DAY_1, HEADERS, **rows)

    one = Care(warehouse, tmp_path, pipe("his", tables, VISITS), hubs=[DOCTOR])
    one.deliver(DAY_2, HEADERS, **rows)
    assert gone(one) == [("B", "his")]
    one.run(DAY_2)
    assert gone(one) == [("B", "his")]
    one.deliver(DAY_3, HEADERS, **rows)
    assert one.rows("select count(*) from sys.steps where label = 'collect rows' and runid >= 3") == [(0,)]

    both.deliver(DAY_4, HEADERS, **rows)
    assert gone(both) == []


def test_a_row_that_its_mapping_rejected_until_a_validation_did_so_too_keeps_no_key(
    warehouse: Database, tmp_path: Path
) -> None:
    rows = {"his_visit": ["1;A;x;out", "2;A;1;good"]}
    care = Care(warehouse, tmp_path, doctors("his"), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, **rows)
    stricter = Validation(table="visit_hstage", when="kind = 'out'", message="Out")
    care = Care(warehouse, tmp_path, pipe("his", {"visit": HEADER}, VISITS, validations=[stricter]), hubs=[DOCTOR])
    care.deliver(DAY_2, HEADERS, **rows)
    care.deliver(DAY_3, HEADERS, his_visit=["1;A;x;out", "2;B;1;good"])
    assert gone(care) == [("A", "his")]


def test_a_row_that_a_validation_lets_go_and_its_mapping_rejects_at_once_keeps_no_key(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, doctors("his"), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;A;1;good"])
    care.deliver(DAY_2, HEADERS, his_visit=["1;A;1;good", "2;A;x;bad"])

    care = Care(warehouse, tmp_path, pipe("his", {"visit": HEADER}, VISITS), hubs=[DOCTOR])
    care.deliver(DAY_3, HEADERS, his_visit=["1;B;1;good", "2;A;x;bad"])
    assert gone(care) == [("A", "his")]

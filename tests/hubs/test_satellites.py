"""Hubs and satellites over days: what is new, changed, unchanged, gone and back."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, hub, pipe, satellite

HEADERS = {"his_patient": "nr;name;born;phone;mobile"}
HIS = pipe(
    "his",
    {"patient": HEADERS["his_patient"]},
    entity(
        "patient",
        bk="nr || '_his'",
        name="name",
        born="born",
        Contact__number__home="phone",
        Contact__number__mobile="mobile",
    ),
)
HISTORY = """
select h.bk, s.name, s.born::text, s._revision, s._active, s._runid, s._finish_runid
from dv.patient_sat s join dv.patient_hub h using (_id) order by h.bk, s._revision
"""
CONTACT = """
select h.bk, s.type, s.number, s._revision, s._active
from dv.patient_sat_contact s join dv.patient_hub h using (_id) order by h.bk, s.type, s._revision
"""
STATUS = """
select h.bk, s.record_status, s._revision, s._active, s._runid
from dv.patient_sat_record_status s join dv.patient_hub h using (_id) order by h.bk, s._revision
"""


def test_new_keys_get_a_hub_row_and_first_revisions(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)

    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;2000-01-31;010;", "2;Bob;;;06"])

    assert care.rows(
        "select bk, type, _source_system, _runid, _valid, _insert_date is not null from dv.patient_hub order by bk"
    ) == [
        ("1_his", "patient", "his", 1, True, True),
        ("2_his", "patient", "his", 1, True, True),
    ]
    assert care.rows(HISTORY) == [
        ("1_his", "Ann", "2000-01-31", 0, True, 1, None),
        ("2_his", "Bob", None, 0, True, 1, None),
    ]
    assert care.rows("select distinct _source_system, _valid, _finish_date from dv.patient_sat") == [
        ("his", True, None)
    ]


def test_a_changed_value_closes_the_row_and_adds_a_revision(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;;", "2;Bob;;;"])

    care.deliver(DAY_2, HEADERS, his_patient=["1;Anna;;;", "2;Bob;;;", "3;Cas;;;"])

    assert care.rows(HISTORY) == [
        ("1_his", "Ann", None, 0, False, 1, 2),
        ("1_his", "Anna", None, 1, True, 2, None),
        ("2_his", "Bob", None, 0, True, 1, None),
        ("3_his", "Cas", None, 0, True, 2, None),
    ]
    assert care.rows(
        "select o._finish_date = n._insert_date from dv.patient_sat o, dv.patient_sat n "
        "where o._id = n._id and o._revision = 0 and n._revision = 1"
    ) == [(True,)]


def test_a_value_that_goes_a_b_a_gives_three_revisions(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    for day, name in ((DAY_1, "A"), (DAY_2, "B"), (DAY_3, "A")):
        care.deliver(day, HEADERS, his_patient=[f"1;{name};;;"])

    assert care.rows(HISTORY) == [
        ("1_his", "A", None, 0, False, 1, 2),
        ("1_his", "B", None, 1, False, 2, 3),
        ("1_his", "A", None, 2, True, 3, None),
    ]


def test_the_same_delivery_again_writes_nothing(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;2000-01-31;010;06"])
    before = (care.rows(HISTORY), care.rows(CONTACT), care.rows(STATUS), care.rows("select * from dv.patient_hub"))

    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;2000-01-31;010;06"])

    after = (care.rows(HISTORY), care.rows(CONTACT), care.rows(STATUS), care.rows("select * from dv.patient_hub"))
    assert after == before
    assert care.numbers(DAY_2) == {}


def test_the_stage_done_twice_in_one_run_is_the_same_as_once(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;010;", "2;Bob;;;", "3;Cas;;;06"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Anna;;020;", "3;Cas;;;", "4;Dirk;;;"])
    once = (care.rows(HISTORY), care.rows(CONTACT), care.rows(STATUS))

    care.run(DAY_2, stages=["his.dv.etl_hubs"])

    assert (care.rows(HISTORY), care.rows(CONTACT), care.rows(STATUS)) == once


def test_a_hybrid_satellite_has_a_row_for_each_type_that_has_a_value(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;010;06", "2;Bob;;;07", "3;Cas;;;"])

    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;;010;08", "2;Bob;;030;07", "3;Cas;;;"])

    assert care.rows(CONTACT) == [
        ("1_his", "home", "010", 0, True),
        ("1_his", "mobile", "06", 0, False),
        ("1_his", "mobile", "08", 1, True),
        ("2_his", "home", "030", 0, True),
        ("2_his", "mobile", "07", 0, True),
    ]


def test_a_hybrid_value_that_becomes_null_is_a_change(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;010;06"])

    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;;010;"])

    assert care.rows(CONTACT) == [
        ("1_his", "home", "010", 0, True),
        ("1_his", "mobile", "06", 0, False),
        ("1_his", "mobile", None, 1, True),
    ]


def test_a_key_that_goes_stays_and_its_status_says_deleted_until_it_is_back(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;;", "2;Bob;;;"])
    assert care.rows(STATUS) == []

    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;;;"])
    assert care.rows(STATUS) == [("2_his", "deleted", 0, True, 2)]
    assert care.rows(HISTORY)[1] == ("2_his", "Bob", None, 0, True, 1, None)

    care.deliver(DAY_3, HEADERS, his_patient=["1;Ann;;;", "2;Bob;;;"])
    care.deliver(DAY_4, HEADERS, his_patient=["1;Ann;;;"])

    assert care.rows(STATUS) == [
        ("2_his", "deleted", 0, False, 2),
        ("2_his", "active", 1, False, 3),
        ("2_his", "deleted", 2, True, 4),
    ]
    assert care.rows(HISTORY) == [
        ("1_his", "Ann", None, 0, True, 1, None),
        ("2_his", "Bob", None, 0, True, 1, None),
    ]


def test_rows_without_a_business_key_give_no_key_and_are_counted(warehouse: Database, tmp_path: Path) -> None:
    headers = {"his_visit": "visit;doctor;room"}
    doctor = hub("Doctor", satellite("Doctor", room="text"))
    his = pipe("his", {"visit": headers["his_visit"]}, entity("visit", "Doctor", bk="doctor", room="room"))
    care = Care(warehouse, tmp_path, his, hubs=[doctor])

    care.deliver(DAY_1, headers, his_visit=["1;D1;7", "2;;8", "3;;9"])
    care.deliver(DAY_2, headers, his_visit=["1;D1;7", "2;;8", "3;;10", "4;D2;1"])

    assert care.rows("select bk from dv.doctor_hub order by bk") == [("D1",), ("D2",)]
    assert care.numbers(DAY_1)["dv.doctor_hub"] == {"inserted": 1, "unkeyed": 2}
    assert care.numbers(DAY_2)["dv.doctor_hub"] == {"inserted": 1, "unkeyed": 1}


def test_a_stage_remembers_what_it_did_in_numbers(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;;", "2;Bob;;;06"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Anna;;;", "3;Cas;;;"])

    assert care.numbers(DAY_1) == {
        "dv.patient_hub": {"inserted": 2},
        "dv.patient_sat": {"inserted": 2},
        "dv.patient_sat_contact": {"inserted": 1},
        "sor_his.patient_hstage": {"read": 2},
    }
    assert care.numbers(DAY_2) == {
        "dv.patient_hub": {"inserted": 1},
        "dv.patient_sat": {"changed": 1, "inserted": 2},
        "dv.patient_sat_record_status": {"deleted": 1},
        "sor_his.patient_hstage": {"read": 4},
    }


def test_a_run_that_missed_days_takes_all_of_them_at_once(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;;", "2;Bob;;;"])
    for day, names in ((DAY_2, "Anna"), (DAY_3, "Annie")):
        care.write(day, HEADERS, his_patient=[f"1;{names};;;"])
        care.run(day, stages=["prepare", "his.sor.ddl_sor", "his.sor.etl_sor"])

    care.deliver(DAY_4, HEADERS, his_patient=["1;Annie;;;", "2;Bob;;;"])

    assert care.rows(HISTORY) == [
        ("1_his", "Ann", None, 0, False, 1, 4),
        ("1_his", "Annie", None, 1, True, 4, None),
        ("2_his", "Bob", None, 0, True, 1, None),
    ]
    assert care.rows(STATUS) == []


def test_columns_named_like_sql_words_load_as_any_other(warehouse: Database, tmp_path: Path) -> None:
    headers = {"his_patient": "nr;order;50%"}
    odd = hub("Patient", satellite("Patient", **{"order": "text", "type": "text", "50%": "integer"}))
    mapping = entity("patient", order="\"order\" || ' 100%'", type="'x'", **{"50%": 's."50%"'})
    care = Care(warehouse, tmp_path, pipe("his", {"patient": headers["his_patient"]}, mapping), hubs=[odd])

    care.deliver(DAY_1, headers, his_patient=["1;first;5"])
    care.deliver(DAY_2, headers, his_patient=["1;second;6"])

    assert care.rows(
        'select "order", type, "50%%", _revision from dv.patient_sat order by _revision'.replace("%%", "%")
    ) == [
        ("first 100%", "x", 5, 0),
        ("second 100%", "x", 6, 1),
    ]

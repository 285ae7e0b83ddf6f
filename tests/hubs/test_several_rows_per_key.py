"""Keys that several rows or several mappings give: who wins, what is counted, and when a key counts as gone."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, from_source, hub, pipe, record_status, satellite

HEADERS = {"his_visit": "visit;doctor;room;since"}
DOCTOR = hub("Doctor", satellite("Doctor", room="text"), record_status("Doctor"))
ROOMS = """
select h.bk, s.room, s._revision, s._active, s._runid
from dv.doctor_sat s join dv.doctor_hub h using (_id) order by 1, 3
"""
STATUS = """
select h.bk, s.record_status, s._active, s._runid
from dv.doctor_sat_record_status s join dv.doctor_hub h using (_id) order by 1, s._revision
"""


def test_without_a_preference_the_first_row_by_the_source_key_wins(warehouse: Database, tmp_path: Path) -> None:
    doctors = pipe("his", {"visit": HEADERS["his_visit"]}, entity("visit", "Doctor", bk="doctor", room="room"))
    care = Care(warehouse, tmp_path, doctors, hubs=[DOCTOR])

    care.deliver(DAY_1, HEADERS, his_visit=["2;D1;B;", "1;D1;A;", "3;D2;C;", "4;D2;C;"])
    assert care.rows(ROOMS) == [("D1", "A", 0, True, 1), ("D2", "C", 0, True, 1)]
    assert care.numbers(DAY_1)["dv.doctor_hub"] == {"differing": 1, "inserted": 2}

    # The winner goes: the next one is taken, although its own row did not change.
    care.deliver(DAY_2, HEADERS, his_visit=["2;D1;B;", "3;D2;C;", "4;D2;C;"])
    assert care.rows(ROOMS) == [("D1", "A", 0, False, 1), ("D1", "B", 1, True, 2), ("D2", "C", 0, True, 1)]
    assert care.rows(STATUS) == []


def test_a_row_that_wins_stays_the_winner_while_others_change(warehouse: Database, tmp_path: Path) -> None:
    doctors = pipe("his", {"visit": HEADERS["his_visit"]}, entity("visit", "Doctor", bk="doctor", room="room"))
    care = Care(warehouse, tmp_path, doctors, hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;D1;A;", "2;D1;B;"])

    care.deliver(DAY_2, HEADERS, his_visit=["1;D1;A;", "2;D1;Z;", "3;D1;Y;"])

    assert care.rows(ROOMS) == [("D1", "A", 0, True, 1)]
    assert care.numbers(DAY_2)["dv.doctor_hub"] == {"differing": 1}


def test_a_preference_chooses_the_winner(warehouse: Database, tmp_path: Path) -> None:
    mapping = entity("visit", "Doctor", bk="doctor", prefer="since::date desc nulls last", room="room")
    care = Care(warehouse, tmp_path, pipe("his", {"visit": HEADERS["his_visit"]}, mapping), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;D1;A;2025-01-01", "2;D1;B;2026-01-01", "3;D1;C;"])
    assert care.rows(ROOMS) == [("D1", "B", 0, True, 1)]

    care.deliver(DAY_2, HEADERS, his_visit=["1;D1;A;2026-02-01", "2;D1;B;2026-01-01", "3;D1;C;never"])

    assert care.rows(ROOMS) == [("D1", "B", 0, False, 1), ("D1", "A", 1, True, 2)]
    assert care.rows("select message from sys.rejected_rows") == [
        ("cannot make the order of preference of this row (SQLSTATE 22007)",)
    ]


def test_a_key_is_gone_when_its_last_row_goes_and_back_with_the_first(warehouse: Database, tmp_path: Path) -> None:
    doctors = pipe("his", {"visit": HEADERS["his_visit"]}, entity("visit", "Doctor", bk="doctor", room="room"))
    care = Care(warehouse, tmp_path, doctors, hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;D1;A;", "2;D1;A;", "3;D2;B;"])
    care.deliver(DAY_2, HEADERS, his_visit=["2;D1;A;", "3;D2;B;"])
    assert care.rows(STATUS) == []
    # The last visit of D1 moves to D2.
    care.deliver(DAY_3, HEADERS, his_visit=["2;D2;A;", "3;D2;B;"])
    assert care.rows(STATUS) == [("D1", "deleted", True, 3)]

    care.deliver(DAY_4, HEADERS, his_visit=["2;D2;A;", "3;D2;B;", "9;D1;A;"])

    assert care.rows(STATUS) == [("D1", "deleted", False, 3), ("D1", "active", True, 4)]


def test_a_row_that_the_filter_refuses_from_now_on_is_gone(warehouse: Database, tmp_path: Path) -> None:
    mapping = from_source(entity("visit", "Doctor", bk="doctor", room="room"), filter="room <> 'closed'")
    care = Care(warehouse, tmp_path, pipe("his", {"visit": HEADERS["his_visit"]}, mapping), hubs=[DOCTOR])
    care.deliver(DAY_1, HEADERS, his_visit=["1;D1;A;", "2;D2;closed;"])
    assert care.rows("select bk from dv.doctor_hub") == [("D1",)]

    care.deliver(DAY_2, HEADERS, his_visit=["1;D1;closed;", "2;D2;B;"])

    assert care.rows(STATUS) == [("D1", "deleted", True, 2)]
    assert care.rows(ROOMS) == [("D1", "A", 0, True, 1), ("D2", "B", 0, True, 2)]


TWO = {"his_patient": "nr;name;city", "his_address": "nr;city;street"}
PATIENT = hub("Patient", satellite("Patient", name="text", city="text", street="text"), record_status("Patient"))
NAMES = """
select h.bk, s.name, s.city, s.street, s._revision, s._active
from dv.patient_sat s join dv.patient_hub h using (_id) order by 1, 5
"""


def test_two_mappings_of_a_pipe_fill_one_satellite_together(warehouse: Database, tmp_path: Path) -> None:
    mappings = (entity("patient", name="name", city="city"), entity("address", city="city", street="street"))
    tables = {"patient": TWO["his_patient"], "address": TWO["his_address"]}
    care = Care(warehouse, tmp_path, pipe("his", tables, *mappings), hubs=[PATIENT])

    care.deliver(DAY_1, TWO, his_patient=["1;Ann;Utrecht", "2;Bob;Breda"], his_address=["1;Zeist;Kerkweg", "3;Ede;Dam"])
    assert care.rows(NAMES) == [
        ("1", "Ann", "Utrecht", "Kerkweg", 0, True),
        ("2", "Bob", "Breda", None, 0, True),
        ("3", None, "Ede", "Dam", 0, True),
    ]
    assert care.numbers(DAY_1)["dv.patient_sat"] == {"differing": 1, "inserted": 3}

    care.deliver(
        DAY_2, TWO, his_patient=["1;Ann;Utrecht", "2;Bob;Breda"], his_address=["1;Zeist;Dorpsweg", "3;Ede;Dam"]
    )
    assert care.rows(NAMES)[:2] == [
        ("1", "Ann", "Utrecht", "Kerkweg", 0, False),
        ("1", "Ann", "Utrecht", "Dorpsweg", 1, True),
    ]

    # One of the two does not give the key any more: what it gave stays, and the key is not gone.
    care.deliver(DAY_3, TWO, his_patient=["2;Bob;Breda"], his_address=["1;Zeist;Dorpsweg", "3;Ede;Dam"])
    assert care.rows(NAMES)[:3] == [
        ("1", "Ann", "Utrecht", "Kerkweg", 0, False),
        ("1", "Ann", "Utrecht", "Dorpsweg", 1, False),
        ("1", "Ann", "Zeist", "Dorpsweg", 2, True),
    ]
    assert care.rows("select count(*) from dv.patient_sat_record_status") == [(0,)]

    care.deliver(DAY_4, TWO, his_patient=["2;Bob;Breda"], his_address=["3;Ede;Dam"])
    assert care.rows(
        "select h.bk, record_status from dv.patient_sat_record_status join dv.patient_hub h using (_id)"
    ) == [("1", "deleted")]


def test_two_mappings_on_one_satellite_loaded_again_write_nothing(warehouse: Database, tmp_path: Path) -> None:
    mappings = (entity("patient", name="name", city="city"), entity("address", city="city", street="street"))
    tables = {"patient": TWO["his_patient"], "address": TWO["his_address"]}
    care = Care(warehouse, tmp_path, pipe("his", tables, *mappings), hubs=[PATIENT])
    for day in (DAY_1, DAY_2):
        care.deliver(day, TWO, his_patient=["1;Ann;Utrecht"], his_address=["1;Zeist;Kerkweg"])

    assert care.rows(NAMES) == [("1", "Ann", "Utrecht", "Kerkweg", 0, True)]

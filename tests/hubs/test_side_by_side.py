"""Several pipes load the same hub and satellite: each keeps its own history, also when they load at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, PATIENT, Care, entity, pipe

HEADERS = {"his_patient": "nr;name", "crm_relation": "nr;name"}
HIS = pipe("his", {"patient": HEADERS["his_patient"]}, entity("patient", name="name"))
CRM = pipe("crm", {"relation": HEADERS["crm_relation"]}, entity("relation", name="name"))
BEFORE_HUBS = ["prepare", "ddl_dv", *(f"{p}.sor.{s}" for p in ("his", "crm") for s in ("ddl_sor", "etl_sor"))]
HUB_STAGES = ("his.dv.etl_hubs", "crm.dv.etl_hubs")


def load_hubs_at_once(care: Care, day: date) -> None:
    care.run(day, stages=BEFORE_HUBS)
    with ThreadPoolExecutor(2) as workers:
        for outcome in [workers.submit(care.run, day, stages=[stage]) for stage in HUB_STAGES]:
            outcome.result(timeout=120)


def test_two_pipes_on_one_satellite_keep_their_own_history(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, CRM)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann"], crm_relation=["1;A. Jansen"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann"], crm_relation=["1;A. Jansen-Smit"])
    care.deliver(DAY_3, HEADERS, his_patient=[], crm_relation=["1;A. Jansen-Smit"])

    assert care.rows("select bk from dv.patient_hub") == [("1",)]
    assert care.rows("select _source_system, name, _revision, _active, _runid from dv.patient_sat order by 1, 3") == [
        ("crm", "A. Jansen", 0, False, 1),
        ("crm", "A. Jansen-Smit", 1, True, 2),
        ("his", "Ann", 0, True, 1),
    ]
    assert care.rows("select _source_system, record_status, _runid from dv.patient_sat_record_status") == [
        ("his", "deleted", 3)
    ]


def test_the_order_of_pipes_does_not_matter_for_the_vault(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, CRM, HIS)
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann", "2;Bob"], crm_relation=["2;B. de Vries", "3;C. Bakker"])

    assert care.rows(
        "select h.bk, s._source_system, s.name from dv.patient_sat s join dv.patient_hub h using (_id) order by 1, 2"
    ) == [
        ("1", "his", "Ann"),
        ("2", "crm", "B. de Vries"),
        ("2", "his", "Bob"),
        ("3", "crm", "C. Bakker"),
    ]


def test_pipes_that_bring_the_same_new_keys_at_the_same_moment_make_each_key_once(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, HIS, CRM)
    care.deliver(DAY_1, HEADERS, his_patient=["x;seed"], crm_relation=["x;seed"])
    numbers = range(3000)
    care.write(
        DAY_2,
        HEADERS,
        his_patient=["x;seed", *(f"{n};his {n}" for n in numbers)],
        crm_relation=["x;seed", *(f"{n};crm {n}" for n in reversed(numbers))],
    )

    load_hubs_at_once(care, DAY_2)

    assert care.rows("select count(*), count(distinct bk) from dv.patient_hub") == [(3001, 3001)]
    assert care.rows(
        "select s._source_system, count(*), count(*) filter (where s.name = s._source_system || ' ' || h.bk) "
        "from dv.patient_sat s join dv.patient_hub h using (_id) group by 1 order by 1"
    ) == [("crm", 3001, 3000), ("his", 3001, 3000)]


def test_pipes_that_load_an_empty_hub_in_bulk_at_the_same_moment_do_not_block_each_other_for_good(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, HIS, CRM)
    numbers = range(25_000)
    care.write(
        DAY_1,
        HEADERS,
        his_patient=[f"{n};his {n}" for n in numbers],
        crm_relation=[f"{n};crm {n}" for n in reversed(numbers)],
    )

    load_hubs_at_once(care, DAY_1)

    assert care.rows("select count(*), count(distinct bk) from dv.patient_hub") == [(25_000, 25_000)]
    assert care.rows("select _source_system, count(*) from dv.patient_sat where _active group by 1 order by 1") == [
        ("crm", 25_000),
        ("his", 25_000),
    ]


def test_a_first_load_in_bulk_leaves_the_indexes_and_keys_that_the_tables_had(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    headers = {"his_patient": HEADERS["his_patient"]}
    care.write(DAY_1, headers, his_patient=[f"{n};his {n}" for n in range(25_000)])
    care.run(DAY_1, stages=BEFORE_HUBS)
    keys = (
        "select conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) from pg_constraint "
        "where connamespace = 'dv'::regnamespace and contype <> 'n' order by 1, 2"
    )
    indexes = "select indexname::text, indexdef from pg_indexes where schemaname = 'dv' order by 1"
    before = (care.rows(keys), care.rows(indexes))

    care.run(DAY_1, stages=["his.dv.etl_hubs"])

    assert (care.rows(keys), care.rows(indexes)) == before
    assert care.rows("select count(*), min(_id), max(_id) from dv.patient_hub") == [(25_000, 1, 25_000)]
    care.deliver(DAY_2, headers, his_patient=[f"{n};his {n}" for n in range(25_001)])
    assert care.rows("select count(*), max(_id) from dv.patient_hub") == [(25_001, 25_001)]

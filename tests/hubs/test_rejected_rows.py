"""Rows that a mapping cannot use: validated away, or with a value that cannot be cast; and what happens when they are mended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, from_source, hub, pipe, satellite
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.model.place import Place
from pyelt_provider.model.staging import Validation

HEADERS = {"his_patient": "nr;name;born;weight"}
PATIENT = hub(
    "Patient",
    satellite("Patient", name="text", born="date"),
    satellite("Patient", "Body", weight="numeric(4,1)"),
)
MAPPING = entity("patient", name="name", born="born", Body__weight="weight")
HIS = pipe("his", {"patient": HEADERS["his_patient"]}, MAPPING)
VAULT = """
select h.bk, s.name, s.born::text, b.weight::text, s._revision
from dv.patient_hub h left join dv.patient_sat s on s._id = h._id and s._active
left join dv.patient_sat_body b on b._id = h._id and b._active order by 1
"""
REJECTED = "select row_id, message, runid, freed_runid from sys.rejected_rows order by id"
EXCEPTIONS = (
    "select _runid, _last_runid, _source_system, mapping, schema, table_name, message, key_fields::json ->> 'nr' "
    "from dv._exceptions order by _id"
)


def test_a_row_that_fails_a_validation_leaves_the_vault_as_it_was(warehouse: Database, tmp_path: Path) -> None:
    his = replace(HIS, validations=(Validation(table="patient_hstage", when="name = '?'", message="No name"),))
    care = Care(warehouse, tmp_path, his, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;", "2;?;;"])
    assert care.rows(VAULT) == [("1", "Ann", None, None, 0)]

    care.deliver(DAY_2, HEADERS, his_patient=["1;?;;70", "2;?;;"])
    assert care.rows(VAULT) == [("1", "Ann", None, None, 0)]

    care.deliver(DAY_3, HEADERS, his_patient=["1;Anna;;70", "2;Bob;;"])
    assert care.rows(VAULT) == [("1", "Anna", None, "70.0", 1), ("2", "Bob", None, None, 0)]


def test_a_value_that_cannot_be_cast_rejects_its_row_and_the_others_flow(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])

    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;2000-01-31;70", "2;Bob;31 feb;80", "3;Cas;;9999.9", "4;Dirk;;"])

    assert care.rows(VAULT) == [("1", "Ann", "2000-01-31", "70.0", 0), ("4", "Dirk", None, None, 0)]
    assert care.rows(REJECTED) == [
        (2, "cannot make Default.born (date) of this row (SQLSTATE 22007)", 1, None),
        (3, "cannot make Body.weight (numeric(4,1)) of this row (SQLSTATE 22003)", 1, None),
    ]
    born = "cannot make Default.born (date) of this row (SQLSTATE 22007)"
    weight = "cannot make Body.weight (numeric(4,1)) of this row (SQLSTATE 22003)"
    assert care.rows(EXCEPTIONS) == [
        (1, 1, "his", "patient_hstage -> Patient", "sor_his", "patient_hstage", born, "2"),
        (1, 1, "his", "patient_hstage -> Patient", "sor_his", "patient_hstage", weight, "3"),
    ]
    assert care.rows("select fields::jsonb from dv._exceptions where message like '%%born%%'".replace("%%", "%")) == [
        ({"name": "Bob", "born": "31 feb", "weight": "80"},)
    ]
    assert care.numbers(DAY_1)["sor_his.patient_hstage"] == {"read": 2, "rejected": 2}


def test_a_rejected_row_keeps_what_the_vault_had_and_stands_in_the_exceptions_once(
    warehouse: Database, tmp_path: Path
) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;2000-01-31;70", "2;Bob;;80"])
    for day in (DAY_2, DAY_3):
        care.deliver(day, HEADERS, his_patient=["1;Anna;x;71", "2;Bob;;81"])

    assert care.rows(VAULT) == [("1", "Ann", "2000-01-31", "70.0", 0), ("2", "Bob", None, "81.0", 0)]
    assert [row[:2] for row in care.rows(EXCEPTIONS)] == [(2, 3)]
    assert [row[2:] for row in care.rows(REJECTED)] == [(2, None)]


def test_a_mended_row_is_freed_and_loaded(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;x;70", "2;Bob;;x"])

    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;2000-01-31;70", "2;Bob;;x"])

    assert care.rows(VAULT) == [("1", "Ann", "2000-01-31", "70.0", 0)]
    assert [row[2:] for row in care.rows(REJECTED)] == [(1, 2), (1, None)]


def test_a_mended_mapping_frees_rows_that_did_not_change(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;70 kg", "2;Bob;;80"])
    assert care.rows(VAULT) == [("2", "Bob", None, "80.0", 0)]
    mended = entity("patient", name="name", born="born", Body__weight="replace(weight, ' kg', '')")
    care = Care(warehouse, tmp_path, replace(HIS, entities=(mended,)), hubs=[PATIENT])

    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;;70 kg", "2;Bob;;80"])

    assert care.rows(VAULT) == [("1", "Ann", None, "70.0", 0), ("2", "Bob", None, "80.0", 0)]
    assert [row[2:] for row in care.rows(REJECTED)] == [(1, 2)]


def test_a_rejected_row_that_is_deleted_is_freed(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;x;70", "2;Bob;;"])
    care.deliver(DAY_2, HEADERS, his_patient=["2;Bob;;"])

    assert [row[2:] for row in care.rows(REJECTED)] == [(1, 2)]


def test_the_stage_done_twice_rejects_the_same_rows_once(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;x;70", "2;Bob;;80"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;2000-01-31;70", "2;Bob;y;80", "3;Cas;;z"])
    once = (care.rows(VAULT), [row[1:] for row in care.rows(REJECTED)], care.rows(EXCEPTIONS))

    care.run(DAY_2, stages=["his.dv.etl_hubs"])

    assert (care.rows(VAULT), [row[1:] for row in care.rows(REJECTED)], care.rows(EXCEPTIONS)) == once


def test_a_text_that_is_too_long_for_its_column_is_rejected_not_cut(warehouse: Database, tmp_path: Path) -> None:
    short = hub("Patient", satellite("Patient", name="varchar(4)", born="char(3)"))
    mapping = entity("patient", name="name", born="born")
    care = Care(warehouse, tmp_path, pipe("his", {"patient": HEADERS["his_patient"]}, mapping), hubs=[short])

    care.deliver(DAY_1, HEADERS, his_patient=["1;Anna;abc;", "2;Robert;;", "3;Cas;abcd;"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Anna;abc;", "2;Robert;;", "3;Cas;ab;"])

    assert care.rows(
        "select h.bk, s.name, s.born, s._runid from dv.patient_sat s join dv.patient_hub h using (_id)"
    ) == [
        ("1", "Anna", "abc", 1),
        ("3", "Cas", "ab ", 2),
    ]


def test_a_filter_or_a_key_that_fails_for_a_row_rejects_that_row_only(warehouse: Database, tmp_path: Path) -> None:
    mapping = from_source(entity("patient", bk="nr::int + 1000", name="name"), filter="weight::int > 50")
    care = Care(warehouse, tmp_path, pipe("his", {"patient": HEADERS["his_patient"]}, mapping), hubs=[PATIENT])

    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;;70", "2;Bob;;heavy", "x;Cas;;80", "4;Dirk;;10", "y;Eva;;10"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Anna;;70", "2;Bob;;90", "x;Cas;;80", "4;Dirk;;60", "y;Eva;;10"])

    assert care.rows(
        "select h.bk, s.name, s._runid from dv.patient_sat s join dv.patient_hub h using (_id) where _active order by 1"
    ) == [("1001", "Anna", 2), ("1002", "Bob", 2), ("1004", "Dirk", 2)]
    assert [row[1:] for row in care.rows(REJECTED)] == [
        ("cannot make the filter or the joins of this row (SQLSTATE 22P02)", 1, 2),
        ("cannot make the business key of this row (SQLSTATE 22P02)", 1, None),
    ]


def test_a_failing_value_of_a_query_is_rejected_too(warehouse: Database, tmp_path: Path) -> None:
    mapping = from_source(MAPPING, query="select nr, name, born, weight from sor_his.patient_hstage where _active")
    care = Care(warehouse, tmp_path, pipe("his", {"patient": HEADERS["his_patient"]}, mapping), hubs=[PATIENT])

    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;x;70", "2;Bob;;80"])
    assert care.rows(VAULT) == [("2", "Bob", None, "80.0", 0)]
    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;;70", "2;Bob;y;81"])

    assert care.rows(VAULT) == [("1", "Ann", None, "70.0", 0), ("2", "Bob", None, "80.0", 0)]
    assert [row[2:] for row in care.rows(REJECTED)] == [(1, 2), (2, None)]


def test_many_rows_with_some_failing_ones_are_found_in_blocks(warehouse: Database, tmp_path: Path) -> None:
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    rows = [f"{n};p{n};{'x' if n % 700 == 0 else '2000-01-01'};" for n in range(1, 3001)]

    care.deliver(DAY_1, HEADERS, his_patient=rows)

    assert care.rows("select count(*) from dv.patient_sat") == [(2996,)]
    assert care.rows("select key_fields::json ->> 'nr' from dv._exceptions order by _id") == [
        ("700",),
        ("1400",),
        ("2100",),
        ("2800",),
    ]


@pytest.mark.parametrize("on_errors", [OnErrors.THROW, OnErrors.LOG])
def test_a_bad_expression_fails_its_mapping_and_says_where(
    warehouse: Database, tmp_path: Path, on_errors: OnErrors
) -> None:
    bad = entity("patient", "Ward", bk="ward", name="nr")
    ward = hub("Ward", satellite("Ward", name="text"))
    good = pipe("his", {"patient": HEADERS["his_patient"]}, MAPPING, bad)
    care = Care(warehouse, tmp_path, good, hubs=[PATIENT, ward], on_errors=on_errors)
    care.write(DAY_1, HEADERS, his_patient=["1;Ann;;70"])
    stages = ["prepare", "ddl_dv", "his.sor.ddl_sor", "his.sor.etl_sor", "his.dv.etl_hubs"]

    if on_errors is OnErrors.THROW:
        message = care.fails(DAY_1, stages=stages)
        expected: list[tuple[object, ...]] = []
    else:
        failures = care.run(DAY_1, stages=stages)["his.dv.etl_hubs"].failures
        assert [mapping for mapping, _ in failures] == ["patient_hstage -> Ward"]
        message = failures[0][1]
        expected = [("1", "Ann", None, "70.0", 0)]

    assert "patient_hstage -> Ward" in message
    assert 'column "ward" does not exist' in message
    assert care.rows(VAULT) == expected


def test_with_on_errors_log_the_failed_mapping_takes_its_rows_the_next_time(
    warehouse: Database, tmp_path: Path
) -> None:
    ward = hub("Ward", satellite("Ward", name="text"))
    stages = ["prepare", "ddl_dv", "his.sor.ddl_sor", "his.sor.etl_sor", "his.dv.etl_hubs"]
    for day, bk in ((DAY_1, "ward"), (DAY_2, "born")):
        his = pipe("his", {"patient": HEADERS["his_patient"]}, MAPPING, entity("patient", "Ward", bk=bk, name="weight"))
        care = Care(warehouse, tmp_path, his, hubs=[PATIENT, ward], on_errors=OnErrors.LOG)
        care.write(day, HEADERS, his_patient=["1;Ann;;70", "2;Bob;2000-01-01;W2"][: 1 if day == DAY_1 else 2])
        care.run(day, stages=stages)

    assert care.rows("select bk, _runid from dv.ward_hub") == [("2000-01-01", 2)]
    assert care.rows("select bk, _runid from dv.patient_hub order by 1") == [("1", 1)]
    assert DAY_4


def test_a_value_that_its_column_cannot_hold_whole_rejects_the_row_and_is_never_cut(
    warehouse: Database, tmp_path: Path
) -> None:
    """Digits behind the point are another matter: they are rounded, as PostgreSQL does whenever it stores a number."""
    limited = satellite(
        "Patient", v="varchar(3)", c="char(3)", one="char", b="bit(3)", vb="varbit(3)", n="numeric(4,1)"
    )
    columns = {"v": "v", "c": "c", "one": "one", "b": "b", "vb": "vb", "n": "n"}
    headers = {"his_patient": "nr;v;c;one;b;vb;n"}
    his = pipe("his", {"patient": headers["his_patient"]}, entity("patient", **columns))
    care = Care(warehouse, tmp_path, his, hubs=[hub("Patient", limited)])

    care.deliver(
        DAY_1,
        headers,
        his_patient=[
            "1;abc;abc;a;101;101;123.44",
            "2;abcd;;;;;",
            "3;;abcd;;;;",
            "4;;;ab;;;",
            "5;;;;1011;;",
            "6;;;;;1011;",
            "7;;;;;;1234.5",
            "8;a;a;;;1;0.05",
            "9;;;;10;;",
        ],
    )

    assert care.rows(
        "select h.bk, v, c, one, b, vb, n::text from dv.patient_sat join dv.patient_hub h using (_id) order by 1"
    ) == [("1", "abc", "abc", "a", "101", "101", "123.4"), ("8", "a", "a  ", None, None, "1", "0.1")]
    assert care.rows("select key_fields::json ->> 'nr', message from dv._exceptions order by 1") == [
        ("2", "cannot make Default.v (varchar(3)) of this row (SQLSTATE 22001)"),
        ("3", "cannot make Default.c (char(3)) of this row (SQLSTATE 22001)"),
        ("4", "cannot make Default.one (char) of this row (SQLSTATE 22001)"),
        ("5", "cannot make Default.b (bit(3)) of this row (SQLSTATE 22026)"),
        ("6", "cannot make Default.vb (varbit(3)) of this row (SQLSTATE 22001)"),
        ("7", "cannot make Default.n (numeric(4,1)) of this row (SQLSTATE 22003)"),
        ("9", "cannot make Default.b (bit(3)) of this row (SQLSTATE 22026)"),
    ]


def test_an_error_of_the_database_names_the_mapping_with_its_file_and_line(warehouse: Database, tmp_path: Path) -> None:
    mapping = replace(entity("patient", name="gone(name)"), place=Place("pipes/his.yaml", 12))
    care = Care(warehouse, tmp_path, replace(HIS, entities=(mapping,)), hubs=[PATIENT])
    care.write(DAY_1, HEADERS, his_patient=["1;Ann;;"])
    everything = [stage.id for stage in care.plan().stages if str(stage.kind) != "check_mappings"]

    error = care.fails(DAY_1, stages=everything)

    assert "[patient_hstage -> Patient] (pipes/his.yaml:12): 42883 undefined function" in error

"""Mappings that change, that read joins, views and queries, that map subtypes, and that fill columns in staging."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from hubs.care import DAY_1, DAY_2, DAY_3, DAY_4, Care, entity, from_source, hub, pipe, record_status, satellite
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.domain import Satellite
from pyelt_provider.model.pipe import DatabaseFunction

HEADERS = {"his_patient": "nr;name;city"}
PATIENT = hub("Patient", satellite("Patient", name="text", city="text"))
NAMES = """
select h.bk, s.name, s.city, s._revision, s._active, s._runid
from dv.patient_sat s join dv.patient_hub h using (_id) order by 1, 4
"""


def his(*entities: Any, **more: Any) -> Any:
    return pipe("his", {"patient": HEADERS["his_patient"]}, *entities, **more)


def test_a_changed_mapping_compares_all_rows_once(warehouse: Database, tmp_path: Path) -> None:
    rows = ["1;Ann;Utrecht", "2;BOB;Breda"]
    Care(warehouse, tmp_path, his(entity("patient", name="name")), hubs=[PATIENT]).deliver(
        DAY_1, HEADERS, his_patient=rows
    )
    care = Care(warehouse, tmp_path, his(entity("patient", name="upper(name)", city="city")), hubs=[PATIENT])
    care.deliver(DAY_2, HEADERS, his_patient=rows)
    assert care.rows(NAMES) == [
        ("1", "Ann", None, 0, False, 1),
        ("1", "ANN", "Utrecht", 1, True, 2),
        ("2", "BOB", None, 0, False, 1),
        ("2", "BOB", "Breda", 1, True, 2),
    ]

    care.deliver(DAY_3, HEADERS, his_patient=rows)
    assert care.rows("select max(_runid) from dv.patient_sat") == [(2,)]
    assert care.numbers(DAY_3) == {}


@pytest.mark.parametrize("more", [{}, {"more": "city"}], ids=["one value", "two values"])
def test_a_changed_mapping_notes_once_that_a_key_with_a_long_past_is_gone(
    warehouse: Database, tmp_path: Path, more: dict[str, str]
) -> None:
    patient = hub(
        "Patient",
        satellite("Patient", name="text", city="text", more="text"),
        record_status("Patient"),
    )
    before = Care(warehouse, tmp_path, his(entity("patient", name="name")), hubs=[patient])
    before.deliver(DAY_1, HEADERS, his_patient=["1;Ann;", "2;Bob;"])
    before.deliver(DAY_2, HEADERS, his_patient=["1;Anna;", "2;Bob;"])
    before.write(DAY_3, HEADERS, his_patient=["2;Bob;"])
    care = Care(warehouse, tmp_path, his(entity("patient", name="upper(name)", **more)), hubs=[patient])
    care.run(DAY_3)

    status = "select bk, s._runid, record_status from dv.patient_sat_record_status s join dv.patient_hub h using (_id)"
    assert care.rows(status) == [("1", 3, "deleted")]


def test_a_changed_function_body_compares_all_rows_once(warehouse: Database, tmp_path: Path) -> None:
    for day, result in ((DAY_1, "'a ' || $1"), (DAY_2, "'b ' || $1"), (DAY_3, "'b ' || $1")):
        text = f"create or replace function sor_his.label(text) returns text language sql as $$ select {result} $$"
        function = DatabaseFunction(name="sor_his.label", sql=text, file="functions/label.sql")
        care = Care(
            warehouse,
            tmp_path,
            his(entity("patient", name="sor_his.label(name)"), functions=[function]),
            hubs=[PATIENT],
        )
        care.deliver(day, HEADERS, his_patient=["1;Ann;Utrecht"])

    assert care.rows(NAMES) == [("1", "a Ann", None, 0, False, 1), ("1", "b Ann", None, 1, True, 2)]


def test_a_changed_business_key_is_refused_until_the_run_allows_it(warehouse: Database, tmp_path: Path) -> None:
    Care(warehouse, tmp_path, his(entity("patient", name="name")), hubs=[PATIENT]).deliver(
        DAY_1, HEADERS, his_patient=["1;Ann;"]
    )
    care = Care(warehouse, tmp_path, his(entity("patient", bk="'his_' || nr", name="name")), hubs=[PATIENT])
    care.write(DAY_2, HEADERS, his_patient=["1;Ann;"])

    message = care.fails(DAY_2)
    assert "patient_hstage -> Patient" in message
    assert "business key expression was changed" in message
    assert "allow_key_change" in message
    assert care.rows("select bk from dv.patient_hub") == [("1",)]

    care.run(DAY_2, allow_key_change=True)
    care.deliver(DAY_3, HEADERS, his_patient=["1;Ann;"])
    assert care.rows("select bk from dv.patient_hub order by 1") == [("1",), ("his_1",)]


def test_blanks_in_a_business_key_expression_do_not_change_it(warehouse: Database, tmp_path: Path) -> None:
    for day, bk in ((DAY_1, "nr||'_his'"), (DAY_2, "nr || '_his' -- the number")):
        care = Care(warehouse, tmp_path, his(entity("patient", bk=bk, name="name")), hubs=[PATIENT])
        care.deliver(day, HEADERS, his_patient=["1;Ann;"])

    assert care.rows("select bk from dv.patient_hub") == [("1_his",)]


ORGANISATIONS = {"his_org": "nr;name;agb"}
ORGANISATION_SATELLITE = satellite("Organisation", name="text")


def organisations(*entities: Any) -> dict[str, Any]:
    organisation = hub("Organisation", ORGANISATION_SATELLITE, record_status("Organisation"))
    care_provider = hub(
        "CareProvider",
        Satellite(schema="dv", owner="CareProvider", name="Agb", columns=(satellite("X", agb="text").columns[0],)),
        *organisation.satellites,
        extends="Organisation",
    )
    return {"hubs": [organisation, care_provider]}


def test_the_more_specific_type_of_a_key_wins_also_when_it_comes_later(warehouse: Database, tmp_path: Path) -> None:
    providers = from_source(entity("org", "CareProvider", Agb__agb="agb"), filter="agb is not null")
    everyone = entity("org", "Organisation", name="name")
    care = Care(
        warehouse, tmp_path, pipe("his", {"org": ORGANISATIONS["his_org"]}, everyone, providers), **organisations()
    )

    care.deliver(DAY_1, ORGANISATIONS, his_org=["1;Ziekenhuis;A1", "2;Gemeente;", "3;Praktijk;"])
    assert care.rows("select bk, type from dv.organisation_hub order by 1") == [
        ("1", "care_provider"),
        ("2", "organisation"),
        ("3", "organisation"),
    ]

    care.deliver(DAY_2, ORGANISATIONS, his_org=["1;Ziekenhuis;", "2;Gemeente;", "3;Praktijk;A3"])
    expected = [("1", "care_provider", 1), ("2", "organisation", 1), ("3", "care_provider", 1)]
    assert care.rows("select bk, type, _runid from dv.organisation_hub order by 1") == expected
    assert care.rows(
        "select h.bk, s.agb from dv.care_provider_sat_agb s join dv.organisation_hub h using (_id) order by 1"
    ) == [("1", "A1"), ("3", "A3")]
    assert care.numbers(DAY_2)["dv.organisation_hub"] == {"changed": 1}

    care.run(DAY_2, stages=["his.dv.etl_hubs"])
    assert care.rows("select bk, type, _runid from dv.organisation_hub order by 1") == expected
    care.run(DAY_1 if False else DAY_2, stages=["his.sor.etl_sor"])
    assert care.rows("select bk, type from dv.organisation_hub order by 1")[2] == ("3", "organisation")


def test_a_join_is_compared_in_full_unless_it_says_what_it_reads(warehouse: Database, tmp_path: Path) -> None:
    headers = {"his_patient": "nr;name;city", "his_city": "code;title"}
    join = {"join": "left join sor_his.city_hstage c on c.code = s.city and c._active"}
    mapping = entity("patient", name="s.name", city="c.title")
    for reads in ((), (TableName("sor_his", "city_hstage"),)):
        his_pipe = pipe(
            "his",
            {"patient": headers["his_patient"], "city": headers["his_city"]},
            from_source(mapping, **join, reads=reads),
        )
        care = Care(warehouse, tmp_path, his_pipe, hubs=[PATIENT])
        first, second, third = ((DAY_1, DAY_2, DAY_3), (DAY_4, DAY_4.replace(day=5), DAY_4.replace(day=6)))[bool(reads)]
        title = "R" if reads else "U"
        care.deliver(first, headers, his_patient=["1;Ann;u"], his_city=[f"u;{title}trecht"])
        care.deliver(second, headers, his_patient=["1;Ann;u"], his_city=[f"u;{title}TRECHT"])
        care.deliver(third, headers, his_patient=["1;Ann;u"], his_city=[f"u;{title}TRECHT"])
        full = [label for (label,) in care.rows("select label from sys.steps where runid = %s", (third.day,))]
        assert ("collect rows" in full) == (not reads)

    assert [row[2:4] for row in care.rows(NAMES)] == [("Utrecht", 0), ("UTRECHT", 1), ("Rtrecht", 2), ("RTRECHT", 3)]


def test_a_view_of_the_vault_gives_keys_of_another_hub_in_the_same_run(warehouse: Database, tmp_path: Path) -> None:
    city = hub("City", satellite("City", people="integer"), record_status("City"))
    from_view = from_source(
        replace(entity("patient", "City", bk="default_city", people="count(*) over (partition by default_city)")),
        name="patient_view -> City",
        query="select city as default_city from dv.patient_sat where _active",
    )
    care = Care(warehouse, tmp_path, his(from_view, entity("patient", name="name", city="city")), hubs=[PATIENT, city])

    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;Utrecht", "2;Bob;Utrecht", "3;Cas;"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;Breda", "2;Bob;Utrecht", "3;Cas;"])

    assert care.rows(
        "select h.bk, s.people, s._active from dv.city_sat s join dv.city_hub h using (_id) order by 1, s._revision"
    ) == [("Breda", 1, True), ("Utrecht", 2, False), ("Utrecht", 1, True)]
    assert care.numbers(DAY_2)["dv.city_hub"] == {"inserted": 1, "read": 3, "unkeyed": 1}

    care.deliver(DAY_3, HEADERS, his_patient=["1;Ann;Breda", "2;Bob;Breda", "3;Cas;"])
    status = (
        "select h.bk, s.record_status, s._active from dv.city_sat_record_status s join dv.city_hub h using (_id) "
        "order by s._runid"
    )
    assert care.rows(status) == [("Utrecht", "deleted", True)]
    care.deliver(DAY_4, HEADERS, his_patient=["1;Ann;Breda", "2;Bob;Utrecht", "3;Cas;"])
    assert care.rows(status) == [("Utrecht", "deleted", False), ("Utrecht", "active", True)]


def test_an_fk_column_that_the_project_names_holds_the_id_of_the_hub(warehouse: Database, tmp_path: Path) -> None:
    fk = (("fk_patient_hub", "Patient"),)
    care = Care(warehouse, tmp_path, his(entity("patient", name="name"), fk_columns=fk), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;", "2;Bob;"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Anna;", "2;Bob;"])

    found = (
        "select s.nr, s.name, h.bk from sor_his.patient_hstage s left join dv.patient_hub h on h._id = s.fk_patient_hub "
        "order by s._id"
    )
    assert care.rows(found) == [("1", "Ann", "1"), ("2", "Bob", "2"), ("1", "Anna", "1")]
    assert care.rows("select count(*) from sys.journal") == [(0,)]
    care.run(DAY_2, stages=["his.dv.etl_hubs"])
    assert care.rows(found) == [("1", "Ann", "1"), ("2", "Bob", "2"), ("1", "Anna", "1")]


def test_keys_that_only_fk_columns_of_the_taken_back_run_hold_go_with_it(warehouse: Database, tmp_path: Path) -> None:
    fk = (("fk_patient_hub", "Patient"),)
    care = Care(warehouse, tmp_path, his(entity("patient", name="name"), fk_columns=fk), hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Ann;"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;", "2;Bob;"])
    care.deliver(DAY_2, HEADERS, his_patient=["1;Ann;", "3;Cas;"])
    assert care.rows("select bk from dv.patient_hub order by 1") == [("1",), ("3",)]

"""Rows whose reference is not in its hub yet: they wait, make the key, or are rejected, as the mapping says."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, DAY_4, Clinic, pipe, visit
from pyelt_provider.model.mapping import MissingReference, ReferenceMapping


def test_a_row_waits_for_its_key_and_gives_its_link_when_the_key_arrives(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))

    outcomes = clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1", his_visits="1;P1;D1 2;P1;D2 3;P9;D9")
    assert clinic.links == [("P1", "D1")]
    assert clinic.rows(
        "select role, missing_bk, runid::text, resolved_runid from sys.waiting_references order by 2"
    ) == [
        ("doctor", "D2", "1.00", None),
        ("doctor", "D9", "1.00", None),
        ("patient", "P9", "1.00", None),
    ]
    assert outcomes["his.dv.etl_links"].numbers["dv.visit_link"]["waiting"] == 3

    clinic.deliver(DAY_2, his_patients="P1", his_doctors="D1 D2", his_visits="1;P1;D1 2;P1;D2 3;P9;D9")
    assert clinic.links == [("P1", "D1"), ("P1", "D2")]

    clinic.deliver(DAY_3, his_patients="P1 P9", his_doctors="D1 D2", his_visits="1;P1;D1 2;P1;D2 3;P9;D9")
    assert clinic.links == [("P1", "D1"), ("P1", "D2")]

    clinic.deliver(DAY_4, his_patients="P1 P9", his_doctors="D1 D2 D9", his_visits="1;P1;D1 2;P1;D2 3;P9;D9")
    assert clinic.links == [("P1", "D1"), ("P1", "D2"), ("P9", "D9")]
    assert clinic.rows(
        "select role, missing_bk, runid::text, resolved_runid::text from sys.waiting_references order by 2"
    ) == [("doctor", "D2", "1.00", "2.00"), ("doctor", "D9", "1.00", "4.00"), ("patient", "P9", "1.00", "3.00")]


def test_a_key_that_another_pipe_brings_later_ends_the_waiting(warehouse: Database, tmp_path: Path) -> None:
    visits = pipe("his", files=("patients", "visits"), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, visits, pipe("staff", files=("doctors",)))

    clinic.deliver(DAY_1, his_patients="P1", staff_doctors="", his_visits="1;P1;D1")
    assert clinic.links == []

    clinic.deliver(DAY_2, his_patients="P1", staff_doctors="D1", his_visits="1;P1;D1")
    assert clinic.links == [("P1", "D1")]


def test_the_order_of_pipes_does_not_matter(warehouse: Database, tmp_path: Path) -> None:
    visits = pipe("his", files=("patients", "visits"), links=[visit()])
    staff = pipe("staff", files=("doctors",))
    clinic = Clinic(warehouse, tmp_path, visits, staff)

    clinic.deliver(DAY_1, his_patients="P1", staff_doctors="D1", his_visits="1;P1;D1")

    assert (clinic.links, clinic.waiting) == ([("P1", "D1")], [])


def test_the_order_of_pipes_does_not_matter_the_other_way_round(warehouse: Database, tmp_path: Path) -> None:
    visits = pipe("his", files=("patients", "visits"), links=[visit()])
    staff = pipe("staff", files=("doctors",))
    clinic = Clinic(warehouse, tmp_path, staff, visits)

    clinic.deliver(DAY_1, his_patients="P1", staff_doctors="D1", his_visits="1;P1;D1")

    assert (clinic.links, clinic.waiting) == ([("P1", "D1")], [])


def test_a_row_that_is_gone_or_moved_on_waits_no_longer(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))
    people = {"his_patients": "P1", "his_doctors": "D1"}
    clinic.deliver(DAY_1, **people, his_visits="1;P1;D8 2;P1;D9")

    clinic.deliver(DAY_2, **people, his_visits="2;P1;D7")
    clinic.deliver(DAY_3, **people, his_visits="2;P1;D1")

    assert clinic.links == [("P1", "D1")]
    assert clinic.rows(
        "select missing_bk, runid::text, resolved_runid::text from sys.waiting_references order by 1"
    ) == [("D7", "2.00", "3.00"), ("D8", "1.00", "2.00"), ("D9", "1.00", "2.00")]


def test_a_stage_done_again_waits_for_the_same_keys(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))
    clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1", his_visits="1;P1;D2 2;P1;D3")
    clinic.deliver(DAY_2, his_patients="P1", his_doctors="D1 D2", his_visits="1;P1;D2 2;P1;D3")
    once = clinic.links
    open_and_resolved = "select missing_bk, resolved_runid::text from sys.waiting_references order by 1"

    clinic.run(DAY_2, stages=["his.dv.etl_links"])

    assert clinic.links == once == [("P1", "D2")]
    assert clinic.rows(open_and_resolved) == [("D2", "2.00"), ("D3", None)]


def test_rows_of_a_join_wait_too(warehouse: Database, tmp_path: Path) -> None:
    by_name = visit(
        source={"join": "join sor_his.patient_hstage p on p.name = s.remark and p._active"},
        references=(ReferenceMapping(role="patient", bk="p.nr"), ReferenceMapping(role="doctor", bk="s.doctor")),
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[by_name]))
    patients, visits = "P1;Anna P2;Anna", "1;;D1;;;Anna 2;;D2;;;Anna"

    clinic.deliver(DAY_1, his_patients=patients, his_doctors="D1", his_visits=visits)
    assert clinic.links == [("P1", "D1"), ("P2", "D1")]
    assert [(role, bk, resolved) for role, bk, _, resolved in clinic.waiting] == [("doctor", "D2", None)] * 2

    clinic.deliver(DAY_2, his_patients=patients, his_doctors="D1 D2", his_visits=visits)
    assert clinic.links == [("P1", "D1"), ("P1", "D2"), ("P2", "D1"), ("P2", "D2")]
    assert [str(resolved) for *_, resolved in clinic.waiting] == ["2.00", "2.00"]


def test_a_mapping_may_make_the_keys_that_are_missing(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(missing_reference=MissingReference.CREATE_HUB)]))

    clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1", his_visits="1;P1;D1 2;P1;D2 3;P9;D9 4;P9;D2 5;;D5")

    assert clinic.links == [("P1", "D1"), ("P1", "D2"), ("P9", "D2"), ("P9", "D9")]
    assert clinic.rows("select bk, type, _source_system, _runid::text from dv.doctor_hub order by bk") == [
        ("D1", "doctor", "his", "1.00"),
        ("D2", "doctor", "his", "1.00"),
        ("D9", "doctor", "his", "1.00"),
    ]
    assert clinic.waiting == []


def test_keys_that_links_made_go_when_the_stage_is_taken_back(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(missing_reference=MissingReference.CREATE_HUB)]))
    clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1", his_visits="1;P1;D2")
    clinic.write(DAY_1, his_patients="P1", his_doctors="D1", his_visits="1;P1;D3")

    clinic.run(DAY_1, stages=["his.sor.etl_sor", "his.dv.etl_hubs", "his.dv.etl_links"])

    assert clinic.links == [("P1", "D3")]
    assert clinic.rows("select bk from dv.doctor_hub order by bk") == [("D1",), ("D3",)]


def test_a_mapping_may_reject_rows_whose_keys_are_missing(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(missing_reference=MissingReference.REJECT)]))
    visits = "1;P1;D1 2;P1;D2 3;P1;D3"

    clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1", his_visits=visits)
    clinic.deliver(DAY_2, his_patients="P1", his_doctors="D1", his_visits=visits)
    assert clinic.links == [("P1", "D1")]
    assert clinic.rows(
        "select mapping, table_name, key_fields, message, _runid::text, _last_runid::text "
        "from dv._exceptions order by key_fields"
    ) == [
        (
            "visit_hstage -> Visit",
            "visit_hstage",
            '{"nr": "2"}',
            "no doctor of this key in dv.doctor_hub",
            "1.00",
            "2.00",
        ),
        (
            "visit_hstage -> Visit",
            "visit_hstage",
            '{"nr": "3"}',
            "no doctor of this key in dv.doctor_hub",
            "1.00",
            "2.00",
        ),
    ]

    clinic.deliver(DAY_3, his_patients="P1", his_doctors="D1 D2", his_visits=visits)
    assert clinic.links == [("P1", "D1"), ("P1", "D2")]
    assert clinic.rows("select count(*) filter (where freed_runid is null), count(*) from sys.rejected_rows") == [
        (1, 2)
    ]

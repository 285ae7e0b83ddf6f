"""Validations of vault rows: marked once, recorded once, freed when the rule is mended, taken back exactly."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, DAY_4, Clinic, pipe, visit
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.domain import VaultValidation

NO_NAME = VaultValidation(table=TableName("dv", "patient_sat"), when="name is null", message="No name")
SHORT = VaultValidation(table=TableName("dv", "patient_sat"), when="length(s.name) < 2", message="Name is short")
ODD_KEY = VaultValidation(table=TableName("dv", "patient_hub"), when="bk like 'X%'", message="Odd key")
SATELLITE = (
    "select h.bk, s.name, s._runid::text, s._active, s._valid, s._validation_msg from dv.patient_sat s "
    "join dv.patient_hub h on h._id = s._id order by 1, 3"
)
RECORDED = (
    "select table_name, key_fields, fields, message, _runid::text, _source_system from dv._exceptions order by 1, 2, 5"
)


def test_vault_rows_for_which_a_validation_holds_are_marked_and_recorded(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[NO_NAME, SHORT, ODD_KEY])

    outcomes = clinic.deliver(DAY_1, his_patients="P1;Anna P2 P3;x X9;Zed", his_doctors="X1")

    assert clinic.rows(SATELLITE) == [
        ("P1", "Anna", "1.00", True, True, None),
        ("P2", None, "1.00", True, False, "No name"),
        ("P3", "x", "1.00", True, False, "Name is short"),
        ("X9", "Zed", "1.00", True, True, None),
    ]
    assert clinic.rows("select bk, _valid, _validation_msg from dv.patient_hub where not _valid") == [
        ("X9", False, "Odd key")
    ]
    assert clinic.rows(RECORDED) == [
        ("patient_hub", '{"bk": "X9"}', '{"type": "patient"}', "Odd key", "1.00", "his"),
        ("patient_sat", '{"bk": "P2"}', '{"name": null}', "No name", "1.00", "his"),
        ("patient_sat", '{"bk": "P3"}', '{"name": "x"}', "Name is short", "1.00", "his"),
    ]
    assert outcomes["his.dv.etl_links"].numbers["dv.patient_sat"] == {"marked": 2}


def test_rows_of_a_night_whose_links_were_never_loaded_are_judged_in_the_next_one(
    warehouse: Database, tmp_path: Path
) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[NO_NAME])
    clinic.deliver(DAY_1, his_patients="P1;Anna", his_doctors="D1")
    clinic.write(DAY_2, his_patients="P1;Anna P2", his_doctors="D1")
    clinic.run(DAY_2, stages=["his.sor.etl_sor", "his.dv.etl_hubs"])

    clinic.deliver(DAY_3, his_patients="P1;Anna P2", his_doctors="D1")

    assert clinic.rows(SATELLITE)[1:] == [("P2", None, "2.00", True, False, "No name")]


def test_a_marked_row_is_not_marked_again(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[NO_NAME])
    clinic.deliver(DAY_1, his_patients="P1 P2", his_doctors="D1")
    once = clinic.rows(RECORDED)

    outcomes = clinic.deliver(DAY_2, his_patients="P1 P2;Bert", his_doctors="D1")

    assert clinic.rows(RECORDED) == once
    assert clinic.rows(SATELLITE) == [
        ("P1", None, "1.00", True, False, "No name"),
        ("P2", None, "1.00", False, False, "No name"),
        ("P2", "Bert", "2.00", True, True, None),
    ]
    assert outcomes["his.dv.etl_links"].numbers["dv.patient_sat"] == {"marked": 0}


def test_a_changed_validation_judges_all_active_rows_once(warehouse: Database, tmp_path: Path) -> None:
    people = {"his_patients": "P1 P2;ab P3;Cora", "his_doctors": "D1"}
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[NO_NAME])
    clinic.deliver(DAY_1, **people)

    stricter = VaultValidation(table=NO_NAME.table, when="coalesce(length(name), 0) < 3", message="No name")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[stricter])
    clinic.deliver(DAY_2, **people)
    assert [(bk, valid) for bk, _, _, _, valid, _ in clinic.rows(SATELLITE)] == [
        ("P1", False),
        ("P2", False),
        ("P3", True),
    ]

    milder = VaultValidation(table=NO_NAME.table, when="name = 'nobody'", message="No name")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[milder])
    clinic.deliver(DAY_3, **people)
    assert [(bk, valid, message) for bk, _, _, _, valid, message in clinic.rows(SATELLITE)] == [
        ("P1", True, None),
        ("P2", True, None),
        ("P3", True, None),
    ]


def test_marks_are_taken_back_when_the_stage_is_done_again(warehouse: Database, tmp_path: Path) -> None:
    people = {"his_patients": "P1 P2;ab P3;Cora", "his_doctors": "D1"}
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[NO_NAME, ODD_KEY])
    clinic.deliver(DAY_1, **people)
    clinic.deliver(DAY_2, **{**people, "his_patients": "P1 P2 P3;Cora"})
    once = (clinic.rows(SATELLITE), clinic.rows(RECORDED))

    # First the same rules again: nothing changes.
    clinic.run(DAY_2, stages=["his.dv.etl_links"])
    assert (clinic.rows(SATELLITE), clinic.rows(RECORDED)) == once

    # Then without the rule: what it marked is free, in this run and in the one before.
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[ODD_KEY])
    clinic.run(DAY_2, stages=["his.dv.etl_links"])
    assert clinic.rows(SATELLITE) == [
        ("P1", None, "1.00", True, True, None),
        ("P2", "ab", "1.00", False, True, None),
        ("P2", None, "2.00", True, True, None),
        ("P3", "Cora", "1.00", True, True, None),
    ]


def test_a_removed_validation_frees_what_it_marked_and_a_new_message_takes_the_place_of_the_old_one(
    warehouse: Database, tmp_path: Path
) -> None:
    people = {"his_patients": "P1 P2;Bert", "his_doctors": "D1"}
    Clinic(warehouse, tmp_path, pipe(), validations=[NO_NAME]).deliver(DAY_1, **people)
    warehouse.execute("update dv.patient_sat set _valid = false, _validation_msg = 'by hand' where name = 'Bert'")
    by_hand = ("P2", "Bert", "1.00", True, False, "by hand")

    renamed = VaultValidation(table=NO_NAME.table, when=NO_NAME.when, message="Who is this?")
    clinic = Clinic(warehouse, tmp_path, pipe(), validations=[renamed])
    clinic.deliver(DAY_2, **people)
    assert clinic.rows(SATELLITE) == [("P1", None, "1.00", True, False, "Who is this?"), by_hand]

    # Without any validation the pipe has no stage for links; its hubs' stage frees the rows then.
    free = Clinic(warehouse, tmp_path, pipe())
    free.deliver(DAY_3, **people)
    assert free.rows(SATELLITE) == [("P1", None, "1.00", True, True, None), by_hand]
    free.run(DAY_3)
    assert free.rows(SATELLITE) == [("P1", None, "1.00", True, True, None), by_hand]

    again = Clinic(warehouse, tmp_path, pipe(), validations=[renamed])
    again.deliver(DAY_4, **people)
    assert again.rows(SATELLITE) == [("P1", None, "1.00", True, False, "Who is this?"), by_hand]


def test_each_pipe_judges_its_own_rows(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(
        warehouse, tmp_path, pipe("his", links=[visit()]), pipe("lab", files=("patients",)), validations=[NO_NAME]
    )

    clinic.deliver(DAY_1, his_patients="P1 P2;Bert", his_doctors="D1", lab_patients="P1;Anna P2")

    assert clinic.rows(
        "select h.bk, s._source_system, s._valid from dv.patient_sat s join dv.patient_hub h using (_id) order by 1, 2"
    ) == [("P1", "his", False), ("P1", "lab", True), ("P2", "his", True), ("P2", "lab", False)]


def test_a_link_is_validated_by_its_own_columns(warehouse: Database, tmp_path: Path) -> None:
    rule = VaultValidation(
        table=TableName("dv", "visit_link"),
        when="fk_doctor_hub in (select _id from dv.doctor_hub where bk like 'X%')",
        message="Not a doctor",
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[rule])

    clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1 X1", his_visits="1;P1;D1 2;P1;X1")

    assert clinic.rows("select table_name, key_fields, message from dv._exceptions") == [
        ("visit_link", '{"doctor": "X1", "patient": "P1"}', "Not a doctor")
    ]
    assert clinic.rows("select _valid, _validation_msg from dv.visit_link order by 1") == [
        (False, "Not a doctor"),
        (True, None),
    ]


def test_a_row_that_is_marked_once_more_stands_once_with_its_first_and_last_run(
    warehouse: Database, tmp_path: Path
) -> None:
    """Rows are judged when they come, so a row that only stays marked keeps the run that judged it."""
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), validations=[SHORT])
    recorded = "select fields, _runid::int, _last_runid::int from dv._exceptions order by _id"
    clinic.deliver(DAY_1, his_patients="P1;x", his_doctors="D1")
    clinic.deliver(DAY_2, his_patients="P1;Anna", his_doctors="D1")
    assert clinic.rows(recorded) == [('{"name": "x"}', 1, 1)]
    clinic.deliver(DAY_3, his_patients="P1;x", his_doctors="D1")
    clinic.run(DAY_3, stages=["his.dv.etl_links"])
    assert clinic.rows(recorded) == [('{"name": "x"}', 1, 3)]
    clinic.deliver(DAY_4, his_patients="P1;y", his_doctors="D1")
    assert clinic.rows(recorded) == [('{"name": "x"}', 1, 3), ('{"name": "y"}', 4, 4)]
    clinic.deliver(DAY_4, his_patients="P1;Anna", his_doctors="D1")
    assert clinic.rows(recorded) == [('{"name": "x"}', 1, 3)]

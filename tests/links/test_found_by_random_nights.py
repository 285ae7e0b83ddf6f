"""Nights that random stories found: each once went wrong, and stands here as a literal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, DAY_4, Clinic, link, pipe, remarks, visit
from pyelt_provider.model.mapping import FieldMapping, LinkMapping, MissingReference, ReferenceMapping
from pyelt_provider.model.staging import Validation

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 D3"}
BAD = Validation(table="visit_hstage", when="kind = 'bad'", message="Not a visit")
WITH_DAY = visit(fields=(FieldMapping(satellite="Default", column="day", expression="day"),))


def ended(clinic: Clinic) -> list[tuple[object, ...]]:
    return sorted(row[:3] for row in clinic.status if row[4:] == ("ended", True))


def test_a_rejected_row_that_goes_ends_no_link_that_only_another_pipe_gave(warehouse: Database, tmp_path: Path) -> None:
    his, lab = pipe(links=[visit()], validations=[BAD]), pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, his, lab, visits=link(status=True))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;bad", lab_visits="1;P1;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P2;D2", lab_visits="1;P1;D1")
    assert ended(clinic) == []


def test_a_link_that_another_pipe_brings_tonight_did_not_go_for_the_pipe_whose_row_waited(
    warehouse: Database, tmp_path: Path
) -> None:
    his, lab = pipe(links=[visit()]), pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, his, lab, visits=link(status=True))
    clinic.deliver(DAY_1, **PEOPLE, lab_visits="1;P1;D9")
    clinic.deliver(DAY_2, his_patients="P1", his_doctors="D1 D9", his_visits="1;P1;D9", lab_visits="1;P1;D1")
    assert clinic.links == [("P1", "D1"), ("P1", "D9")]
    assert ended(clinic) == []


def test_a_row_that_stays_rejected_ends_no_link_of_another_pipe(warehouse: Database, tmp_path: Path) -> None:
    his = pipe(links=[WITH_DAY])
    lab = pipe("lab", files=("visits",), links=[WITH_DAY])
    clinic = Clinic(warehouse, tmp_path, his, lab, visits=link(status=True, satellites=(remarks(),), driving="patient"))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1", lab_visits="1;P1;D1;;x")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1", lab_visits="1;P1;D1;;x 2;P1;D2")
    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1", lab_visits="1;P1;D1;;x")
    assert ended(clinic) == [("P1", "D2", "lab")]


def test_of_two_mappings_that_give_partners_at_once_the_first_mapping_of_the_config_wins(
    warehouse: Database, tmp_path: Path
) -> None:
    second = visit(
        name="a second one",
        source={"filter": "kind is not null"},
        references=(ReferenceMapping(role="patient", bk="patient"), ReferenceMapping(role="doctor", bk="kind")),
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(), second]), visits=link(status=True, driving="patient"))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="2;P1;D3;D1 3;P2;D2;D1")
    assert ended(clinic) == [("P1", "D1", "his"), ("P2", "D1", "his")]


def test_a_changed_row_without_all_keys_is_rejected_for_its_values_all_the_same(
    warehouse: Database, tmp_path: Path
) -> None:
    """Else it would depend on what else is compared whether its old link ends."""
    clinic = Clinic(warehouse, tmp_path, pipe(links=[WITH_DAY]), visits=link(status=True, satellites=(remarks(),)))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D2")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;;;x 2;P2;")
    assert ended(clinic) == [("P2", "D2", "his")]
    assert clinic.rows("select count(*) from sys.rejected_rows where freed_runid is null") == [(1,)]


def test_after_a_change_of_the_mapping_a_row_rejected_tonight_never_stood(warehouse: Database, tmp_path: Path) -> None:
    visits = link(status=True, satellites=(remarks(),), driving="patient")
    lab = pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, pipe(links=[WITH_DAY]), lab, visits=visits)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="2;P1;D2", lab_visits="1;P1;D1")

    changed = visit(source={"filter": "true"}, fields=WITH_DAY.fields)
    clinic = Clinic(warehouse, tmp_path, pipe(links=[changed]), lab, visits=visits)
    clinic.deliver(DAY_2, **PEOPLE, his_visits="2;P1;D2 1;P1;D1;;x", lab_visits="1;P1;D1")

    assert ended(clinic) == []


def test_a_removed_mapping_ends_the_links_that_only_it_gave(warehouse: Database, tmp_path: Path) -> None:
    second = visit(
        name="a second one",
        source={"filter": "kind is not null"},
        references=(ReferenceMapping(role="patient", bk="patient"), ReferenceMapping(role="doctor", bk="kind")),
    )
    visits = {"his_visits": "1;P1;D1;D2 2;P2;D2;D2"}
    both = Clinic(warehouse, tmp_path, pipe(links=[visit(), second]), visits=link(status=True))
    both.deliver(DAY_1, **PEOPLE, **visits)

    one = Clinic(warehouse, tmp_path, pipe(links=[visit()]), visits=link(status=True))
    one.deliver(DAY_2, **PEOPLE, **visits)
    assert ended(one) == [("P1", "D2", "his")]
    one.run(DAY_2)
    assert ended(one) == [("P1", "D2", "his")]
    one.deliver(DAY_3, **PEOPLE, **visits)
    assert one.rows(
        "select count(*) from sys.steps where label = 'remember which mappings were removed' and runid >= 3"
    ) == [(0,)]

    both.deliver(DAY_4, **PEOPLE, **visits)
    assert ended(both) == []


def test_a_row_whose_keys_cannot_be_evaluated_any_more_ends_no_link_that_may_be_its_own(
    warehouse: Database, tmp_path: Path
) -> None:
    """A changed mapping cannot read the second row's doctor: of its patient's links none ends until it is mended."""
    old = visit(
        references=(ReferenceMapping(role="patient", bk="patient"), ReferenceMapping(role="doctor", bk="doctor"))
    )
    new = replace(
        old,
        references=(
            ReferenceMapping(role="patient", bk="patient"),
            ReferenceMapping(role="doctor", bk="'D' || (substr(doctor, 2)::int)"),
        ),
    )
    people = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 Dx"}
    Clinic(warehouse, tmp_path, pipe(links=[old]), visits=link(status=True)).deliver(
        DAY_1, **people, his_visits="1;P1;D1 2;P2;Dx 3;P2;D1 4;P3;D2"
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[new]), visits=link(status=True))
    clinic.write(DAY_2, **people, his_visits="1;P1;D2 2;P2;Dx")
    clinic.run(DAY_2, allow_key_change=True)
    assert ended(clinic) == [("P1", "D1", "his"), ("P3", "D2", "his")]

    clinic.deliver(DAY_3, **people, his_visits="1;P1;D2 2;P2;D1")
    assert ended(clinic) == [("P1", "D1", "his"), ("P2", "Dx", "his"), ("P3", "D2", "his")]


def test_a_link_that_one_pipe_loses_is_active_as_long_as_the_pipe_that_brought_it_gives_it(
    warehouse: Database, tmp_path: Path
) -> None:
    his, lab = pipe(links=[visit()]), pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, his, lab, visits=link(status=True))
    shown = "select patient_bk, doctor_bk, status from dv.visit_view"
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1", lab_visits="1;P1;D1")
    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1")
    assert ended(clinic) == [("P1", "D1", "lab")]
    assert clinic.rows(shown) == [("P1", "D1", "active")]

    clinic.deliver(DAY_4, **PEOPLE)
    assert clinic.rows(shown) == [("P1", "D1", "ended")]


def test_a_link_that_only_another_pipe_gave_was_not_current_for_this_one(warehouse: Database, tmp_path: Path) -> None:
    visits = link(status=True, driving="patient")
    lab = pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), lab, visits=visits)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="9;P1;D2", lab_visits="1;P1;D1")

    changed = Clinic(warehouse, tmp_path, pipe(links=[visit(source={"filter": "true"})]), lab, visits=visits)
    changed.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1 9;P1;D2;;;changed", lab_visits="1;P1;D1")

    assert ended(changed) == [("P1", "D1", "his")]


@pytest.mark.parametrize("later", [None, "kind is null", "kind is null and 1 = 1"])
def test_a_row_that_the_filter_left_away_gave_no_link_that_could_end(
    warehouse: Database, tmp_path: Path, later: str | None
) -> None:
    """Not even when everything is compared again, because the mapping is another one or its filter is."""
    visits, lab = link(status=True), pipe("lab", files=("visits",), links=[visit()])
    first = visit(source={"filter": "kind is null"})
    clinic = Clinic(warehouse, tmp_path, pipe(links=[first]), lab, visits=visits)
    clinic.deliver(DAY_1, **PEOPLE, lab_visits="1;P1;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;out 2;P2;D2", lab_visits="1;P1;D1")
    clinic.deliver(DAY_3, **PEOPLE, his_visits="2;P2;D2", lab_visits="1;P1;D1")

    same = later == first.source.filter
    changed = replace(
        visit(source={"filter": later}), missing_reference=MissingReference.REJECT if same else MissingReference.WAIT
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[changed]), lab, visits=visits)
    clinic.deliver(DAY_4, **PEOPLE, his_visits="3;P3;D3", lab_visits="1;P1;D1")

    assert ended(clinic) == [("P2", "D2", "his")]


def by_kind(**changes: object) -> LinkMapping:
    """A second mapping, of the columns patient and kind."""
    return visit(
        name="a second one",
        references=(ReferenceMapping(role="patient", bk="patient"), ReferenceMapping(role="doctor", bk="kind")),
        **changes,
    )


def test_rows_that_went_before_a_mapping_came_gave_no_link_of_it_that_could_end(
    warehouse: Database, tmp_path: Path
) -> None:
    visits, lab = link(status=True), pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]), lab, visits=visits)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="2;P2;D2", lab_visits="1;P1;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D2;D1 2;P2;D2", lab_visits="1;P1;D1")
    clinic.deliver(DAY_3, **PEOPLE, his_visits="2;P2;D2", lab_visits="1;P1;D1")

    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(), by_kind()]), lab, visits=visits)
    clinic.deliver(DAY_4, **PEOPLE, his_visits="2;P2;D2", lab_visits="1;P1;D1")

    assert ended(clinic) == [("P1", "D2", "his")]


def test_a_link_of_another_pipe_ends_with_the_mapping_that_gave_it_as_well(warehouse: Database, tmp_path: Path) -> None:
    visits, lab = link(status=True), pipe("lab", files=("visits",), links=[visit()])
    both = Clinic(warehouse, tmp_path, lab, pipe(links=[visit(), by_kind()]), visits=visits)
    both.deliver(DAY_1, **PEOPLE, lab_visits="1;P1;D1")
    both.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D2;D1", lab_visits="1;P1;D1")

    one = Clinic(warehouse, tmp_path, lab, pipe(links=[visit()]), visits=visits)
    one.deliver(DAY_3, **PEOPLE, his_visits="2;P2;D2", lab_visits="1;P1;D1")

    assert ended(one) == [("P1", "D1", "his"), ("P1", "D2", "his")]


def test_a_partner_that_comes_back_is_new_although_a_rejected_row_gave_it_once(
    warehouse: Database, tmp_path: Path
) -> None:
    visits = link(status=True, satellites=(remarks(),), driving="patient")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[WITH_DAY, by_kind()]), visits=visits)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D2")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P3;D3;;x 2;P1;D1")  # D2 stays as row 1 gave it, and ends for D1
    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P3;D3;;x 2;P1;D1 3;P1;;D2")

    assert ended(clinic) == [("P1", "D1", "his")]


def test_a_partner_that_a_new_mapping_brings_does_not_push_aside_the_one_that_another_mapping_gave(
    warehouse: Database, tmp_path: Path
) -> None:
    visits = link(status=True, driving="patient")
    bad = Validation(table="visit_hstage", when="day is not null", message="Not a visit")
    lab = pipe("lab", files=("visits",), links=[visit()])
    clinic = Clinic(warehouse, tmp_path, lab, pipe(links=[visit()]), visits=visits)
    clinic.deliver(DAY_1, **PEOPLE, lab_visits="1;P1;D2")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="5;P1;D1;;y", lab_visits="1;P1;D1")

    his = pipe(links=[visit(), by_kind()], validations=[bad])
    clinic = Clinic(warehouse, tmp_path, lab, his, visits=visits)
    clinic.deliver(DAY_3, **PEOPLE, his_visits="5;P1;D1;;y 6;P1;;D2", lab_visits="1;P1;D1")

    assert ended(clinic) == [("P1", "D2", "his"), ("P1", "D2", "lab")]

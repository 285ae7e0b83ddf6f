"""Links between hubs: whole ones only, each once, from rows that count."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, Clinic, link, pipe, visit
from pyelt_provider.model.mapping import ReferenceMapping
from pyelt_provider.model.staging import Validation

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 D3"}


def test_a_link_is_made_for_each_pair_of_references_once(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))

    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P1;D2 3;P1;D1 4;P3;D1")

    assert clinic.links == [("P1", "D1"), ("P1", "D2"), ("P3", "D1")]
    assert clinic.rows("select distinct _runid::text, _source_system, type, _valid from dv.visit_link") == [
        ("1.00", "his", None, True)
    ]


def test_the_same_delivery_again_makes_no_further_links(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))
    for day in (DAY_1, DAY_2):
        clinic.deliver(day, **PEOPLE, his_visits="1;P1;D1 2;P1;D2")

    assert clinic.links == [("P1", "D1"), ("P1", "D2")]


def test_the_link_stage_done_twice_in_one_run_is_the_same_as_once(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P1;D2 3;P2;D9")
    once = (clinic.links, clinic.waiting)

    clinic.run(DAY_1, stages=["his.dv.etl_links"])

    assert (clinic.links, clinic.waiting) == once


def test_a_row_that_is_new_or_changed_on_a_later_day_gives_its_link(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D2")

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D3 2;P2;D2 3;P3;D2")

    assert clinic.links == [("P1", "D1"), ("P1", "D3"), ("P2", "D2"), ("P3", "D2")]


def test_rows_without_all_references_give_no_link_and_are_counted(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()]))

    outcomes = clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1; 2;;D1 3;; 4;P2;D2")

    assert clinic.links == [("P2", "D2")]
    assert clinic.waiting == []
    numbers = outcomes["his.dv.etl_links"].numbers
    assert numbers["dv.visit_link"] == {"read": 4, "unkeyed": 3, "inserted": 1, "resolved": 0}


def test_a_hybrid_link_is_one_row_for_each_type(warehouse: Database, tmp_path: Path) -> None:
    visits = link(types=("first", "repeat"))
    first = visit(name="first visits", type="first", source={"filter": "kind = 'F'"})
    repeat = visit(name="repeat visits", type="repeat", source={"filter": "kind = 'R'"})
    clinic = Clinic(warehouse, tmp_path, pipe(links=[first, repeat]), visits=visits)

    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;F 2;P1;D1;R 3;P1;D1;R 4;P2;D1;R 5;P3;D1;other")

    assert clinic.rows(
        "select p.bk, d.bk, l.type from dv.visit_link l join dv.patient_hub p on p._id = l.fk_patient_hub "
        "join dv.doctor_hub d on d._id = l.fk_doctor_hub order by 1, 2, 3"
    ) == [("P1", "D1", "first"), ("P1", "D1", "repeat"), ("P2", "D1", "repeat")]


def test_a_filter_holds_for_links(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(source={"filter": "s.kind like '%F' or kind = '50%'"})]))

    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;F 2;P1;D2;R 3;P2;D2;50%")

    assert clinic.links == [("P1", "D1"), ("P2", "D2")]


def test_rejected_rows_give_no_links_until_they_are_mended(warehouse: Database, tmp_path: Path) -> None:
    rule = Validation(table="visit_hstage", when="kind = 'bad'", message="Not a visit")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()], validations=[rule]))

    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;bad 2;P2;D2 3;P3;D1 3;P3;D2")
    assert clinic.links == [("P2", "D2")]

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;good 2;P2;D2 3;P3;D2")
    assert clinic.links == [("P1", "D1"), ("P2", "D2"), ("P3", "D2")]


def test_references_are_found_through_a_join(warehouse: Database, tmp_path: Path) -> None:
    by_name = visit(
        source={"join": "left join sor_his.patient_hstage p on p.name = s.remark and p._active"},
        references=(ReferenceMapping(role="patient", bk="p.nr"), ReferenceMapping(role="doctor", bk="s.doctor")),
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[by_name]))

    clinic.deliver(
        DAY_1,
        his_patients="P1;Anna P2;Bert P3;Anna",
        his_doctors="D1",
        his_visits="1;;D1;;;Anna 2;;D1;;;Bert 3;;D1;;;Cora",
    )
    assert clinic.links == [("P1", "D1"), ("P2", "D1"), ("P3", "D1")]

    # Nothing changes in the visits: the change in the table that is joined counts too.
    clinic.deliver(
        DAY_2,
        his_patients="P1;Anna P2;Bert P3;Anna P4;Cora",
        his_doctors="D1",
        his_visits="1;;D1;;;Anna 2;;D1;;;Bert 3;;D1;;;Cora",
    )
    assert clinic.links == [("P1", "D1"), ("P2", "D1"), ("P3", "D1"), ("P4", "D1")]


def test_links_from_a_view_of_the_vault_come_after_those_from_staging(warehouse: Database, tmp_path: Path) -> None:
    from pyelt_provider.identifiers import TableName
    from pyelt_provider.model.mapping import MappingSource

    namesakes = visit(
        name="patient_view -> Visit",
        source={"staging": None, "view": TableName("dv", "patient_view"), "filter": "default_name = 'D1'"},
        references=(ReferenceMapping(role="patient", bk="bk"), ReferenceMapping(role="doctor", bk="default_name")),
    )
    assert isinstance(namesakes.source, MappingSource)
    clinic = Clinic(warehouse, tmp_path, pipe(links=[namesakes, visit()]))

    clinic.deliver(DAY_1, his_patients="P1;D1 P2;x", his_doctors="D1", his_visits="1;P2;D1")
    assert clinic.links == [("P1", "D1"), ("P2", "D1")]

    clinic.deliver(DAY_2, his_patients="P1;D1 P2;D1 P3;D1", his_doctors="D1", his_visits="1;P2;D1")
    clinic.deliver(DAY_3, his_patients="P1;D1 P2;D1 P3;D1", his_doctors="D1", his_visits="1;P2;D1")
    assert clinic.links == [("P1", "D1"), ("P2", "D1"), ("P3", "D1")]

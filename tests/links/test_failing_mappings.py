"""What a link mapping that fails does to the others: nothing, when the pipeline goes on after errors."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from links.visits import DAY_1, DAY_2, Clinic, pipe, visit
from pyelt_provider.model.mapping import ReferenceMapping
from pyelt_provider.model.pipeline import OnErrors

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 D3"}
BY_REMARK = visit(
    name="by remark",
    source={"filter": "remark is not null"},
    references=(
        ReferenceMapping(role="patient", bk="patient"),
        ReferenceMapping(role="doctor", bk="(select h.doctor from own.helper h where h.remark = s.remark)"),
    ),
)
BY_DOCTOR = visit(name="by doctor", source={"filter": "remark is null"})


def test_a_failing_mapping_leaves_the_others_alone_and_is_done_when_it_works_again(
    warehouse: Database, tmp_path: Path
) -> None:
    warehouse.execute("create schema own; create table own.helper (remark text, doctor text)")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[BY_REMARK, BY_DOCTOR]), on_errors=OnErrors.LOG)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;;;;second 2;P2;D2")
    warehouse.execute("insert into own.helper values ('second', 'D3'), ('twice', 'D1'), ('twice', 'D2')")

    outcomes = clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;;;;twice 2;P2;D2 3;P3;D3 4;P1;D9")
    stage = outcomes["his.dv.etl_links"]
    assert str(stage.state) == "failed"
    assert [(name, "21000" in error) for name, error in stage.failures] == [("by remark", True)]
    assert clinic.links == [("P2", "D2"), ("P3", "D3")]

    warehouse.execute("delete from own.helper where doctor = 'D2'")
    again = clinic.run(DAY_2, stages=["his.dv.etl_links"])
    assert str(again["his.dv.etl_links"].state) == "done"
    assert clinic.links == [("P1", "D1"), ("P2", "D2"), ("P3", "D3")]
    assert [(role, bk, resolved) for role, bk, _, resolved in clinic.waiting] == [("doctor", "D9", None)]


def test_without_going_on_a_failing_mapping_leaves_the_warehouse_as_it_was(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute("create schema own; create table own.helper (remark text, doctor text)")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[BY_REMARK, BY_DOCTOR]))
    warehouse.execute("insert into own.helper values ('twice', 'D1'), ('twice', 'D2')")
    clinic.write(DAY_1, **PEOPLE, his_visits="1;P1;;;;twice 2;P2;D2")

    error = clinic.fails(DAY_1)

    assert "by remark" in error and "21000" in error
    assert (clinic.links, clinic.waiting) == ([], [])
    assert clinic.rows("select count(*) from sys.positions where mapping like 'by %'") == [(0,)]


def test_one_reference_that_cannot_be_evaluated_rejects_its_row_only(warehouse: Database, tmp_path: Path) -> None:
    numbered = visit(
        references=(
            ReferenceMapping(role="patient", bk="'P' || patient::integer"),
            ReferenceMapping(role="doctor", bk="doctor"),
        )
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[numbered]))

    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;01;D1 2;two;D2 3;3;D3")
    assert clinic.links == [("P1", "D1"), ("P3", "D3")]
    assert clinic.rows("select key_fields, message from dv._exceptions") == [
        ('{"nr": "2"}', "cannot make the business key of this row (SQLSTATE 22P02)")
    ]

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;01;D1 2;02;D2 3;x;D3")
    assert clinic.links == [("P1", "D1"), ("P2", "D2"), ("P3", "D3")]
    assert clinic.rows("select key_fields, message, _runid::text from dv._exceptions order by 1") == [
        ('{"nr": "2"}', "cannot make the business key of this row (SQLSTATE 22P02)", "1.00"),
        ('{"nr": "3"}', "cannot make the business key of this row (SQLSTATE 22P02)", "2.00"),
    ]

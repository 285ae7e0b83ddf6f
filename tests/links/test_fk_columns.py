"""A column of a staging table that names a link holds the `_id` of the link that each row gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, REMARKS, Clinic, link, pipe, remarks, visit
from pyelt_provider.model.domain import Link
from pyelt_provider.model.mapping import LinkMapping

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 D3"}
FOUND = """
select s.nr, s._active, p.bk, d.bk, l.type from sor_his.visit_hstage s left join dv.visit_link l on l._id = s.fk_visit_link
left join dv.patient_hub p on p._id = l.fk_patient_hub left join dv.doctor_hub d on d._id = l.fk_doctor_hub
order by s._id"""
KINDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"status": True}, {}),
    ({"satellites": (remarks(),)}, {"fields": REMARKS}),
]
"""A link without history, with status, with a satellite: each collects its rows in its own way."""


def clinic_of(warehouse: Database, folder: Path, visits: Link, *mappings: LinkMapping, columns: bool = True) -> Clinic:
    his = pipe(links=mappings or [visit()])
    return Clinic(warehouse, folder, with_column(his) if columns else his, visits=visits)


def with_column(his: Any) -> Any:
    fk = (("fk_visit_link", "Visit"),)
    return replace(his, tables=tuple(replace(t, fk_columns=fk) if t.name == "visit_hstage" else t for t in his.tables))


@pytest.mark.parametrize(("link_keys", "mapping_keys"), KINDS)
def test_rows_that_are_new_changed_and_deleted_have_the_link_that_they_gave(
    link_keys: dict[str, Any], mapping_keys: dict[str, Any], warehouse: Database, tmp_path: Path
) -> None:
    clinic = clinic_of(warehouse, tmp_path, link(**link_keys), visit(**mapping_keys))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D2 3;P3;D3 4;P1;D1 5;P1;")
    first = [
        ("1", True, "P1", "D1", None), ("2", True, "P2", "D2", None), ("3", True, "P3", "D3", None),
        ("4", True, "P1", "D1", None), ("5", True, None, None, None),
    ]  # fmt: skip
    assert clinic.rows(FOUND) == first

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1 2;P2;D3 4;P1;D1 5;P1; 6;P3;D1")
    second = [
        ("1", True, "P1", "D1", None), ("2", False, "P2", "D2", None), ("3", False, "P3", "D3", None),
        ("4", True, "P1", "D1", None), ("5", True, None, None, None),
        ("2", True, "P2", "D3", None), ("6", True, "P3", "D1", None),
    ]  # fmt: skip
    assert clinic.rows(FOUND) == second
    assert clinic.rows("select count(*) from sys.journal where before ? 'fk_visit_link'") == [(0,)]

    clinic.run(DAY_2, stages=["his.dv.etl_links"])
    assert clinic.rows(FOUND) == second

    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1 2;P2;D3 4;P1;D1 5;P1; 6;P3;D1")
    assert clinic.rows(FOUND) == second


@pytest.mark.parametrize(("link_keys", "mapping_keys"), KINDS)
def test_a_row_that_waited_gets_its_link_later_and_loses_it_when_that_run_is_taken_back(
    link_keys: dict[str, Any], mapping_keys: dict[str, Any], warehouse: Database, tmp_path: Path
) -> None:
    clinic = clinic_of(warehouse, tmp_path, link(**link_keys), visit(**mapping_keys))
    clinic.deliver(DAY_1, his_patients="P1", his_doctors="D1", his_visits="1;P1;D9 2;P1;D1")
    waiting = [("1", True, None, None, None), ("2", True, "P1", "D1", None)]
    assert clinic.rows(FOUND) == waiting

    for _ in range(2):
        clinic.deliver(DAY_2, his_patients="P1", his_doctors="D1 D9", his_visits="1;P1;D9 2;P1;D1")
        assert clinic.rows(FOUND) == [("1", True, "P1", "D9", None), ("2", True, "P1", "D1", None)]
        assert clinic.rows("select before from sys.journal where before ? 'fk_visit_link'") == [
            ({"fk_visit_link": None},)
        ]
    clinic.deliver(DAY_2, his_patients="P1", his_doctors="D1", his_visits="1;P1;D9 2;P1;D1")
    assert clinic.rows(FOUND) == waiting


def test_a_row_of_a_hybrid_link_has_the_link_of_its_type(warehouse: Database, tmp_path: Path) -> None:
    first = visit(name="first visits", type="first", source={"filter": "kind = 'F'"})
    repeat = visit(name="repeat visits", type="repeat", source={"filter": "kind = 'R'"})
    clinic = clinic_of(warehouse, tmp_path, link(types=("first", "repeat")), first, repeat)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;F 2;P1;D1;R 3;P1;D1;X")
    assert clinic.rows(FOUND) == [
        ("1", True, "P1", "D1", "first"), ("2", True, "P1", "D1", "repeat"), ("3", True, None, None, None),
    ]  # fmt: skip


def test_a_column_that_is_named_later_is_filled_for_the_rows_that_are_there(
    warehouse: Database, tmp_path: Path
) -> None:
    clinic = clinic_of(warehouse, tmp_path, link(), columns=False)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D2")
    clinic.pipeline = replace(clinic.pipeline, pipes=(with_column(clinic.pipeline.pipes[0]),))
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1 2;P2;D2")
    assert clinic.rows(FOUND) == [("1", True, "P1", "D1", None), ("2", True, "P2", "D2", None)]

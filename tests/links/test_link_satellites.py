"""Satellites of links: as those of hubs, on the link's own id."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, REMARKS, Clinic, link, pipe, remarks, visit
from pyelt_provider.model.domain import Column, Satellite, SatelliteKind
from pyelt_provider.model.mapping import FieldMapping

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 D3"}
ROWS = (
    "select p.bk, d.bk, s._runid::text, s._revision, s._active, s.day, s.remark from dv.visit_sat s "
    "join dv.visit_link l on l._id = s._id join dv.patient_hub p on p._id = l.fk_patient_hub "
    "join dv.doctor_hub d on d._id = l.fk_doctor_hub order by 1, 2, s._runid, s._revision"
)
JAN_5, JAN_6, JAN_7 = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)


def clinic_with(warehouse: Database, folder: Path, **changes: object) -> Clinic:
    return Clinic(
        warehouse,
        folder,
        pipe(links=[visit(fields=REMARKS, **changes)]),
        visits=link(satellites=(remarks(),)),
    )


def test_a_link_satellite_keeps_the_history_of_its_values(warehouse: Database, tmp_path: Path) -> None:
    clinic = clinic_with(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D1;;;b")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;c 2;P2;D1;;;b 3;P3;D1;;2026-01-07;d")

    assert clinic.rows(ROWS) == [
        ("P1", "D1", "1.00", 0, False, JAN_5, "a"),
        ("P1", "D1", "2.00", 1, True, JAN_5, "c"),
        ("P2", "D1", "1.00", 0, True, None, "b"),
        ("P3", "D1", "2.00", 0, True, JAN_7, "d"),
    ]


def test_the_link_stage_done_twice_in_one_run_keeps_the_same_values(warehouse: Database, tmp_path: Path) -> None:
    clinic = clinic_with(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D1;;;b")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;c 2;P2;D2;;;b")
    once = clinic.rows(ROWS)

    clinic.run(DAY_2, stages=["his.dv.etl_links"])

    assert clinic.rows(ROWS) == once


def test_of_several_rows_of_one_link_the_preferred_one_gives_the_values(warehouse: Database, tmp_path: Path) -> None:
    clinic = clinic_with(warehouse, tmp_path, prefer="day desc nulls last")
    clinic.deliver(
        DAY_1, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;old 2;P1;D1;;2026-01-06;new 3;P1;D1;;2026-01-06;third"
    )
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;old 3;P1;D1;;2026-01-06;third")

    assert clinic.rows(ROWS) == [
        ("P1", "D1", "1.00", 0, False, JAN_6, "new"),
        ("P1", "D1", "2.00", 1, True, JAN_6, "third"),
    ]


def test_a_value_that_cannot_be_cast_rejects_its_row_and_no_other(warehouse: Database, tmp_path: Path) -> None:
    clinic = clinic_with(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D1;;soon;b 3;P3;D1;;;c")
    assert clinic.links == [("P1", "D1"), ("P3", "D1")]
    assert clinic.rows("select key_fields, message, _runid::text, _last_runid::text from dv._exceptions") == [
        ('{"nr": "2"}', "cannot make Default.day (date) of this row (SQLSTATE 22007)", "1.00", "1.00")
    ]

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D1;;2026-01-06;b 3;P3;D1;;soon;c")
    assert clinic.links == [("P1", "D1"), ("P2", "D1"), ("P3", "D1")]
    assert clinic.rows(ROWS) == [
        ("P1", "D1", "1.00", 0, True, JAN_5, "a"),
        ("P2", "D1", "2.00", 0, True, JAN_6, "b"),
        ("P3", "D1", "1.00", 0, True, None, "c"),
    ]

    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D1;;2026-01-06;b 3;P3;D1;;2026-01-07;c")
    assert [row for row in clinic.rows(ROWS) if row[0] == "P3"] == [
        ("P3", "D1", "1.00", 0, False, None, "c"),
        ("P3", "D1", "3.00", 1, True, JAN_7, "c"),
    ]


def test_a_row_that_this_mapping_rejects_does_not_end_the_link_that_it_gave(
    warehouse: Database, tmp_path: Path
) -> None:
    clinic = Clinic(
        warehouse,
        tmp_path,
        pipe(links=[visit(fields=REMARKS)]),
        visits=link(satellites=(remarks(),), status=True),
    )
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D1;;2026-01-06;b")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;;soon;a 2;P2;D2;;soon;b")
    assert (clinic.links, clinic.status) == ([("P1", "D1"), ("P2", "D1")], [])

    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1;;2026-01-05;a 2;P2;D2;;2026-01-06;b")
    assert clinic.links == [("P1", "D1"), ("P2", "D1"), ("P2", "D2")]
    assert [row[:2] + row[4:] for row in clinic.status] == [("P2", "D1", "ended", True)]


def test_a_hybrid_satellite_of_a_link_has_a_row_for_each_type(warehouse: Database, tmp_path: Path) -> None:
    notes = Satellite(
        schema="dv",
        owner="Visit",
        name="Note",
        kind=SatelliteKind.HYBRID,
        types=("kind", "remark"),
        columns=(Column(name="note", type="text"),),
    )
    fields = (
        FieldMapping(satellite="Note", column="note", expression="kind", type="kind"),
        FieldMapping(satellite="Note", column="note", expression="remark", type="remark"),
    )
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit(fields=fields)]), visits=link(satellites=(notes,)))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;F;;a 2;P2;D1;R;;")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;F;;b 2;P2;D1;R;;")

    assert clinic.rows(
        "select p.bk, s.type, s.note, s._runid::text, s._active from dv.visit_sat_note s "
        "join dv.visit_link l on l._id = s._id join dv.patient_hub p on p._id = l.fk_patient_hub order by 1, 2, 4"
    ) == [
        ("P1", "kind", "F", "1.00", True),
        ("P1", "remark", "a", "1.00", False),
        ("P1", "remark", "b", "2.00", True),
        ("P2", "kind", "R", "1.00", True),
    ]


def test_values_of_links_that_waited_come_with_the_link(warehouse: Database, tmp_path: Path) -> None:
    clinic = clinic_with(warehouse, tmp_path)
    visits = "1;P1;D9;;2026-01-05;a"
    clinic.deliver(DAY_1, **PEOPLE, his_visits=visits)
    assert clinic.rows(ROWS) == []

    clinic.deliver(DAY_2, his_patients="P1", his_doctors="D9", his_visits=visits)
    assert clinic.rows(ROWS) == [("P1", "D9", "2.00", 0, True, JAN_5, "a")]

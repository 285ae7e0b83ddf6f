"""When a link goes, comes back, or moves: its status, and the one current link of a driving key."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from databases import Database
from links.visits import DAY_1, DAY_2, DAY_3, DAY_4, Clinic, link, pipe, visit
from pyelt_provider.model.staging import Delivery, Validation

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2 D3"}
R1, R2, R3, R4 = (Decimal(f"{number}.00") for number in range(1, 5))


def kept(warehouse: Database, folder: Path, **changes: object) -> Clinic:
    return Clinic(warehouse, folder, pipe(links=[visit()]), visits=link(status=True, **changes))


def test_a_link_that_never_went_has_no_status_row(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;again 2;P2;D1 3;P3;D1")

    assert clinic.status == []


def test_a_link_ends_when_its_row_is_deleted_and_is_active_when_it_returns(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")

    clinic.deliver(DAY_2, **PEOPLE, his_visits="2;P2;D1")
    assert clinic.status == [("P1", "D1", "his", R2, "ended", True)]

    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")
    assert clinic.status == [("P1", "D1", "his", R2, "ended", False), ("P1", "D1", "his", R3, "active", True)]

    clinic.deliver(DAY_4, **PEOPLE, his_visits="2;P2;D1")
    assert clinic.status == [
        ("P1", "D1", "his", R2, "ended", False),
        ("P1", "D1", "his", R3, "active", False),
        ("P1", "D1", "his", R4, "ended", True),
    ]
    assert clinic.rows(
        "select _runid, _revision, _finish_runid, _finish_date is null from dv.visit_sat_status order by 1"
    ) == [(R2, 0, R3, False), (R3, 1, R4, False), (R4, 2, None, True)]


def test_a_link_stays_active_while_another_row_gives_it(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P1;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="2;P1;D1")
    assert clinic.status == []

    clinic.deliver(DAY_3, **PEOPLE, his_visits="")
    assert clinic.status == [("P1", "D1", "his", R3, "ended", True)]


def test_a_moved_reference_ends_the_old_link(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D2 2;P2;D1")

    assert clinic.links == [("P1", "D1"), ("P1", "D2"), ("P2", "D1")]
    assert clinic.status == [("P1", "D1", "his", R2, "ended", True)]


def test_a_row_that_the_filter_leaves_out_from_now_on_ends_its_link(warehouse: Database, tmp_path: Path) -> None:
    mapping = visit(source={"filter": "kind <> 'off'"})
    clinic = Clinic(warehouse, tmp_path, pipe(links=[mapping]), visits=link(status=True))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;on 2;P2;D1;on")

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;off 2;P2;D1;on")

    assert clinic.status == [("P1", "D1", "his", R2, "ended", True)]


def test_a_rejected_row_leaves_its_link_as_it_was(warehouse: Database, tmp_path: Path) -> None:
    rule = Validation(table="visit_hstage", when="kind = 'bad'", message="Not a visit")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()], validations=[rule]), visits=link(status=True))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")

    # The row moves, but the new version is rejected: the vault keeps what it had.
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D2;bad 2;P2;D1")
    assert (clinic.links, clinic.status) == ([("P1", "D1"), ("P2", "D1")], [])

    # Mended: now it has moved.
    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D3 2;P2;D1")
    assert clinic.links == [("P1", "D1"), ("P1", "D3"), ("P2", "D1")]
    assert clinic.status == [("P1", "D1", "his", R3, "ended", True)]


def test_a_row_that_is_deleted_while_it_was_rejected_ends_the_link_that_it_had_given(
    warehouse: Database, tmp_path: Path
) -> None:
    rule = Validation(table="visit_hstage", when="kind = 'bad'", message="Not a visit")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[visit()], validations=[rule]), visits=link(status=True))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D2;bad 2;P2;D1")

    clinic.deliver(DAY_3, **PEOPLE, his_visits="2;P2;D1")

    assert clinic.status == [("P1", "D1", "his", R3, "ended", True)]


def test_status_is_kept_for_each_pipe(warehouse: Database, tmp_path: Path) -> None:
    clinic = Clinic(
        warehouse,
        tmp_path,
        pipe("his", links=[visit()]),
        pipe("lab", files=("visits",), links=[visit()]),
        visits=link(status=True),
    )
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1", lab_visits="7;P1;D1")
    assert clinic.links == [("P1", "D1")]

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1", lab_visits="")

    assert clinic.links == [("P1", "D1")]
    assert clinic.status == [("P1", "D1", "lab", R2, "ended", True)]


def test_the_link_stage_done_twice_in_one_run_keeps_the_same_status(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path)
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="2;P2;D2")
    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")
    once = (clinic.links, clinic.status)

    clinic.run(DAY_3, stages=["his.dv.etl_links"])

    assert (clinic.links, clinic.status) == once


def test_a_changed_filter_compares_all_rows_once(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path)
    visits = "1;P1;D1;F 2;P2;D1;R 3;P3;D1;F"
    clinic.deliver(DAY_1, **PEOPLE, his_visits=visits)

    narrower = visit(source={"filter": "kind = 'F'"})
    clinic = Clinic(warehouse, tmp_path, pipe(links=[narrower]), visits=link(status=True))
    clinic.deliver(DAY_2, **PEOPLE, his_visits=visits)

    assert clinic.status == [("P2", "D1", "his", R2, "ended", True)]


# ---------------------------------------------------------------- driving


def current(clinic: Clinic) -> list[tuple[object, ...]]:
    return clinic.rows(
        "select p.bk, d.bk from dv.visit_link l join dv.patient_hub p on p._id = l.fk_patient_hub "
        "join dv.doctor_hub d on d._id = l.fk_doctor_hub "
        "where not exists (select from dv.visit_sat_status s where s._id = l._id and s._active "
        "and s.record_status = 'ended') order by 1, 2"
    )


def test_a_new_partner_ends_the_other_links_of_the_driving_key(warehouse: Database, tmp_path: Path) -> None:
    # Delta deliveries: the row that gave the old link is not sent again and stays active.
    clinic = Clinic(
        warehouse,
        tmp_path,
        pipe(links=[visit()], delivery=Delivery.DELTA),
        visits=link(status=True, driving="patient"),
    )
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1 2;P2;D1")
    clinic.deliver(DAY_2, his_visits="3;P1;D2")
    assert current(clinic) == [("P1", "D2"), ("P2", "D1")]
    assert clinic.status == [("P1", "D1", "his", R2, "ended", True)]

    # A change of the older row that keeps its partner is no new partner.
    clinic.deliver(DAY_3, his_visits="1;P1;D1;remark")
    assert current(clinic) == [("P1", "D2"), ("P2", "D1")]

    # The older row moves to a third partner.
    clinic.deliver(DAY_4, his_visits="1;P1;D3")
    assert current(clinic) == [("P1", "D3"), ("P2", "D1")]


def test_two_partners_at_once_leave_one_current_link_by_source_key(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path, driving="patient")

    clinic.deliver(DAY_1, **PEOPLE, his_visits="2;P1;D2 1;P1;D1 3;P2;D3")

    assert current(clinic) == [("P1", "D1"), ("P2", "D3")]
    assert clinic.status == [("P1", "D2", "his", R1, "ended", True)]


def test_prefer_says_which_of_several_partners_is_current(warehouse: Database, tmp_path: Path) -> None:
    mapping = visit(prefer="day desc")
    clinic = Clinic(warehouse, tmp_path, pipe(links=[mapping]), visits=link(status=True, driving="patient"))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1;;2026-01-05 2;P1;D2;;2026-01-07 3;P1;D3;;2026-01-06")
    assert current(clinic) == [("P1", "D2")]

    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1;;2026-01-09 2;P1;D2;;2026-01-07 3;P1;D3;;2026-01-06")
    assert current(clinic) == [("P1", "D1")]

    clinic.deliver(DAY_3, **PEOPLE, his_visits="3;P1;D3;;2026-01-06")
    assert current(clinic) == [("P1", "D3")]


def test_when_the_current_partner_goes_the_one_that_is_left_is_current_again(
    warehouse: Database, tmp_path: Path
) -> None:
    clinic = kept(warehouse, tmp_path, driving="patient")
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1")
    clinic.deliver(DAY_2, **PEOPLE, his_visits="1;P1;D1 2;P1;D2")
    assert current(clinic) == [("P1", "D2")]

    clinic.deliver(DAY_3, **PEOPLE, his_visits="1;P1;D1")
    assert current(clinic) == [("P1", "D1")]
    assert clinic.status == [
        ("P1", "D1", "his", R2, "ended", False),
        ("P1", "D1", "his", R3, "active", True),
        ("P1", "D2", "his", R3, "ended", True),
    ]


def test_a_move_and_the_way_back_leave_one_current_link(warehouse: Database, tmp_path: Path) -> None:
    clinic = kept(warehouse, tmp_path, driving="patient")
    for day, doctor in ((DAY_1, "D1"), (DAY_2, "D2"), (DAY_3, "D1")):
        clinic.deliver(day, **PEOPLE, his_visits=f"1;P1;{doctor}")
        assert current(clinic) == [("P1", doctor)]

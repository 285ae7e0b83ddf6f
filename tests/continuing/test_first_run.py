"""The first runs on a warehouse that PyELT left: nothing changes that did not change, and history goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line.commands import pyelt
from continuing.old_clinic import deliver_as_last, give_sources, old_clinic, rows_of_all_tables
from databases import Database, fresh_database
from pyelt_provider.embedded.server import EmbeddedServer

PERSONALIA = """
select bk, _revision, _active, case when s._runid < 813 then s._runid::text else 'ours' end, achternaam, _finish_date
from dv.patient_sat_personalia s join dv.patient_hub using (_id) where bk in ('1', '6', '8') order by 1, s._runid
"""


@pytest.fixture
def oldest_warehouse(oldest_server: EmbeddedServer) -> Iterator[Database]:
    with fresh_database(oldest_server, "old") as database:
        yield database


@pytest.mark.parametrize(("repaired", "as_program"), [(False, False), (True, True)])
def test_the_delivery_of_the_last_night_adds_no_row_and_a_changed_one_goes_on_with_history(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], repaired: bool, as_program: bool
) -> None:
    project = old_clinic(warehouse, tmp_path, as_program=as_program)
    if repaired:
        assert pyelt(capsys, "repair", str(project), "--yes").code == 0
    else:  # without a source a row cannot be in the key; check and the run say so
        give_sources(warehouse)
        # Else the delivery does not say the same as the vault.
        warehouse.execute("update dv.traject_arts_sat set rol = 'regie' where _id = 1")
    before = rows_of_all_tables(warehouse)
    original = dict(before)
    first = pyelt(capsys, "run", str(project), "--date", "2026-01-01")
    assert first.code == 0, first.err
    assert warehouse.rows("select max(runid)::text from sys.runs") == [("813.00",)]
    after = rows_of_all_tables(warehouse)
    for made in ("dv.traject_arts_sat_status", "sor_lab._exceptions", "valset._exceptions"):
        assert after.pop(made) == []
    # PyELT wrote down rejected rows by a number of its own; now they stand there once by their key.
    assert len(after["sor_his._exceptions"]) == len(before["sor_his._exceptions"]) + 5
    del before["sor_his._exceptions"], after["sor_his._exceptions"]
    if not repaired:
        # Rows that were rejected for their key are set apart, and what stood before them stands again.
        assert len(after["sor_his.patient_hstage"]) == len(before["sor_his.patient_hstage"])
        del before["sor_his.patient_hstage"], after["sor_his.patient_hstage"]
    assert after == before
    staging = (
        "select _id, _active, _valid from sor_his.patient_hstage where patientnummer in ('4', '5', '8') order by 1"
    )
    assert warehouse.rows(staging) == [
        (4, True, False),
        (5, False, False),
        (6, False, False),
        (10, True, True),
        (11, False, False),
        (12, False, False),
    ]
    assert warehouse.rows("select has_table_privilege('public', 'reports.patients', 'select')") == [(True,)]
    assert warehouse.rows(
        "select bk, personalia_achternaam from reports.patients where bk in ('6', '8') order by 1"
    ) == [
        ("6", "Fox"),
        ("8", "Hak"),
    ]

    again = rows_of_all_tables(warehouse)
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-02").code == 0
    assert rows_of_all_tables(warehouse) == again

    changed = {
        "patient_1": '1,Anne,1980-01-01,061,""',
        "patient_8": "8,Hok,1987-01-01,,",
        "patient_6": "6,Fix,1985-01-01,066,",
    }
    deliver_as_last(project, **changed, rol="mede", man="Man")
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-03").code == 0
    history = [(*row[:5], row[5] is not None) for row in warehouse.rows(PERSONALIA)]
    assert history == [
        ("1", 0, False, "811.00", "An", True),
        ("1", 1, False, "812.00", "Anna", True),
        ("1", 2, True, "ours", "Anne", False),
        ("6", 0, False, "811.00", "Fux", True),
        ("6", 1 if repaired else 0, False, "812.00", "Fox", True),
        ("6", 2 if repaired else 1, True, "ours", "Fix", False),
        ("8", 0, False, "811.00", "Hak", True),
        ("8", 1, True, "ours", "Hok", False),
    ]
    assert warehouse.rows("select code, _revision, omschrijving from valset.valueset where _active order by 1") == [
        ("m", 1, "Man"),
        ("v", 0, "vrouw"),
    ]
    assert warehouse.rows("select bk, record_status from dv.patient_sat_status join dv.patient_hub using (_id)") == [
        ("3", "deleted")
    ]

    assert "PyELT's own" in pyelt(capsys, "rewind", str(project), "--to", "812.00", "--yes").err
    assert pyelt(capsys, "rewind", str(project), "--to", "812.01", "--yes").code == 0
    rewound = rows_of_all_tables(warehouse)
    assert {table: rewound[table] for table in original} == original
    deliver_as_last(project)
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-04").code == 0
    assert {table: rows for table, rows in rows_of_all_tables(warehouse).items() if table in before} == before


def test_the_oldest_postgresql_continues_it_as_well(
    oldest_warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = old_clinic(oldest_warehouse, tmp_path)
    assert pyelt(capsys, "repair", str(project), "--yes").code == 0
    before = rows_of_all_tables(oldest_warehouse)
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-01").code == 0
    after = rows_of_all_tables(oldest_warehouse)
    assert {table: after[table] for table in before if table != "sor_his._exceptions"} == {
        table: rows for table, rows in before.items() if table != "sor_his._exceptions"
    }

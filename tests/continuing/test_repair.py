"""`pyelt check --database` tells what PyELT left broken, `pyelt repair` mends it, once, and keeps what was."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from command_line.commands import pyelt
from continuing.old_clinic import deliver_as_last, give_sources, old_clinic, rows_of_all_tables
from databases import Database
from docs.mornings import morning, words
from killed_steps import killed
from pyelt_provider.command_line.main import main

BROKEN = """\
  dv.patient_sat_contact
    1  rows that are active beside a later one of their key: the latest stays, the others end when the next one came
  dv.patient_sat_personalia
    1  rows without a source: they become those of pipe his, which alone fills the table
    1  rows whose key is not there: removed, and kept in sys.repaired_rows
    1  rows that are active beside a later one of their key: the latest stays, the others end when the next one came
  dv.traject_arts_link
    1  links that are not whole: removed with their satellites' rows, and kept in sys.repaired_rows
    1  links that are there twice: the oldest stays; satellites and staging's columns point at it
  sor_his._exceptions
    2  rejected rows that are written down again and again: one row stays, with its first and last run
  sor_his.patient_hstage
    2  rows of keys that are active more than once, or without a key: the latest stands; rejected ones are set apart, and \
what stood before them stands again
  sys.runs
    1  runs that PyELT never closed: closed at their start, with a note in exceptions
  valset.valueset
    1  rows without a source: they become those of pipe his, which alone fills the table
"""
CHANGES = """\
  rows that change, with what hangs on them:
    2  dv.patient_sat_contact
    4  dv.patient_sat_personalia
    2  dv.traject_arts_link
    4  dv.traject_arts_sat
    2  sor_his._exceptions
    5  sor_his.patient_hstage
    1  sor_his.traject_hstage
    1  sys.runs
    1  valset.valueset
"""


def test_it_is_shown_first_then_mended_in_one_go_and_then_there_is_nothing_to_do(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = old_clinic(warehouse, tmp_path)
    before = rows_of_all_tables(warehouse)
    check, show = morning("A warehouse of PyELT has to go on")
    here = {"configs/clinic": str(project)}
    checked = pyelt(capsys, *words(check, **here)[1:])
    assert checked.code == 1
    assert "`pyelt repair` fills it in where one pipe fills the table" in checked.err
    assert "".join(f"  {line}\n" for line in BROKEN.splitlines()) in checked.out
    assert f"what mends it: pyelt repair {project} --dry-run" in checked.out

    shown = pyelt(capsys, *words(show, **here)[1:])
    assert (shown.code, shown.out) == (
        0,
        BROKEN + CHANGES + "kliniek: 22 rows would be mended; nothing was changed (--dry-run)\n",
    )
    assert rows_of_all_tables(warehouse) == before
    assert warehouse.rows("select to_regclass('sys.repairs')") == [(None,)]
    refused = pyelt(capsys, "repair", str(project))
    assert (refused.code, "give --yes" in refused.err) == (1, True)
    assert rows_of_all_tables(warehouse) == before

    done = pyelt(capsys, "repair", str(project), "--yes")
    assert (done.code, done.out) == (
        0,
        BROKEN + CHANGES + "kliniek: 22 rows were mended; sys.repaired_rows has what they were\n",
    )
    mended = rows_of_all_tables(warehouse)
    again = pyelt(capsys, "repair", str(project), "--yes")
    assert (again.code, again.out) == (0, "kliniek: nothing to repair\n")
    assert rows_of_all_tables(warehouse) == mended
    assert warehouse.rows("select pipeline, rows, jsonb_array_length(found) from sys.repairs") == [("kliniek", 22, 10)]

    personalia = "select _id, _runid::text, _source_system, _active, _revision, _finish_date, achternaam"
    assert warehouse.rows(f"{personalia} from dv.patient_sat_personalia where _id > 3 order by 1, 2") == [
        (6, "811.00", "his", False, 0, "2017-03-02 02:03:00", "Fux"),
        (6, "812.00", "his", True, 1, None, "Fox"),
        (7, "812.00", "his", True, 0, None, "Gul"),
        (8, "811.00", "his", True, 0, None, "Hak"),
    ]
    assert warehouse.rows(
        "select type, _runid::text, _active, _revision, telnummer from dv.patient_sat_contact where _id = 6 order by 2"
    ) == [("mobiel", "811.00", False, 0, "066"), ("mobiel", "812.00", True, 1, "066")]
    assert warehouse.rows("select code, _source_system from valset.valueset order by 1") == [("m", "his"), ("v", "his")]
    assert warehouse.rows("select _id, fk_traject_hub, fk_arts_hub from dv.traject_arts_link order by 1") == [
        (1, 1, 1),
        (3, 2, 1),
    ]
    assert warehouse.rows(
        "select _id, _runid::text, _active, _revision, _finish_date, rol from dv.traject_arts_sat order by 1, 2"
    ) == [
        (1, "811.00", False, 0, "2017-03-02 02:04:00", "hulp"),
        (1, "812.00", True, 1, None, "regie"),
        (3, "811.00", True, 0, None, "regie"),
    ]
    assert warehouse.rows("select _id, fk_traject_arts_link from sor_his.traject_hstage order by 1") == [
        (1, 1),
        (2, 3),
        (3, None),
    ]
    assert warehouse.rows(
        "select _runid::text, _last_runid::text, message, key_fields from sor_his._exceptions order by message desc"
    ) == [("811.00", "812.01", "Geen achternaam", "4"), ("811.00", None, "Dubbele sleutel", "5")]
    assert warehouse.rows(
        "select runid::text, finish_date::text, exceptions from sys.runs order by 1 desc limit 1"
    ) == [("812.01", "2017-03-02 14:00:01", "never closed by PyELT; closed by pyelt repair")]
    # Nothing is lost: each row that went or changed stands in sys.repaired_rows as it was.
    gone = [row for table, rows in before.items() for row in rows if row not in mended[table]]
    kept = warehouse.rows("select count(*) from sys.repaired_rows where schemaname <> 'sys'")[0][0]
    assert kept >= len(gone) == 21
    assert warehouse.rows(
        "select tablename, before ->> '_id', before ->> 'achternaam' from sys.repaired_rows where what like '%%key is not there%%'",
        (),
    ) == [("patient_sat_personalia", "77", "Nobody")]


def test_killed_at_any_point_it_has_done_nothing_and_is_done_whole_later(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = str(old_clinic(warehouse, tmp_path))
    before = rows_of_all_tables(warehouse)
    steps, kills = 1, 0
    while killed(lambda: main(["repair", project, "--yes"]), steps):
        kills, steps = kills + 1, steps + 7
        assert rows_of_all_tables(warehouse) == before
        assert warehouse.rows(
            "select (select count(*) from sys.repairs), (select count(*) from sys.repaired_rows), "
            "(select count(*) from sys.runs where exceptions = 'never closed by PyELT; closed by pyelt repair')"
        ) == [(0, 0, 0)]
    assert kills >= 5
    assert pyelt(capsys, "repair", project, "--yes").out == "kliniek: nothing to repair\n"
    assert warehouse.rows("select rows from sys.repairs") == [(22,)]


def test_the_next_run_makes_the_keys_that_hold_and_check_tells_what_it_will_add(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = old_clinic(warehouse, tmp_path)
    assert pyelt(capsys, "repair", str(project), "--yes").code == 0
    checked = pyelt(capsys, "check", str(project), "--database", "--strict")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.split("DAG kliniek\n")[1] == (
        "  the next run adds to the warehouse:\n"
        "    1 new schema\n"
        "    dv: 1 new table, 4 new views\n"
        "    sor_lab: 1 new table\n"
        "    valset: 1 new table\n"
        "    1 new datamart\n"
        "    dv._exceptions: columns _id, _last_runid, _source_system, _stage, mapping, a new primary key, 3 indexes\n"
        "    dv.arts_hub, dv.patient_hub, dv.traject_hub: 1 index\n"
        "    dv.patient_sat, dv.patient_sat_contact, dv.patient_sat_status and 1 more: "
        "column _finish_runid, a new primary key, 3 indexes\n"
        "    dv.patient_sat_personalia, dv.traject_arts_sat: column _finish_runid, a new primary key, 3 indexes, 1 foreign key\n"
        "    dv.patient_traject_link, dv.traject_arts_link: 3 indexes\n"
        "    dv.patient_view: a new text of the view\n"
        "    sor_his._exceptions: columns _id, _source_system, _stage, mapping, a new primary key, 3 indexes\n"
        "    sor_his.code_hstage: column _finish_runid, 5 indexes\n"
        "    sor_his.patient_hstage: 6 indexes\n"
        "    sor_his.traject_hstage: column _finish_runid, 9 indexes\n"
        "    sor_lab.bepaling_hstage: column _finish_runid, 8 indexes\n"
        "    valset.valueset: columns _id, _finish_runid, 1 old unique key that makes way, a new primary key, 4 indexes\n"
    )
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-01").code == 0
    assert pyelt(capsys, "check", str(project), "--database").out.endswith("  the warehouse has all that it needs\n")
    assert warehouse.rows("select relname from pg_class where relname like '%%duplicates'", ()) == []
    assert warehouse.rows("select conname from pg_constraint where not convalidated") == []


def test_it_mends_a_warehouse_that_has_been_loaded_since_and_what_was_loaded_before_is_not_taken_back(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = old_clinic(warehouse, tmp_path)
    give_sources(warehouse)
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-01").code == 0
    stand_ins = "select relname from pg_class where relname like '%%duplicates' order by 1"
    assert [name for (name,) in warehouse.rows(stand_ins, ())] == [
        "patient_hstage_key_idx_duplicates",
        "patient_sat_contact_active_key_duplicates",
        "patient_sat_personalia_active_key_duplicates",
        "traject_arts_link_references_key_duplicates",
    ]
    done = pyelt(capsys, "repair", str(project), "--yes")
    assert done.code == 0, done.err
    assert "keys that no index keeps unique yet" in done.out
    assert "foreign keys that were not checked" in done.out
    assert warehouse.rows(stand_ins, ()) == []
    assert warehouse.rows("select conname from pg_constraint where not convalidated") == []
    assert pyelt(capsys, "repair", str(project), "--yes").out == "kliniek: nothing to repair\n"

    back = pyelt(capsys, "rewind", str(project), "--to", "812.01", "--yes")
    assert back.code == 3
    assert "run 813.00 loaded pipe his before `pyelt repair` of" in back.err
    again = pyelt(capsys, "run", str(project), "--date", "2026-01-01")
    assert "start a new run with the right deliveries" in again.err
    deliver_as_last(project, patient_6="6,Fix,1985-01-01,066,")
    assert pyelt(capsys, "run", str(project), "--date", "2026-01-02").code == 0
    assert pyelt(capsys, "rewind", str(project), "--to", "813.00", "--yes").code == 0
    assert warehouse.rows("select achternaam from dv.patient_sat_personalia where _id = 6 and _active") == [("Fox",)]


def test_what_needs_a_person_is_left_with_the_statement_to_run(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = old_clinic(warehouse, tmp_path)
    warehouse.execute("""
        update dv.patient_sat_personalia set _source_system = 'oud' where _id = 2;
        update dv.patient_sat set _source_system = 'oud', _active = false where _id = 2;
    """)
    done = pyelt(capsys, "repair", str(project), "--yes")
    assert done.code == 0
    assert done.out.split("  left for you:\n")[1] == (
        "    dv.patient_sat_personalia\n"
        "      1  rows without a source: several sources fill the table; say which one goes on with them: update "
        '"dv"."patient_sat_personalia" set _source_system = \'PIPE\' where _source_system is null and ...;\n'
        "      1  active rows of a source that no pipe has: no load goes on with them, so a pipe that delivers them adds its "
        'own; where a pipe has another name now: update "dv"."patient_sat_personalia" set _source_system = \'PIPE\' '
        "where _source_system = 'OLD NAME';\n"
        "kliniek: 21 rows were mended; sys.repaired_rows has what they were\n"
    )
    again = pyelt(capsys, "repair", str(project), "--yes")
    assert again.out.endswith("kliniek: nothing to repair that can be mended here\n")
    assert pyelt(capsys, "check", str(project), "--database", "--strict").code == 1


def test_it_waits_for_no_load_and_changes_nothing_when_it_cannot_have_the_tables(
    warehouse: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = old_clinic(warehouse, tmp_path)
    with (project / "pipeline.yaml").open("a") as file:
        file.write("lock_timeout: 1s\n")
    before = rows_of_all_tables(warehouse)
    for lock in (
        "select pg_advisory_xact_lock(hashtextextended('pyelt pipe his', 0))",
        "lock table dv.traject_arts_link in share mode",
    ):
        with contextlib.closing(warehouse.connect()) as loading, loading.cursor() as cursor:
            cursor.execute(lock)
            refused = pyelt(capsys, "repair", str(project), "--yes")
            assert refused.code == 1
            assert "nothing was repaired: " in refused.err
        assert rows_of_all_tables(warehouse) == before
    assert warehouse.rows("select count(*) from sys.repairs") == [(0,)]

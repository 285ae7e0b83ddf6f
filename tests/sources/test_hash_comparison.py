"""Wide tables of a PostgreSQL source: it computes hashes, and only rows that differ travel."""

from __future__ import annotations

from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.model.staging import SourceTable
from sources.test_databases import town_on
from staging.deliveries import TABLE, Town

WIDE = """
create table patients (nr int, naam text, born date, code char(3), ok bool, "Wide 100%" text);
insert into patients
select n, case when n % 10 > 0 then 'naam ' || n end, date '2000-01-01' + n, 'x', n % 2 = 0, repeat(md5(n::text), 18)
from generate_series(1, 10000) n"""


@pytest.fixture
def town(warehouse: Database, source_database: Database, tmp_path: Path) -> Town:
    source_database.execute(WIDE)
    loaded = town_on(warehouse, tmp_path, source_database.url)
    loaded.load()
    return loaded


def travelled(town: Town) -> list[tuple[int, int]]:
    """Rows that were read as a whole, and hashes that were read."""
    return town.rows(
        "select (select count(*) from sor_his.patient_temp), (select count(*) from sor_his.patient_temp_hash)"
    )


def test_a_night_with_nothing_new_reads_hashes_only(town: Town) -> None:
    assert town.load(day=2) == {TABLE: {"read": 10000}}
    assert travelled(town) == [(0, 10000)]


def test_only_rows_that_differ_are_read(town: Town, source_database: Database) -> None:
    source_database.execute("""
        update patients set naam = '' where nr in (10, 20); update patients set code = null where nr = 3;
        delete from patients where nr between 101 and 150;
        insert into patients (nr, naam) values (20001, 'O''Brien %s'), (20002, null)""")
    assert town.load(day=2) == {TABLE: {"read": 9952, "deleted": 50, "closed": 3, "changed": 3, "inserted": 2}}
    assert travelled(town) == [(5, 9952)]
    assert town.rows(
        f"select nr, naam, code, _revision from {TABLE} where _active and _runid = 2 order by nr::int"
    ) == [
        ("3", "naam 3", None, 1),
        ("10", "", "x  ", 1),
        ("20", "", "x  ", 1),
        ("20001", "O'Brien %s", None, 0),
        ("20002", None, None, 0),
    ]
    assert town.load(day=3) == {TABLE: {"read": 9952}}


def test_a_value_that_moves_to_the_next_column_is_a_change(town: Town, source_database: Database) -> None:
    source_database.execute(
        "update patients set naam = 'ab', code = 'c' where nr = 1; update patients set naam = 'x', code = null where nr = 2"
    )
    town.load(day=2)
    source_database.execute(
        "update patients set naam = 'a', code = 'bc' where nr = 1; update patients set naam = null, code = 'x' where nr = 2"
    )
    assert town.load(day=3)[TABLE]["changed"] == 2


def test_an_old_hash_in_staging_makes_nothing_look_changed(town: Town, warehouse: Database) -> None:
    warehouse.execute(f"update {TABLE} set _hash = md5('something else')")
    assert town.load(day=2) == {TABLE: {"read": 10000}}


@pytest.mark.parametrize(
    ("change", "rejected"),
    [
        ("insert into patients (nr, naam) values (null, 'Geen')", 1),
        ("insert into patients select * from patients where nr = 5", 1),
        ("insert into patients (nr, naam) values (30000, 'a'), (30000, 'b')", 2),
    ],
)
def test_null_and_repeated_keys_are_found_by_reading_everything(
    town: Town, source_database: Database, change: str, rejected: int
) -> None:
    source_database.execute(change)
    assert town.load(day=2)[TABLE]["rejected"] == rejected
    assert travelled(town) == [(10000 + rejected, 0)] or travelled(town) == [(10001, 0)]
    assert town.rows(f"select count(*) from {TABLE} where _active") == [(10000,)]


def test_a_delivery_that_would_delete_too_much_is_refused(town: Town, source_database: Database) -> None:
    source_database.execute("delete from patients where nr > 4000")
    assert "would delete 6000 of 10000" in town.refuses(None)
    source_database.execute("delete from patients")
    assert "has 0 rows while 10000 rows are active" in town.refuses(None)


def test_everything_is_read_when_very_many_rows_differ(
    town: Town, source_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyelt_provider.execution.delivery_steps.MANY_KEYS", 100)
    source_database.execute("update patients set naam = naam || '!' where nr <= 200")
    assert town.load(day=2)[TABLE]["changed"] == 180
    assert travelled(town) == [(10000, 0)]


def test_keys_that_are_sql_are_only_values(warehouse: Database, source_database: Database, tmp_path: Path) -> None:
    source_database.execute("""
        create table "Klanten" ("Nr" text, soort int, tekst text);
        insert into "Klanten" select 'k' || n, n % 3, repeat(md5(n::text), 18) from generate_series(1, 10000) n;
        insert into "Klanten" values ('''); drop table "Klanten"; --', 1, 'x'), (E'\\\\'' or true --', 2, 'x')""")
    town = town_on(warehouse, tmp_path, source_database.url, source=SourceTable(name="Klanten"), key=("nr", "soort"))
    town.load()
    source_database.execute("""update "Klanten" set tekst = 'y' where tekst = 'x'""")
    assert town.load(day=2) == {TABLE: {"read": 10002, "closed": 2, "changed": 2}}
    assert travelled(town) == [(2, 10002)]
    assert source_database.rows('select count(*) from "Klanten"') == [(10002,)]

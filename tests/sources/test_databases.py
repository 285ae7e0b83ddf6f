"""Source databases: tables and queries of PostgreSQL and SQLite, streamed as they are."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from grants import grant_reading
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.source import DatabaseSource
from pyelt_provider.model.staging import SourceQuery, SourceTable
from staging.deliveries import TABLE, Town

PATIENTS = SourceTable(name="patients")


def town_on(warehouse: Database, folder: Path, url: str, schema: str | None = None, **table: Any) -> Town:
    source = DatabaseSource(connection=ConnectionRef(url), default_schema=schema)
    return Town(warehouse, folder, pipe={"source": source}, **{"source": PATIENTS, **table})


def sqlite(folder: Path, script: str) -> str:
    """Run a script in the SQLite database of the test and return its URL."""
    path = folder / "source.db"
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return f"sqlite://{path}"


# ---------------------------------------------------------------- PostgreSQL


def test_a_table_of_postgresql_with_changes_and_deletes(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute("""
        create table patients (nr int primary key, naam text, born date, seen timestamptz, amount numeric(8,2), ok bool,
                               code char(4), raw bytea);
        insert into patients values
            (1, 'An', '1980-02-01', '2026-01-01 10:00+02', 1.50, true, 'a', 'x'), (2, 'Bo', null, null, null, null, null, null),
            (3, E'tab\\t back\\\\ line\\n', null, null, 0, false, '', '')""")
    town = town_on(warehouse, tmp_path, source_database.url)
    town.load()
    assert town.active("nr, naam, born, seen, amount, ok, code, raw") == [
        ("1", "An", "1980-02-01", "2026-01-01 08:00:00+00", "1.50", "t", "a   ", "\\x78"),
        ("2", "Bo", None, None, None, None, None, None),
        ("3", "tab\t back\\ line\n", None, None, "0.00", "f", "    ", "\\x"),
    ]
    assert town.load(day=2)[TABLE] == {"read": 3}
    source_database.execute("update patients set naam = 'Anna' where nr = 1; delete from patients where nr = 2")
    assert town.load(day=3)[TABLE] == {"read": 2, "closed": 1, "changed": 1, "deleted": 1}


def test_names_of_the_source_are_quoted_and_its_filter_is_kept(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute(
        """
        create schema "My Schema";
        create table "My Schema"."Order; drop table x" ("Nr" int, "select" text, "100%%" text);
        insert into "My Schema"."Order; drop table x" values (1, 'O''Brien', 'a'), (2, '50%%', 'b'), (3, 'x', 'c')""".replace(
            "%%", "%"
        )
    )
    grant_reading(source_database.dba_url, '"My Schema"')
    town = town_on(
        warehouse,
        tmp_path,
        source_database.url,
        schema="My Schema",
        source=SourceTable(name="Order; drop table x", filter="\"select\" like '%O%' or \"100%\" = 'b'"),
    )
    town.load()
    assert town.warehouse.rows(f'select nr, "select", "100%%" from {TABLE} order by nr', ()) == [
        ("1", "O'Brien", "a"),
        ("2", "50%", "b"),
    ]


def test_a_query_with_the_interval_in_it(warehouse: Database, source_database: Database, tmp_path: Path) -> None:
    source_database.execute(
        "create table visits (nr int, day date); insert into visits values (1, '2026-01-05'), (2, '2026-01-06')"
    )
    query = "select nr, 'visit' as naam\nfrom visits where day = '{{ ds }}' -- of that day\n;"
    town = town_on(warehouse, tmp_path, source_database.url, source=SourceQuery(sql=query))
    town.load(day=5)
    assert town.active() == [("1", "visit")]


def test_only_the_columns_of_the_config_are_read(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute(
        "create table patients (secret text, naam text, nr int); insert into patients values ('s', 'An', 1)"
    )
    town = town_on(warehouse, tmp_path, source_database.url, columns=("naam",))
    town.load()
    assert town.active() == [("1", "An")]
    assert (
        town.rows(
            "select column_name from information_schema.columns where column_name = 'secret' and table_schema = 'sor_his'"
        )
        == []
    )


def test_only_rows_past_the_position_are_read(warehouse: Database, source_database: Database, tmp_path: Path) -> None:
    source_database.execute("""
        create table patients (nr int, naam text, version bigint);
        insert into patients select n, 'naam ' || n, n from generate_series(1, 12) n""")
    town = town_on(warehouse, tmp_path, source_database.url, changed_since="version")
    assert town.load()[TABLE]["read"] == 12
    source_database.execute("""
        update patients set naam = 'new', version = 13 where nr = 2; delete from patients where nr = 3;
        insert into patients values (20, 'x', 100)""")
    assert town.load(day=2)[TABLE] == {"read": 3, "closed": 1, "changed": 1, "inserted": 1}
    assert town.load(day=3)[TABLE] == {"read": 1}
    assert town.rows("select runid::text, position from sys.source_positions order by 1") == [
        ("1.00", "12"),
        ("2.00", "100"),
        ("3.00", "100"),
    ]
    assert town.rows(f"select count(*) from {TABLE} where _active") == [(13,)]


def test_a_position_is_taken_back_with_its_run(warehouse: Database, source_database: Database, tmp_path: Path) -> None:
    source_database.execute(
        "create table patients (nr int, naam text, seen timestamp); insert into patients values (1, 'An', '2026-01-01 09:00')"
    )
    town = town_on(warehouse, tmp_path, source_database.url, changed_since="seen")
    town.load()
    source_database.execute(
        "insert into patients values (2, 'Bo', '2026-01-01 10:00:00.5'), (3, 'Cor', '2026-01-01 10:00')"
    )
    town.load(day=2)
    assert town.load(day=2)[TABLE]["inserted"] == 2
    assert town.rows("select position from sys.source_positions order by runid") == [
        ("2026-01-01 09:00:00",),
        ("2026-01-01 10:00:00.5",),
    ]


def test_debug_reads_100_rows_and_moves_no_position(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute(
        "create table patients (nr int, naam text, v int); insert into patients select n, 'x', n from generate_series(1, 300) n"
    )
    town = town_on(warehouse, tmp_path, source_database.url, changed_since="v")
    town.configure(pipeline={"debug": True})
    assert town.load()[TABLE]["read"] == 100
    assert town.rows("select count(*) from sys.source_positions") == [(0,)]


def test_a_source_that_fails_in_the_middle_changes_nothing(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute(
        "create table patients as select n as nr, 'Geheim ' || n as naam from generate_series(1, 50000) n"
    )
    town = town_on(warehouse, tmp_path, source_database.url)
    town.load()
    town.configure(
        source=SourceQuery(
            sql="select nr, case when nr = 49999 then (naam::int)::text else naam end as naam from patients"
        )
    )
    message = town.refuses(None)
    assert "the source database refused: 22P02" in message and "Geheim" not in message


def test_a_warehouse_that_refuses_rows_ends_the_source_too(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute(
        "create table patients as select n as nr, repeat('x', 100) as naam from generate_series(1, 100000) n"
    )
    town = town_on(warehouse, tmp_path, source_database.url)
    town.load()
    town.rows("select 1")
    warehouse.execute("alter table sor_his.patient_temp add constraint c check (nr <> '5') no inherit")
    town.refuses(None)
    assert source_database.rows(
        "select count(*) from pg_stat_activity where state <> 'idle' and query like 'copy (select%'"
    ) == [(0,)]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (SourceTable(name="nowhere"), "42P01"),
        (SourceQuery(sql="select * form patients"), "42601"),
    ],
)
def test_a_table_or_query_that_the_source_does_not_know(
    warehouse: Database, source_database: Database, tmp_path: Path, source: Any, what: str
) -> None:
    source_database.execute("create table patients (nr int, naam text); insert into patients values (1, 'An')")
    town = town_on(warehouse, tmp_path, source_database.url)
    town.load()
    town.configure(source=source)
    assert what in town.refuses(None)


def test_a_wrong_password_is_refused_and_not_told(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute("create table patients (nr int, naam text); insert into patients values (1, 'An')")
    town = town_on(warehouse, tmp_path, source_database.url)
    town.load()
    wrong = source_database.url.replace("://reader:", "://reader:WRONG")
    town.configure(pipe={"source": DatabaseSource(connection=ConnectionRef(wrong))})
    message = town.refuses(None)
    assert "cannot be reached" in message and "WRONG" not in message


def test_a_key_that_looks_like_sql_does_nothing_to_the_source(
    warehouse: Database, source_database: Database, tmp_path: Path
) -> None:
    source_database.execute("""
        create table patients (nr text, naam text);
        insert into patients values ('''; drop table patients; --', 'O''Brien'), ('$$', '%s')""")
    town = town_on(warehouse, tmp_path, source_database.url)
    town.load()
    source_database.execute("update patients set naam = naam || '!'")
    assert town.load(day=2)[TABLE]["changed"] == 2
    assert town.active() == [("$$", "%s!"), ("'; drop table patients; --", "O'Brien!")]
    assert source_database.rows("select count(*) from patients") == [(2,)]


# ---------------------------------------------------------------- SQLite, through DB-API


def test_a_table_of_sqlite_with_changes_and_deletes(warehouse: Database, tmp_path: Path) -> None:
    url = sqlite(
        tmp_path,
        """create table patients (nr integer, naam text, amount real, raw blob);
        insert into patients values (1, 'An' || char(10) || 'na', 1.5, x'01ff'), (2, null, null, null), (3, '', 3, '\\N')""",
    )
    town = town_on(warehouse, tmp_path, url)
    town.load()
    assert town.active("nr, naam, amount, raw") == [
        ("1", "An\nna", "1.5", "\\x01ff"),
        ("2", None, None, None),
        ("3", "", "3.0", "\\N"),
    ]
    sqlite(tmp_path, "delete from patients where nr = 2; update patients set naam = 'x' where nr = 3")
    assert town.load(day=2)[TABLE] == {"read": 2, "closed": 1, "changed": 1, "deleted": 1}


def test_a_query_of_sqlite_with_percent_signs(warehouse: Database, tmp_path: Path) -> None:
    url = sqlite(
        tmp_path, "create table patients (nr integer, naam text); insert into patients values (1, 'An'), (2, 'Bo')"
    )
    town = town_on(warehouse, tmp_path, url, source=SourceQuery(sql="select * from patients where naam like '%n';"))
    town.load()
    assert town.active() == [("1", "An")]


@pytest.mark.parametrize(
    ("values", "positions"),
    [
        (("9", "10", "11"), ["10", "11"]),
        (
            ("'2026-01-01 09:00:00'", "'2026-01-01 10:00:00'", "'2026-01-01 10:00:01'"),
            ["2026-01-01 10:00:00", "2026-01-01 10:00:01"],
        ),
    ],
)
def test_only_rows_past_the_position_are_read_from_sqlite(
    warehouse: Database, tmp_path: Path, values: tuple[str, str, str], positions: list[str]
) -> None:
    url = sqlite(
        tmp_path,
        f"create table patients (nr integer, naam text, v); insert into patients values (1, 'An', {values[0]}), (2, 'Bo', {values[1]})",
    )
    town = town_on(warehouse, tmp_path, url, changed_since="v")
    town.load()
    sqlite(tmp_path, f"insert into patients values (3, 'Cor', {values[2]})")
    assert town.load(day=2)[TABLE] == {"read": 2, "inserted": 1}
    assert town.rows("select position from sys.source_positions order by runid") == [(p,) for p in positions]


def test_sqlite_without_the_table_is_refused(warehouse: Database, tmp_path: Path) -> None:
    town = town_on(warehouse, tmp_path, sqlite(tmp_path, "create table other (nr integer)"))
    assert "the source database refused" in town.refuses(None)

"""The roles of docs/operations.md, "Grants": every test loads and reads with them; here, that they are no more than that."""

from __future__ import annotations

import contextlib
from datetime import date, timedelta
from pathlib import Path

import psycopg2
import pytest

from databases import Database
from grants import LOADER, READER, statements
from loading import Loader
from pyelt_provider.embedded.server import EmbeddedServer
from small_project import deliver, small_pipeline

DAY = date(2026, 1, 1)


def loaded(warehouse: Database, folder: Path) -> Loader:
    loader = Loader(warehouse, small_pipeline(folder))
    deliver(folder, DAY, patients="1;Ann;Delft;d1\n", relations="1;0611\n")
    loader.run(DAY)
    return loader


def test_the_loader_is_no_superuser_and_has_no_right_that_the_docs_do_not_give(
    server: EmbeddedServer, warehouse: Database
) -> None:
    role = "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin from pg_roles"
    assert warehouse.rows(f"{role} where rolname = current_user") == [(False, False, False, False, False, True)]
    assert warehouse.rows("select current_user::text, array_agg(pg_has_role(oid, 'member')) from pg_roles "
                          "where rolname <> current_user and pg_has_role(oid, 'member') group by 1") == []  # fmt: skip
    assert warehouse.rows(
        "select grantee::regrole::text, array_agg(privilege_type order by privilege_type) "
        "from pg_database, aclexplode(datacl) where datname = current_database() and grantee <> datdba group by 1"
    ) == [(LOADER, ["CONNECT", "CREATE", "TEMPORARY"])]
    assert warehouse.rows("select has_schema_privilege('public', 'create')") == [(False,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        warehouse.execute("create table public.mine (id int)")


def test_the_reader_of_a_source_can_read_and_nothing_else(source_database: Database) -> None:
    source_database.execute("create table person (id int); insert into person values (1)")
    with contextlib.closing(psycopg2.connect(source_database.url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("select current_user::text, id from person")
        assert cursor.fetchall() == [(READER, 1)]
        for forbidden in (
            "insert into person values (2)",
            "delete from person",
            "create table other (id int)",
            "create temporary table other (id int)",
            "create schema other",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)


def test_a_load_leaves_everything_owned_by_the_loader(warehouse: Database, tmp_path: Path) -> None:
    loaded(warehouse, tmp_path)
    assert warehouse.rows(
        "select distinct relowner::regrole::text from pg_class join pg_namespace n on n.oid = relnamespace "
        "where nspname !~ '^(pg_|information_schema)'"
    ) == [(LOADER,)]


def test_a_warehouse_of_another_role_says_what_is_missing_and_is_handed_over_by_the_statement_of_the_docs(
    warehouse: Database, tmp_path: Path
) -> None:
    loader = loaded(warehouse, tmp_path)
    warehouse.as_dba("create role pyelt_old; reassign owned by loader to pyelt_old")
    try:
        deliver(tmp_path, DAY + timedelta(1), patients="1;Anna;Delft;d1\n", relations="1;0611\n")
        said = loader.fails(DAY + timedelta(1))
        assert "42501 insufficient privilege: permission denied for schema sys" in said

        (handing_over,) = statements("reassign owned")
        warehouse.as_dba(handing_over)
        loader.run(DAY + timedelta(1))
        assert warehouse.rows("select default_naam from dv.patient_view") == [("Anna",)]
    finally:
        warehouse.as_dba("drop owned by pyelt_old; drop role pyelt_old")

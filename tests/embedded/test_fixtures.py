"""The databases that every other test relies on."""

from __future__ import annotations

from databases import Database
from pyelt_provider.embedded.server import EmbeddedServer


def test_each_test_gets_an_empty_utf8_database_that_sorts_by_code_point(warehouse: Database) -> None:
    assert warehouse.rows("select count(*) from pg_tables where schemaname = 'public'") == [(0,)]
    assert warehouse.rows("select current_setting('server_encoding'), current_setting('data_checksums')") == [
        ("UTF8", "on")
    ]
    assert warehouse.rows("select x from (values ('a'), ('B'), ('é')) as t (x) order by x") == [("B",), ("a",), ("é",)]


def test_warehouse_and_source_are_two_databases_of_one_server(
    server: EmbeddedServer, warehouse: Database, source_database: Database
) -> None:
    warehouse.execute("create schema own create table only_here (id int)")

    assert warehouse.name != source_database.name
    assert source_database.rows("select to_regclass('own.only_here')") == [(None,)]
    assert warehouse.url.endswith(f"@127.0.0.1:{server.port}/{warehouse.name}")


def test_parameters_reach_the_query(warehouse: Database) -> None:
    assert warehouse.rows("select %(value)s::text || '%%'", {"value": "100"}) == [("100%",)]

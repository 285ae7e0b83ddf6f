"""What a log may say about a database error: never a value."""

from __future__ import annotations

import contextlib

import psycopg2
import pytest

from databases import Database
from pyelt_provider.execution.database_errors import safe_message


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 'geheim'::integer", "22P02 invalid text representation: invalid input syntax for type integer"),
        ("select '2026-31-01'::date", "22008 datetime field overflow: date/time field value out of range"),
        ("select nosuch", '42703 undefined column: column "nosuch" does not exist'),
        ("select 1/0", "22012 division by zero: division by zero"),
        (
            "create temp table t (a text primary key); insert into t values ('geheim'), ('geheim')",
            '23505 unique violation: duplicate key value violates unique constraint "t_pkey"',
        ),
    ],
)
def test_an_error_says_what_and_where_without_a_value(warehouse: Database, sql: str, expected: str) -> None:
    with (
        contextlib.closing(warehouse.connect()) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.Error) as caught,
    ):
        cursor.execute(sql)
    assert safe_message(caught.value) == expected
    assert "geheim" not in safe_message(caught.value)


def test_a_doubled_percent_sign_is_one_also_without_parameters(warehouse: Database) -> None:
    with contextlib.closing(warehouse.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("select 'a%%' like 'a%%'", {})
        assert cursor.fetchall() == [(True,)]

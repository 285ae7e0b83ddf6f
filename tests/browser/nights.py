"""What the warehouse and Airflow say of the sample's nights while the demo runs, and waiting for them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from pyelt_provider.demo.stack import DemoStack

PATIENCE_SECONDS = 240


def wait_until_all_ended(demo: DemoStack) -> None:
    """Wait until no run of the DAG `clinic` has anything left to do; all of them must have gone well."""
    _wait(demo, lambda: all(run.ended for run in demo.api.runs("clinic")))
    assert {run.run_id: run.state for run in demo.api.runs("clinic") if run.state != "success"} == {}


def wait_until_done_again(demo: DemoStack, run: str, before: dict[str, int]) -> None:
    """Wait until a run has come to its end once more than `attempts` counted before."""
    _wait(demo, lambda: attempts(demo, run)["close"] > before["close"])


def wait_until_red(demo: DemoStack, run: str) -> None:
    """Wait until a run of the DAG `clinic` has failed."""
    _wait(demo, lambda: any(found.run_id == run and found.state == "failed" for found in demo.api.runs("clinic")))


def attempts(demo: DemoStack, run: str) -> dict[str, int]:
    """How often each stage of a run was done."""
    counted = (
        "select stage, count(*) filter (where state = 'done') from sys.attempts "
        "where runid = (select runid from sys.runs where dag_run_id = %s) group by stage"
    )
    return {str(stage): int(count) for stage, count in _ask(demo, counted, (run,))}


def run_number(demo: DemoStack, run: str) -> str:
    """The run's number in the warehouse."""
    return str(_ask(demo, "select runid from sys.runs where dag_run_id = %s", (run,))[0][0])


def task_states(demo: DemoStack, run: str) -> dict[str, str]:
    """How each task of a run of the DAG `clinic` ended."""
    states = "select task_id, state from task_instance where dag_id = 'clinic' and run_id = %s"
    with contextlib.closing(psycopg2.connect(demo.server.url("airflow"))) as connection, connection.cursor() as cursor:
        cursor.execute(states, (run,))
        return dict(cursor.fetchall())


def warehouse_rows(demo: DemoStack) -> dict[str, list[str]]:
    """Every row of staging, valuesets and vault, without what a repeat may change: surrogate keys and times."""
    tables = (
        "select format('%I.%I', table_schema, table_name), table_name from information_schema.tables "
        "where table_type = 'BASE TABLE' and table_schema ~ '^(sor_|valset|dv)' and table_name !~ '_temp'"
    )
    content = (
        "select (select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(t)) "
        "where key !~ '^(_id|fk_.*|_insert_date|_finish_date)$')::text from {} as t"
    )
    return {name: sorted(str(row[0]) for row in _ask(demo, content.format(name))) for name, _ in _ask(demo, tables)}


def _wait(demo: DemoStack, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "what was to be done again has not been done"
        demo.check()
        time.sleep(0.5)


def _ask(demo: DemoStack, query: str, parameters: tuple[str, ...] | None = None) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(demo.warehouse_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())

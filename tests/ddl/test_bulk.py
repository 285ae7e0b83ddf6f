"""An empty table is loaded without its indexes and keys, and has them all afterwards."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from databases import Database
from pyelt_provider.identifiers import TableName
from pyelt_provider.statements.ddl.bulk import drop_for_bulk, restore_after_bulk
from pyelt_provider.statements.ddl.bulk_mode import load_in_bulk
from pyelt_provider.statements.ddl.tables import TableSpec, hub_spec, specs_of
from pyelt_provider.statements.step import Program, Result, Statement
from written_projects import loader

DOMAIN = """
hubs:
  Patient: {satellites: {Default: {name: text}}}
links:
  PatientPatient: {references: {one: Patient, other: Patient}}
"""

DEFINITIONS = """
    select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
    where connamespace = 'dv'::regnamespace and contype in ('p', 'u', 'f')
    union all
    select tablename, indexname, indexdef from pg_indexes where schemaname = 'dv'
    order by 1, 2, 3
"""


def walk(warehouse: Database, program: Program) -> list[Statement]:
    """Do the statements of a program in one transaction."""
    done: list[Statement] = []
    with contextlib.closing(warehouse.connect()) as connection, connection.cursor() as cursor:
        step = next(program, None)
        while step is not None:
            assert isinstance(step, Statement)
            done.append(step)
            cursor.execute(step.sql, dict(step.parameters))
            rows = tuple(cursor.fetchall()) if step.fetch else ()
            try:
                step = program.send(Result(row_count=max(cursor.rowcount, 0), rows=rows))
            except StopIteration:
                step = None
        connection.commit()
    return done


def bulk(spec: TableSpec, rows: str, seen: list[Any], warehouse: Database) -> Program:
    dropped = yield from drop_for_bulk(spec)
    left = yield Statement(label="look", fetch=True, sql=DEFINITIONS)
    seen += [row[1] for row in left.rows if row[0].rpartition(".")[2] == spec.table.name]
    yield Statement(label="fill", sql=rows)
    yield from restore_after_bulk(dropped)


def test_indexes_and_keys_are_gone_during_the_load_and_back_after_it(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=["prepare", "ddl_dv"])
    warehouse.execute("""
        create index "DBA's own, 100%" on dv.patient_sat (lower(name)) where name like 'A%';
        alter table dv.patient_sat rename constraint patient_sat_pkey to old_key;
        insert into dv.patient_hub (_runid, bk) values (1, 'a'), (1, 'b');
    """)
    before = warehouse.rows(DEFINITIONS)
    spec = next(spec for spec in specs_of(project.pipeline) if spec.table == TableName("dv", "patient_sat"))
    seen: list[Any] = []
    rows = "insert into dv.patient_sat (_id, _runid, _source_system, name) values (1, 1, 'his', 'Anna'), (2, 1, 'his', 'B')"
    walk(warehouse, bulk(spec, rows, seen, warehouse))
    assert seen == []
    assert warehouse.rows(DEFINITIONS) == before
    assert warehouse.rows("select reltuples from pg_class where oid = 'dv.patient_sat'::regclass") == [(2.0,)]


def test_a_primary_key_that_others_point_at_stays(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=["prepare", "ddl_dv"])
    before = warehouse.rows(DEFINITIONS)
    seen: list[Any] = []
    rows = "insert into dv.patient_hub (_runid, bk) values (1, 'a'), (1, 'b')"
    walk(warehouse, bulk(hub_spec(project.pipeline.hubs["Patient"]), rows, seen, warehouse))
    assert seen == ["patient_hub_pkey", "patient_hub_pkey"]
    assert warehouse.rows(DEFINITIONS) == before


ROWS = "insert into dv.patient_hub (_runid, bk) values (1, 'a'), (1, 'b')"
FILE = "select relfilenode from pg_class where oid = 'dv.patient_hub'::regclass"


def fill() -> Program:
    yield Statement(label="fill", sql=ROWS)


def test_keys_of_other_tables_go_with_the_hubs_own_ones_and_come_back(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=["prepare", "ddl_dv"])
    before, file = warehouse.rows(DEFINITIONS), warehouse.rows(FILE)
    done = walk(warehouse, load_in_bulk(hub_spec(project.pipeline.hubs["Patient"]), fill()))
    filled = [statement.label for statement in done].index("fill")
    assert [s.label for s in done[:filled] if str(s.table) == "dv.patient_sat"] == [
        "drop key patient_sat__id_fkey before the first load"
    ]
    assert warehouse.rows(DEFINITIONS) == before
    assert warehouse.rows(FILE) != file
    assert warehouse.rows("select bk from dv.patient_hub order by 1") == [("a",), ("b",)]


def test_keys_of_a_table_that_somebody_else_loads_stay(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=["prepare", "ddl_dv"])
    before, file = warehouse.rows(DEFINITIONS), warehouse.rows(FILE)
    spec = hub_spec(project.pipeline.hubs["Patient"])
    with contextlib.closing(warehouse.connect()) as other, other.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock_shared(hashtextextended('pyelt table dv.patient_patient_link', 0))"
        )
        done = walk(warehouse, load_in_bulk(spec, fill()))
    assert not [statement for statement in done if statement.label == "start with new files"]
    assert warehouse.rows(DEFINITIONS) == before
    assert warehouse.rows(FILE) == file
    assert warehouse.rows("select bk from dv.patient_hub order by 1") == [("a",), ("b",)]

"""Database functions of a project are made once per text, before the tables that they name where that is possible."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from written_projects import labels, loader

DOMAIN = "hubs: {Patient: {satellites: {Default: {name: text}}}}"
PIPE = "pipe: his\nsource_path: his\nsor_schema: sor_his\n"
INITIALS = "create or replace function sys.initials(t text) returns text language sql immutable as $$ select left(t, 1) || '%' $$;"
COUNT = """
create or replace function dv.how_many() returns bigint language sql stable
begin atomic select count(*) from dv.patient_hub; end;
"""


def test_a_function_is_made_once_per_text_and_again_when_somebody_dropped_it(
    warehouse: Database, tmp_path: Path
) -> None:
    project = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, functions__initials___sql=INITIALS)
    assert "create function sys.initials" in labels(project.run(stages=["prepare"])["prepare"])
    assert warehouse.rows("select sys.initials('Anna')") == [("A%",)]
    assert "create function sys.initials" not in labels(project.run(stages=["prepare"], name="2")["prepare"])
    warehouse.execute("drop function sys.initials")
    assert "create function sys.initials" in labels(project.run(stages=["prepare"], name="3")["prepare"])
    changed = INITIALS.replace("left(t, 1)", "left(t, 2)")
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, functions__initials___sql=changed).run(stages=["prepare"], name="4")
    assert warehouse.rows("select sys.initials('Anna')") == [("An%",)]
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, functions__initials___sql=INITIALS).run(stages=["prepare"], name="5")
    assert warehouse.rows("select sys.initials('Anna')") == [("A%",)]


def test_a_function_that_needs_a_table_of_the_vault_is_made_when_that_is_there(
    warehouse: Database, tmp_path: Path
) -> None:
    model = "-- materialized: table\nselect dv.how_many() as patients, count(*) as rows from dv.patient_view"
    project = loader(warehouse, tmp_path, DOMAIN, functions__how_many___sql=COUNT, datamarts__counted___sql=model)
    project.run(stages=["prepare", "ddl_dv", "ddl_dm", "etl_dm"])
    assert warehouse.rows("select * from dm.counted") == [(0, 0)]


def test_a_function_with_another_result_is_refused_with_the_statement_for_a_dba(
    warehouse: Database, tmp_path: Path
) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, functions__initials___sql=INITIALS).run(stages=["prepare"])
    changed = INITIALS.replace("returns text", "returns varchar")
    project = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, functions__initials___sql=changed)
    assert "a DBA may run: drop function sys.initials;" in project.fails(stages=["prepare"], name="2")

"""The ddl_sor stage: tables, indexes, functions and extra SQL; and the hooks and error rules of etl_sor."""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.errors import DdlRefused
from pyelt_provider.model.domain import Column, Domain, Hub, Satellite
from pyelt_provider.model.mapping import EntityMapping, FieldMapping, MappingSource
from pyelt_provider.model.pipe import DatabaseFunction, ExtraSql, Hook
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.model.staging import CsvFile, StagingTable
from staging.deliveries import TABLE, Town, rule

DAY_1 = date(2026, 1, 1)


def test_the_columns_of_staging_are_pyelts_and_ours(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, fk_columns=(("fk_patient_hub", "Patient"),))
    town.load("nr,naam\n1,An\n")
    assert town.rows(
        "select column_name::text, data_type::text from information_schema.columns "
        "where (table_schema, table_name) = ('sor_his', 'patient_hstage') order by ordinal_position"
    ) == [
        ("_id", "bigint"),
        ("_runid", "numeric"),
        ("_active", "boolean"),
        ("_source_system", "character varying"),
        ("_insert_date", "timestamp without time zone"),
        ("_finish_date", "timestamp without time zone"),
        ("_deleted_runid", "numeric"),
        ("_finish_runid", "numeric"),
        ("_revision", "integer"),
        ("_valid", "boolean"),
        ("_validation_msg", "character varying"),
        ("_hash", "character varying"),
        ("nr", "text"),
        ("naam", "text"),
        ("fk_patient_hub", "bigint"),
    ]
    assert town.rows(
        "select relname::text, relpersistence::text from pg_class where relname in ('patient_temp', 'patient_hstage') order by 1"
    ) == [
        ("patient_hstage", "p"),
        ("patient_temp", "u"),
    ]


def test_one_active_row_per_key_is_kept_by_an_index_also_after_a_bulk_load(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n")
    assert town.rows(
        "select indexdef from pg_indexes where tablename = 'patient_hstage' and indexdef like '%%UNIQUE%%(nr)%%'"
    ) == [("CREATE UNIQUE INDEX patient_hstage_key_idx ON sor_his.patient_hstage USING btree (nr) WHERE _active",)]
    assert town.rows(
        "select column_name::text from information_schema.columns "
        "where table_name = 'patient_hstage' and column_default is not null order by 1"
    ) == [("_active",), ("_revision",), ("_valid",)]


def test_a_second_run_takes_no_lock_when_there_is_nothing_to_do(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"extra_sql": (ExtraSql(name="x", sql="create table sor_his.x ()"),)})
    town.load("nr,naam\n1,An\n")
    with contextlib.closing(warehouse.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(f"lock table {TABLE}, sor_his.patient_temp, sor_his._exceptions in access share mode")
        cursor.execute("select pg_advisory_lock(hashtextextended('pyelt ddl', 0))")
        town.loader.run(date(2026, 1, 2), stages={"prepare", "his.sor.ddl_sor"})


def test_a_new_column_is_added_and_none_is_dropped(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam,oud\n1,An,x\n")
    town.configure(columns=("nr", "naam", "nieuw"))
    town.load("nr,nieuw,naam\n1,y,An\n", day=2)
    assert town.rows(f"select nr, naam, oud, nieuw from {TABLE} where _active") == [("1", "An", None, "y")]


def test_ddl_is_refused_with_its_text_when_the_pipeline_asks_first(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n")
    town.configure(pipeline={"ask_confirm_on_db_changes": True})
    assert 'add column "plaats" text' in town.refuses("nr,naam,plaats\n1,An,Urk\n")
    town.load("nr,naam,plaats\n1,An,Urk\n", day=2, allow_ddl=True)
    assert town.active("nr, plaats") == [("1", "Urk")]


def test_a_function_is_made_anew_only_when_its_text_changed(warehouse: Database, tmp_path: Path) -> None:
    def function(body: str) -> DatabaseFunction:
        sql = f"create or replace function sor_his.postcode(text) returns text language sql immutable as $$ {body} $$;"
        return DatabaseFunction(name="sor_his.postcode", sql=sql, file="functions/postcode.sql")

    first, second = function("select upper($1) || '100%'"), function("select lower($1)")
    town = Town(warehouse, tmp_path, pipe={"functions": (first,)})
    town.load("nr,naam\n1,An\n")
    made = town.rows("select xmin::text from pg_proc where proname = 'postcode'")
    town.load("nr,naam\n1,An\n", day=2)
    assert town.rows("select xmin::text from pg_proc where proname = 'postcode'") == made
    assert town.rows("select sor_his.postcode('a')") == [("A100%",)]
    town.configure(pipe={"functions": (second,)})
    town.load(day=3)
    assert town.rows("select sor_his.postcode('A')") == [("a",)]
    town.configure(pipe={"functions": (first,)})
    town.load(day=4)
    assert town.rows("select sor_his.postcode('a')") == [("A100%",)]


def test_a_changed_function_judges_all_rows_again(warehouse: Database, tmp_path: Path) -> None:
    def function(body: str) -> DatabaseFunction:
        sql = (
            f"create or replace function dwh.is_bad(text) returns boolean language sql immutable as $$ select {body} $$"
        )
        return DatabaseFunction(name="dwh.is_bad", sql=sql, file="functions/bad.sql")

    town = Town(
        warehouse,
        tmp_path,
        pipe={"functions": (function("$1 = 'An'"),), "validations": (rule(when="dwh.is_bad(naam)"),)},
    )
    town.load("nr,naam\n1,An\n2,Bo\n")
    town.configure(pipe={"functions": (function("$1 = 'Bo'"),)})
    town.load(day=2)
    assert [row[0] for row in town.rejected()] == ["2"]


def test_extra_sql_runs_once_per_text(warehouse: Database, tmp_path: Path) -> None:
    def extra(sql: str) -> tuple[ExtraSql, ...]:
        return (ExtraSql(name="counter", sql=sql),)

    town = Town(
        warehouse,
        tmp_path,
        pipe={
            "extra_sql": extra("create table sor_his.counted (what text); insert into sor_his.counted values ('100%')")
        },
    )
    town.load("nr,naam\n1,An\n")
    town.load(day=2)
    assert town.rows("select what from sor_his.counted") == [("100%",)]
    town.configure(pipe={"extra_sql": extra("insert into sor_his.counted values ('again')")})
    town.load(day=3)
    town.load(day=4)
    assert town.rows("select what from sor_his.counted order by 1") == [("100%",), ("again",)]


def test_extra_sql_that_fails_is_not_remembered(warehouse: Database, tmp_path: Path) -> None:
    town = Town(
        warehouse, tmp_path, pipe={"extra_sql": (ExtraSql(name="grant", sql="grant select on nowhere to public"),)}
    )
    town.deliver("nr,naam\n1,An\n")
    assert "run extra SQL grant" in town.loader.fails(DAY_1)
    assert town.rows("select count(*) from sys.extra_sql") == [(0,)]


def test_an_index_for_a_business_key_that_is_not_the_staging_key(warehouse: Database, tmp_path: Path) -> None:
    mapping = EntityMapping(
        name="patient_hstage -> Patient",
        source=MappingSource(staging="patient_hstage"),
        hub="Patient",
        bk="lower(naam)",
        fields=(FieldMapping(satellite="Default", column="naam", expression="naam"),),
    )
    satellite = Satellite(schema="dv", owner="Patient", name="Default", columns=(Column(name="naam", type="text"),))
    hub = Hub(schema="dv", name="Patient", root="Patient", satellites=(satellite,))
    town = Town(warehouse, tmp_path, pipe={"entities": (mapping,)})
    town.configure(pipeline={"domains": (Domain(schema="dv", hubs=(hub,)),)})
    town.deliver("nr,naam\n1,An\n")
    for _ in range(2):
        town.loader.run(
            DAY_1, stages={"prepare", "ddl_dv", "his.sor.ddl_sor", "his.sor.check_mappings", "his.sor.etl_sor"}
        )
    assert town.rows(
        "select indexdef like '%%(lower(naam))%%WHERE _active' from pg_indexes "
        "where tablename = 'patient_hstage' and indexdef like '%%lower%%'"
    ) == [(True,)]


def test_hooks_work_in_the_transaction_of_the_load(warehouse: Database, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(
        "def before(context):\n"
        "    with context.connection.cursor() as cursor:\n"
        "        cursor.execute('create table if not exists sor_his.log (what text)')\n"
        "        cursor.execute('insert into sor_his.log values (%s)', (f'before {context.run.number}',))\n"
        "def after(context):\n"
        "    with context.connection.cursor() as cursor:\n"
        "        cursor.execute('insert into sor_his.log select %s || count(*) from sor_his.patient_hstage', ('after ',))\n"
    )
    hooks = {"before_sor": (Hook(target="hooks.py:before"),), "after_sor": (Hook(target="hooks.py:after"),)}
    town = Town(warehouse, tmp_path, pipe=hooks)
    town.load("nr,naam\n1,An\n2,Bo\n")
    assert town.rows("select what from sor_his.log order by 1") == [("after 2",), ("before 1.00",)]
    town.refuses("nr,naam\n1,An,x\n")
    assert town.rows("select count(*) from sor_his.log") == [(2,)]


def test_with_on_errors_log_one_bad_delivery_does_not_stop_the_other(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    other = StagingTable(schema="sor_his", name="zorg_hstage", source=CsvFile(path="zorg.csv"), key=("nr",))
    tables = (*town.loader.pipeline.pipes[0].tables, other)
    town.configure(pipe={"tables": tables}, pipeline={"on_errors": OnErrors.LOG})
    town.deliver("nr\n1\n", name="zorg.csv")
    town.load("nr,naam\n1,An\n")
    town.deliver("nr\n1\n2\n", name="zorg.csv")
    town.deliver("nr,naam\n1,An,x\n")
    outcome = town.loader.run(date(2026, 1, 2), stages={"prepare", "his.sor.ddl_sor", "his.sor.etl_sor"})[
        "his.sor.etl_sor"
    ]
    assert outcome.state == "failed"
    assert [name for name, _ in outcome.failures] == ["patient_hstage"]
    assert town.active() == [("1", "An")]
    assert town.rows("select count(*) from sor_his.zorg_hstage where _active") == [(2,)]
    town.deliver("nr,naam\n1,Anna\n")
    again = town.loader.run(date(2026, 1, 2), stages={"his.sor.etl_sor"})["his.sor.etl_sor"]
    assert again.state == "done"
    assert town.active() == [("1", "Anna")]
    assert town.rows("select count(*) from sor_his.zorg_hstage where _active") == [(2,)]


OLD = """
create schema sor_his;
create table sor_his.patient_hstage (
    _id serial primary key, _runid numeric(8,2) not null, _active bool default true, _source_system varchar,
    _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2), _revision int default 0,
    _valid bool not null default true, _validation_msg varchar, _hash varchar, nr text, naam text, fk_patient_hub int);
create unlogged table sor_his.patient_temp (_hash text, _status text, nr text, naam text);
create unlogged table sor_his.patient_temp_hash (nr text, _hash text, _changed bool);
create table sor_his._exceptions (_runid numeric, schema text, table_name text, message text, key_fields text, fields text);
insert into sor_his.patient_hstage (_runid, _active, _source_system, _revision, _valid, _hash, nr, naam) values
    (0.01, false, 'his', 0, true, 'h0', '1', 'A'), (0.02, true, 'his', 1, true, 'h1', '1', 'An'),
    (0.01, true, 'his', 0, true, 'h2', '2', 'Bo'), (0.01, true, 'his', 0, false, 'h3', '3', 'Cor');
"""


def test_an_old_pyelt_table_is_continued_in_place(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD)
    town = Town(warehouse, tmp_path)
    numbers = town.load("nr,naam\n1,An\n2,Bob\n3,Cor\n")
    assert numbers[TABLE] == {"read": 3, "closed": 1, "changed": 1, "rejected": 0, "freed": 1}
    assert town.rows(f"select _id, nr, naam, _active, _revision, _valid, fk_patient_hub from {TABLE} order by _id") == [
        (1, "1", "A", False, 0, True, None),
        (2, "1", "An", True, 1, True, None),
        (3, "2", "Bo", False, 0, True, None),
        (4, "3", "Cor", True, 0, True, None),
        (5, "2", "Bob", True, 1, True, None),
    ]
    assert town.load(day=2) == {TABLE: {"read": 3}}


def test_an_old_pyelt_table_with_a_key_that_is_active_twice(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(
        OLD + "insert into sor_his.patient_hstage (_runid, nr, naam) values (0.03, '2', 'Bobby'), (0.03, null, 'x')"
    )
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bobby\n3,Cor\n")
    assert town.active() == [("1", "An"), ("2", "Bobby"), ("3", "Cor")]
    assert town.load("nr,naam\n1,An\n2,Bobby\n2,Bobby\n3,Cor\n", day=2)[TABLE]["rejected"] == 1


def test_an_old_column_of_another_type_is_refused(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD + "alter table sor_his.patient_hstage alter column nr type int using nr::int")
    town = Town(warehouse, tmp_path)
    town.deliver("nr,naam\n1,An\n")
    with pytest.raises(DdlRefused, match='alter column "nr" type text'):
        town.loader.run(DAY_1)


def test_two_pipes_get_their_own_tables(warehouse: Database, tmp_path: Path) -> None:
    his, lab = Town(warehouse, tmp_path), Town(warehouse, tmp_path)
    his.load("nr,naam\n1,An\n")
    pipe = his.loader.pipeline.pipes[0]
    table = StagingTable(schema="sor_lab", name="patient_hstage", source=CsvFile(path="patients.csv"), key=("nr",))
    import dataclasses

    other = dataclasses.replace(pipe, name="lab", sor_schema="sor_lab", tables=(table,))
    lab.loader.pipeline = dataclasses.replace(his.loader.pipeline, pipes=(pipe, other))
    lab.deliver("nr,naam\n1,An\n2,Bo\n")
    lab.loader.run(date(2026, 1, 2))
    assert his.rows("select count(*) from sor_his.patient_hstage") == [(2,)]
    assert his.rows("select count(*), max(_source_system) from sor_lab.patient_hstage") == [(2, "lab")]

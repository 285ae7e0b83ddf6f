"""Tables are made once, extended when the config grows, and never changed in a way that loses data."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.errors import DdlRefused
from written_projects import done, labels, loader

DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {name: text, born: date}
      Contact: {types: [phone, mobile], columns: {number: text}}
      RecordStatus: record_status
  Ward:
    satellites:
      Default: {name: text}
links:
  PatientWard:
    references: {patient: Patient, ward: Ward, previous: Ward}
    status: true
    satellites: {Default: {since: timestamp}}
valuesets:
  Valueset: {}
  Tariff: {periodical: true, columns: {price: "numeric(10,2)"}}
"""

DDL = ["prepare", "ddl_valset", "ddl_dv"]

COLUMNS = """
    select a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
    from pg_attribute a where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum
"""


def columns(warehouse: Database, table: str) -> list[str]:
    return [row[0] for row in warehouse.rows(COLUMNS, (table,))]


def keys(warehouse: Database, table: str) -> list[str]:
    """Constraints and indexes that are not constraints, as PostgreSQL describes them."""
    return [
        row[0]
        for row in warehouse.rows(
            """
            select pg_get_constraintdef(oid) from pg_constraint where conrelid = %(t)s::regclass and contype in ('p','u','f')
            union all
            select regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX .* USING btree', '') from pg_index i
            where indrelid = %(t)s::regclass and not exists (select from pg_constraint c where c.conindid = i.indexrelid
                and c.conrelid = i.indrelid)
            order by 1
            """,
            {"t": table},
        )
    ]


def test_a_new_warehouse_gets_the_tables_that_the_domain_describes(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    tables = warehouse.rows(
        "select schemaname || '.' || tablename from pg_tables where schemaname in ('dv', 'valset') order by 1"
    )
    assert [name for (name,) in tables] == [
        "dv._exceptions",
        "dv.patient_hub",
        "dv.patient_sat",
        "dv.patient_sat_contact",
        "dv.patient_sat_record_status",
        "dv.patient_ward_link",
        "dv.patient_ward_sat",
        "dv.patient_ward_sat_status",
        "dv.ward_hub",
        "dv.ward_sat",
        "valset._exceptions",
        "valset.tariff",
        "valset.valueset",
    ]
    assert columns(warehouse, "dv.patient_hub") == [
        "_id bigint not null",
        "_runid numeric not null",
        "_source_system character varying",
        "_valid boolean not null",
        "_validation_msg character varying",
        "_insert_date timestamp without time zone",
        "type character varying",
        "bk text not null",
    ]
    assert columns(warehouse, "dv.patient_sat_contact") == [
        "_id bigint not null",
        "_runid numeric not null",
        "_source_system character varying not null",
        "type character varying not null",
        "_insert_date timestamp without time zone",
        "_finish_date timestamp without time zone",
        "_active boolean not null",
        "_revision integer",
        "_valid boolean not null",
        "_validation_msg character varying",
        "_finish_runid numeric",
        "number text",
    ]
    assert keys(warehouse, "dv.patient_sat_contact") == [
        "CREATE (_finish_runid) WHERE (_finish_runid IS NOT NULL)",
        "CREATE (_runid)",
        "CREATE UNIQUE (_id, type, _source_system) WHERE _active",
        "FOREIGN KEY (_id) REFERENCES dv.patient_hub(_id)",
        "PRIMARY KEY (_id, type, _runid, _source_system)",
    ]
    assert keys(warehouse, "dv.patient_ward_link") == [
        "CREATE (_runid)",
        "CREATE (fk_previous_ward_hub)",
        "CREATE (fk_ward_hub)",
        "CREATE UNIQUE (fk_patient_hub, fk_ward_hub, fk_previous_ward_hub)",
        "FOREIGN KEY (fk_patient_hub) REFERENCES dv.patient_hub(_id)",
        "FOREIGN KEY (fk_previous_ward_hub) REFERENCES dv.ward_hub(_id)",
        "FOREIGN KEY (fk_ward_hub) REFERENCES dv.ward_hub(_id)",
        "PRIMARY KEY (_id)",
    ]
    assert keys(warehouse, "valset.tariff") == [
        "CREATE (_finish_runid) WHERE (_finish_runid IS NOT NULL)",
        "CREATE (_runid)",
        "CREATE UNIQUE (_id)",
        "CREATE UNIQUE (valueset_naam, code, ingangsdatum, _source_system) WHERE _active",
        "PRIMARY KEY (valueset_naam, code, ingangsdatum, _runid, _source_system)",
    ]


def test_a_second_run_looks_and_does_nothing(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=DDL)
    outcomes = project.run(stages=DDL, name="second")
    assert labels(outcomes["prepare"]) == [
        "open the run again",
        "look up which schemas are there",
        "check the column type numeric(10,2)",
    ]
    assert labels(outcomes["ddl_valset"]) == ["look up what is there", "record the version of the schemas"]
    assert labels(outcomes["ddl_dv"]) == [
        "look up what is there",
        "look up what is there",
        "record the version of the schemas",
    ]


def test_a_second_run_is_not_held_up_by_somebody_who_reads_or_writes(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN, pipeline="lock_timeout: 1s")
    project.run(stages=DDL)
    with contextlib.closing(warehouse.connect()) as somebody:
        somebody.cursor().execute("lock table dv.patient_hub, dv.patient_sat, valset.valueset in exclusive mode")
        project.run(stages=DDL, name="second")


def test_new_columns_and_satellites_are_added_and_rows_stay(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    warehouse.execute("""
        insert into dv.patient_hub (_runid, bk) values (1, 'p1');
        insert into dv.patient_sat (_id, _runid, _source_system, name) values (1, 1, 'his', 'Anna');
    """)
    grown = DOMAIN.replace("born: date}", "born: date, weight: 'numeric(5,1)'}\n      Address: {town: text}")
    outcomes = loader(warehouse, tmp_path, grown).run(stages=DDL, name="second")
    assert [step for step in done(outcomes["ddl_dv"]) if step.startswith(("create table", "add columns"))] == [
        "add columns weight: dv.patient_sat",
        "create table: dv.patient_sat_address",
    ]
    assert columns(warehouse, "dv.patient_sat")[-3:] == ["name text", "born date", "weight numeric(5,1)"]
    assert warehouse.rows("select name, born, weight from dv.patient_sat") == [("Anna", None, None)]


def test_what_the_config_has_no_more_stays_in_the_database(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    shrunk = DOMAIN.replace("name: text, born: date", "name: text")
    loader(warehouse, tmp_path, shrunk).run(stages=DDL, name="second")
    assert columns(warehouse, "dv.patient_sat")[-2:] == ["name text", "born date"]


def test_a_changed_type_is_refused_with_the_statement_for_a_dba(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    changed = loader(warehouse, tmp_path, DOMAIN.replace("name: text, born: date", "name: integer, born: timestamp"))
    error = changed.fails(stages=DDL, name="second")
    assert error.splitlines() == [
        "dv.patient_sat.name is text in the database and integer in the config; change the config back, or a DBA may run: "
        'alter table "dv"."patient_sat" alter column "name" type integer using "name"::integer;',
        "dv.patient_sat.born is date in the database and timestamp in the config; change the config back, or a DBA may run: "
        'alter table "dv"."patient_sat" alter column "born" type timestamp using "born"::timestamp;',
    ]
    assert columns(warehouse, "dv.patient_sat")[-2:] == ["name text", "born date"]


@pytest.mark.parametrize(
    "spelling",
    ["int", "int4", "varchar(10)", "character varying(10)", "decimal(10,2)", "numeric(7)", "float8", "timestamptz",
     "timestamp(3)", "bool", "char(3)", "time", "text[]", "int8", "varbit(4)", "jsonb", "interval", "TEXT", "char"],
)  # fmt: skip
def test_another_spelling_of_a_type_is_the_same_type(warehouse: Database, tmp_path: Path, spelling: str) -> None:
    domain = f"hubs: {{Patient: {{satellites: {{Default: {{value: '{spelling}'}}}}}}}}"
    project = loader(warehouse, tmp_path, domain)
    project.run(stages=DDL)
    again = project.run(stages=["ddl_dv"], name="second")
    assert labels(again["ddl_dv"]) == [
        "look up what is there",
        "look up what is there",
        "record the version of the schemas",
    ]


def test_a_type_of_the_users_own_is_compared_by_the_database(warehouse: Database, tmp_path: Path) -> None:
    warehouse.as_dba("create domain public.postcode as text; create type public.mood as enum ('sad', 'happy')")
    domain = "hubs: {Patient: {satellites: {Default: {post: Public.Postcode, mood: public.mood}}}}"
    project = loader(warehouse, tmp_path, domain)
    project.run(stages=DDL)
    project.run(stages=DDL, name="second")
    assert columns(warehouse, "dv.patient_sat")[-2:] == ["post postcode", "mood mood"]


def test_a_type_that_the_warehouse_does_not_know_is_named_with_its_line_before_anything_is_made(
    warehouse: Database, tmp_path: Path
) -> None:
    warehouse.as_dba("create domain public.postcode as text")
    domain = (
        "hubs:\n  Patient:\n    satellites:\n      Default:\n        a: public.postcode\n"
        "        b: public.postcod\n        c: gis.geometry\n"
    )
    error = loader(warehouse, tmp_path, domain).fails(stages=DDL)
    assert "domain.yaml:6: hubs.Patient.satellites.Default.b: the warehouse has no type 'public.postcod'" in error
    assert "domain.yaml:7: hubs.Patient.satellites.Default.c: the warehouse has no type 'gis.geometry'" in error
    assert "Default.a" not in error
    assert warehouse.rows("select tablename from pg_tables where schemaname = 'dv'") == []


def test_a_new_reference_of_a_link_with_rows_is_refused(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    warehouse.execute("""
        insert into dv.patient_hub (_runid, bk) values (1, 'p1'); insert into dv.ward_hub (_runid, bk) values (1, 'w1');
        insert into dv.patient_ward_link (_runid, fk_patient_hub, fk_ward_hub, fk_previous_ward_hub) values (1, 1, 1, 1);
    """)
    grown = DOMAIN.replace("previous: Ward}", "previous: Ward, next: Ward}")
    error = loader(warehouse, tmp_path, grown).fails(stages=DDL, name="second")
    assert 'a DBA may run: drop index "dv"."patient_ward_link_references_key";' in error
    warehouse.execute("drop index dv.patient_ward_link_references_key")
    error = loader(warehouse, tmp_path, grown).fails(stages=DDL, name="second")
    assert "has rows, and nothing says what they have in the new column fk_next_ward_hub" in error


def test_a_column_that_is_not_ours_and_refuses_null_is_told_about(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=DDL)
    warehouse.execute("alter table dv.ward_sat add column old_name text not null")
    error = project.fails(stages=DDL, name="second")
    assert 'a DBA may run: alter table "dv"."ward_sat" alter column "old_name" drop not null;' in error


def test_long_names_get_indexes_whose_names_do_not_collide(warehouse: Database, tmp_path: Path) -> None:
    hub = "PatientWithAnExtraordinaryNameThatNobodyWouldTyp"
    domain = f"hubs: {{{hub}: {{satellites: {{De: {{a: text}}, Df: {{a: text}}}}}}}}"
    pipe = "pipe: his\nsource_path: his\nsor_schema: sor_his\n"
    project = loader(warehouse, tmp_path, domain, pipe=pipe)
    project.run(stages=DDL)
    again = project.run(stages=["ddl_dv"], name="second")
    assert "create" not in " ".join(labels(again["ddl_dv"]))
    names = [name for (name,) in warehouse.rows("select indexname from pg_indexes where schemaname = 'dv'")]
    assert len(names) == len(set(names)) == 15


def test_columns_may_have_any_name(warehouse: Database, tmp_path: Path) -> None:
    domain = """
        hubs:
          Patient: {satellites: {Default: {order: text, "100% sure": text, 'say "hi"': text, "naïve {{x}}": text}}}
    """
    project = loader(warehouse, tmp_path, domain)
    project.run(stages=DDL)
    project.run(stages=DDL, name="second")
    assert columns(warehouse, "dv.patient_sat")[-4:] == [
        "order text",
        "100% sure text",
        'say "hi" text',
        "naïve {{x}} text",
    ]


def test_when_asked_for_confirmation_the_ddl_stands_in_the_error_until_the_run_allows_it(
    warehouse: Database, tmp_path: Path
) -> None:
    project = loader(warehouse, tmp_path, DOMAIN, pipeline="ask_confirm_on_db_changes: true")
    assert 'create schema if not exists "dv";' in project.fails(stages=["prepare"])
    project.run(stages=["prepare", "ddl_valset"], allow_ddl=True)
    error = project.fails(stages=["ddl_dv"])
    assert "Start it again with allow_ddl" in error
    assert 'create table "dv"."patient_hub" (\n    "_id" bigint generated by default as identity not null,' in error
    assert warehouse.rows("select 1 from pg_tables where schemaname = 'dv'") == []
    error = project.fails(stages=["ddl_dv"], allow_ddl=False)
    project.run(stages=["ddl_dv"], allow_ddl=True)
    project.run(stages=DDL, name="second")  # nothing to do needs no leave


def test_ddl_that_cannot_get_its_lock_says_so_and_leaves_all_as_it_was(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    grown = loader(
        warehouse, tmp_path, DOMAIN.replace("born: date", "born: date, town: text"), pipeline="lock_timeout: 1s"
    )
    with contextlib.closing(warehouse.connect()) as somebody:
        somebody.cursor().execute("select count(*) from dv.patient_sat")
        error = grown.fails(stages=["ddl_dv"], name="second")
    assert "could not lock the tables that it has to change" in error
    assert columns(warehouse, "dv.patient_sat")[-2:] == ["name text", "born date"]
    grown.run(stages=["ddl_dv"], name="second")
    assert columns(warehouse, "dv.patient_sat")[-3:] == ["name text", "born date", "town text"]


def test_ddl_waits_for_a_short_report_and_goes_on(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    grown = loader(warehouse, tmp_path, DOMAIN.replace("born: date", "born: date, town: text"))
    report = warehouse.connect()
    report.cursor().execute("select count(*) from dv.patient_sat")
    threading.Timer(1.0, report.close).start()
    grown.run(stages=["ddl_dv"], name="second")
    assert columns(warehouse, "dv.patient_sat")[-1] == "town text"


def test_two_pipelines_that_start_together_make_the_tables_once(warehouse: Database, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            loader(warehouse, tmp_path / str(number), DOMAIN).run(stages=DDL, name=f"run {number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(keys(warehouse, "dv.patient_ward_link")) == 8


def test_the_version_of_a_schema_changes_with_its_tables_only(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)
    before = dict(warehouse.rows("select schemaname, (version, date)::text from sys.currentversion"))
    loader(warehouse, tmp_path, DOMAIN.replace("born: date", "born: date, town: text")).run(stages=DDL, name="second")
    after = dict(warehouse.rows("select schemaname, (version, date)::text from sys.currentversion"))
    assert after["valset"] == before["valset"]
    assert after["dv"] != before["dv"]


def test_a_table_where_a_view_stands_is_refused(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute("create schema dv; create view dv.ward_hub as select 1 as one")
    with pytest.raises(DdlRefused, match=r"dv\.ward_hub is to be a table, but there is a view"):
        loader(warehouse, tmp_path, DOMAIN).run(stages=DDL)

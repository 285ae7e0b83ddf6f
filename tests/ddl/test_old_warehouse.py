"""A warehouse that PyELT made is continued in place: its rows stay, its keys make way for ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from databases import Database
from written_projects import deliver, labels, loader

DDL = ["prepare", "ddl_valset", "ddl_dv"]

DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {name: text, born: date}
      Contact: {types: [phone, mobile], columns: {number: text}}
  Ward: {}
links:
  PatientWard: {references: {patient: Patient, ward: Ward}, satellites: {Default: {since: timestamp}}}
valuesets:
  Valueset: {}
"""

BOOKKEEPING = """_runid numeric(8,2) not null, _source_system varchar, _insert_date timestamp, _finish_date text,
    _active boolean default true, _revision integer default 0, _valid boolean default true, _validation_msg varchar"""

OLD = f"""
create schema sys; create schema dv; create schema valset; create schema sor_his;
create table sys.runs (runid numeric primary key, rundate timestamp, finish_date timestamp, exceptions text,
    sor_versions text, dv_version text, pyelt_version text);
create table sys.currentversion (schemaname varchar primary key, version varchar, date timestamp);
insert into sys.runs (runid) values (812.03);
create table sor_his.patient_hstage (_id serial primary key, _runid numeric(8,2) not null, _active boolean default true,
    _source_system varchar, _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2),
    _revision int default 0, _valid boolean not null default true, _validation_msg varchar, _hash varchar,
    nr text, name text, born text, town text, sex text, fk_patient_hub int);
create unlogged table sor_his.patient_temp (_hash varchar, _status varchar, nr text, name text, born text, town text, sex text);
create table dv.patient_hub (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar, bk varchar unique);
create table dv.ward_hub (like dv.patient_hub including all);
create table dv.patient_sat (_id int not null references dv.patient_hub (_id), {BOOKKEEPING}, name text, born date,
    primary key (_id, _runid));
create index on dv.patient_sat (_active);
create table dv.patient_sat_contact (_id int not null references dv.patient_hub (_id), type varchar, {BOOKKEEPING},
    number text, primary key (_id, type, _runid));
create table dv.patient_ward_link (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar,
    fk_patient_hub int references dv.patient_hub (_id), fk_ward_hub int references dv.ward_hub (_id));
create table dv.patient_ward_sat (_id int not null, {BOOKKEEPING}, since timestamp, primary key (_id, _runid));
create table dv._exceptions (_runid numeric(8,2), schema varchar, table_name varchar, message varchar, key_fields varchar,
    fields varchar);
create table valset.valueset ({BOOKKEEPING}, valueset_naam text, code text, omschrijving text,
    unique (valueset_naam, code));
insert into dv.patient_hub (_runid, _source_system, bk) values (812.02, 'his', 'p1'), (812.02, 'his', 'p2');
insert into dv.ward_hub (_id, _runid, _source_system, bk) values (1, 812.02, 'his', 'w1');
insert into dv.patient_sat (_id, _runid, _source_system, _active, _revision, _finish_date, name)
    values (1, 812.02, 'his', false, 0, '2017-03-01 02:00:00', 'Ana'), (1, 812.03, 'his', true, 1, null, 'Anna');
insert into dv.patient_sat_contact (_id, type, _runid, _source_system, number) values (1, 'phone', 812.02, 'his', '1');
insert into dv.patient_ward_link (_runid, _source_system, fk_patient_hub, fk_ward_hub) values (812.02, 'his', 1, 1);
insert into dv.patient_ward_sat (_id, _runid, _source_system) values (1, 812.02, 'his');
insert into valset.valueset (_runid, _source_system, valueset_naam, code, omschrijving) values (812.02, 'his', 's', 'm', 'man');
insert into dv._exceptions (_runid, message) values (812.02, 'old');
"""

KEYS = """
    select conrelid::regclass::text, pg_get_constraintdef(oid), convalidated from pg_constraint
    where connamespace in ('dv'::regnamespace, 'valset'::regnamespace) and contype in ('p', 'u', 'f') order by 1, 2
"""


def test_an_old_warehouse_is_continued_in_place(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD)
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=DDL)
    assert warehouse.rows(KEYS) == [
        ("dv._exceptions", "PRIMARY KEY (_id)", True),
        ("dv.patient_hub", "PRIMARY KEY (_id)", True),
        ("dv.patient_hub", "UNIQUE (bk)", True),
        ("dv.patient_sat", "FOREIGN KEY (_id) REFERENCES dv.patient_hub(_id)", True),
        ("dv.patient_sat", "PRIMARY KEY (_id, _runid, _source_system)", True),
        ("dv.patient_sat_contact", "FOREIGN KEY (_id) REFERENCES dv.patient_hub(_id)", True),
        ("dv.patient_sat_contact", "PRIMARY KEY (_id, type, _runid, _source_system)", True),
        ("dv.patient_ward_link", "FOREIGN KEY (fk_patient_hub) REFERENCES dv.patient_hub(_id)", True),
        ("dv.patient_ward_link", "FOREIGN KEY (fk_ward_hub) REFERENCES dv.ward_hub(_id)", True),
        ("dv.patient_ward_link", "PRIMARY KEY (_id)", True),
        ("dv.patient_ward_sat", "FOREIGN KEY (_id) REFERENCES dv.patient_ward_link(_id)", True),
        ("dv.patient_ward_sat", "PRIMARY KEY (_id, _runid, _source_system)", True),
        ("dv.ward_hub", "PRIMARY KEY (_id)", True),
        ("dv.ward_hub", "UNIQUE (bk)", True),
        ("valset._exceptions", "PRIMARY KEY (_id)", True),
        ("valset.valueset", "PRIMARY KEY (valueset_naam, code, _runid, _source_system)", True),
    ]
    assert warehouse.rows(
        "select _runid::text, _active, _finish_date, _finish_runid, name from dv.patient_sat order by 1"
    ) == [
        ("812.02", False, "2017-03-01 02:00:00", None, "Ana"),
        ("812.03", True, None, None, "Anna"),
    ]
    assert warehouse.rows("select _id, code, omschrijving from valset.valueset") == [(1, "m", "man")]
    assert warehouse.rows("select bk, default_name, contact_phone_number from dv.patient_view order by bk") == [
        ("p1", "Anna", "1"),
        ("p2", None, None),
    ]
    again = project.run(stages=DDL, name="second")
    assert labels(again["ddl_dv"]) == [
        "look up what is there",
        "look up what is there",
        "record the version of the schemas",
    ]


def test_duplicates_that_an_old_warehouse_has_do_not_stop_it(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD)
    warehouse.execute("""
        insert into dv.patient_ward_link (_runid, _source_system, fk_patient_hub, fk_ward_hub) values (812.03, 'his', 1, 1);
        insert into dv.patient_sat (_id, _runid, _source_system, name) values (1, 812.04, 'his', 'Annie');
        insert into dv.patient_ward_sat (_id, _runid, _source_system) values (77, 812.02, 'his');
    """)
    project = loader(warehouse, tmp_path, DOMAIN)
    project.run(stages=DDL)
    assert warehouse.rows("select bk, default_name from dv.patient_view order by bk") == [("p1", "Annie"), ("p2", None)]
    assert warehouse.rows("select conrelid::regclass::text from pg_constraint where not convalidated") == [
        ("dv.patient_ward_sat",)
    ]
    again = project.run(stages=["ddl_dv"], name="second")
    assert labels(again["ddl_dv"]) == [
        "look up what is there",
        "look up what is there",
        "record the version of the schemas",
    ]
    warehouse.execute("""
        delete from dv.patient_ward_link where _id = 2; drop index dv.patient_ward_link_references_key_duplicates;
    """)
    project.run(stages=["ddl_dv"], name="third")
    assert warehouse.rows(
        "select indisunique from pg_index where indexrelid = 'dv.patient_ward_link_references_key'::regclass"
    ) == [(True,)]


def test_rows_without_a_source_are_told_about_and_nothing_is_changed(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD)
    warehouse.execute("update dv.patient_sat set _source_system = null where _runid = 812.02")
    error = loader(warehouse, tmp_path, DOMAIN).fails(stages=DDL)
    assert "the primary key of dv.patient_sat has to become (_id, _runid, _source_system)" in error
    assert ("dv.patient_ward_sat", "PRIMARY KEY (_id, _runid)", True) in warehouse.rows(KEYS)


@pytest.mark.parametrize("times", [1, 2])
def test_an_old_staging_table_gets_what_it_lacks(warehouse: Database, tmp_path: Path, times: int) -> None:
    warehouse.execute(OLD)
    deliver(tmp_path, "nr,name,born,town,sex")
    project = loader(warehouse, tmp_path, DOMAIN)
    for number in range(times):
        project.run(stages=[*DDL, "his.sor.ddl_sor"], name=str(number))
    assert warehouse.rows("""
        select column_name, data_type from information_schema.columns
        where table_schema = 'sor_his' and table_name = 'patient_hstage' and ordinal_position > 16 order by ordinal_position
    """) == [("fk_patient_hub", "integer"), ("_finish_runid", "numeric")]
    assert ("patient_hstage_key_idx",) in warehouse.rows(
        "select indexname from pg_indexes where schemaname = 'sor_his'"
    )

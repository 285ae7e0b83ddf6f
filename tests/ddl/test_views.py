"""Views show one row per key, change without losing grants or dependents, and are left alone when nothing changed."""

from __future__ import annotations

import re
from pathlib import Path

from databases import Database
from written_projects import done, labels, loader

DDL = ["prepare", "ddl_valset", "ddl_dv"]

DOMAIN = """
hubs:
  Person:
    sources: [crm, his]
    satellites:
      Default: {name: text, sex: {type: text, valueset: sex}}
      Contact: {types: [phone, mobile], columns: {number: text}}
      RecordStatus: record_status
  Doctor:
    extends: Person
    satellites:
      Licence: {number: text}
  Surgeon:
    extends: Doctor
links:
  Treats:
    references: {doctor: Doctor, patient: Person}
    status: true
    satellites: {Default: {since: date}}
valuesets:
  Valueset: {}
"""

PIPE = """
pipe: his
source_path: his
sor_schema: sor_his
"""

CRM = """
pipe: crm
source_path: crm
sor_schema: sor_crm
"""

ROWS = """
insert into dv.person_hub (_runid, _source_system, bk, type, _valid) values
    (1, 'his', 'p1', 'person', true), (1, 'his', 'p2', 'person', true), (1, 'his', 'd1', 'doctor', true),
    (1, 'his', 's1', 'surgeon', true), (1, 'his', 'bad', 'person', false);
insert into dv.person_sat (_id, _runid, _source_system, _active, _valid, name, sex) values
    (1, 1, 'his', false, true, 'Ana', 'f'), (1, 2, 'his', true, true, 'Anna', 'f'),
    (1, 1, 'crm', true, true, 'Anna B.', 'm'), (2, 1, 'his', true, true, 'Bert', 'x'),
    (2, 1, 'crm', true, false, 'wrong', 'f'), (3, 1, 'his', true, true, 'Dr. Dirk', null);
insert into dv.person_sat_contact (_id, type, _runid, _source_system, number) values
    (1, 'phone', 1, 'his', '1'), (1, 'mobile', 1, 'his', '2'), (1, 'mobile', 1, 'crm', '3');
insert into dv.person_sat_record_status (_id, _runid, _source_system, record_status) values (2, 2, 'his', 'deleted');
insert into dv.doctor_sat_licence (_id, _runid, _source_system, number) values (3, 1, 'his', 'L3');
insert into dv.treats_link (_runid, fk_doctor_person_hub, fk_patient_person_hub) values (1, 3, 1), (1, 3, 2), (1, 3, 5);
insert into dv.treats_sat (_id, _runid, _source_system, since) values (1, 1, 'his', '2026-01-01');
insert into dv.treats_sat_status (_id, _runid, _source_system, record_status) values (2, 1, 'his', 'ended');
insert into valset.valueset (_runid, _source_system, _active, valueset_naam, code, omschrijving) values
    (1, 'his', false, 'sex', 'm', 'Male'), (2, 'his', true, 'sex', 'm', 'Man'), (1, 'crm', true, 'sex', 'f', 'Woman'),
    (3, 'his', true, 'sex', 'f', 'Lady'), (1, 'his', true, 'other', 'x', 'not this list');
"""


def columns(warehouse: Database, view: str) -> list[str]:
    return [
        row[0]
        for row in warehouse.rows(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum", (view,)
        )
    ]


def test_a_view_has_the_key_its_satellites_and_the_descriptions_of_its_codes(
    warehouse: Database, tmp_path: Path
) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    own = ["_id", "_runid", "_source_system", "_insert_date", "type", "bk"]
    person = [
        "default_name",
        "default_sex",
        "sex_sex_omschr",
        "contact_phone_number",
        "contact_mobile_number",
        "record_status",
    ]
    assert columns(warehouse, "dv.person_view") == [*own, *person]
    assert columns(warehouse, "dv.doctor_view") == [*own, "licence_number", *person]
    assert columns(warehouse, "dv.treats_view") == [
        "_id",
        "_runid",
        "_source_system",
        "_insert_date",
        "type",
        "fk_doctor_person_hub",
        "doctor_bk",
        "fk_patient_person_hub",
        "patient_bk",
        "status",
        "default_since",
    ]


def test_a_view_shows_one_row_per_key_by_the_order_of_sources_and_no_rejected_rows(
    warehouse: Database, tmp_path: Path
) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute(ROWS)
    assert warehouse.rows("""
        select bk, default_name, default_sex, sex_sex_omschr, contact_phone_number, contact_mobile_number, record_status
        from dv.person_view order by bk
    """) == [
        ("d1", "Dr. Dirk", None, None, None, None, "active"),
        ("p1", "Anna B.", "m", "Man", "1", "3", "active"),
        ("p2", "Bert", "x", None, None, None, "deleted"),
        ("s1", None, None, None, None, None, "active"),
    ]


def test_without_an_order_of_sources_the_latest_is_shown(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN.replace("    sources: [crm, his]\n", ""), pipe=PIPE, pipes__crm___yaml=CRM).run(
        stages=DDL
    )
    warehouse.execute(ROWS)
    assert warehouse.rows("select default_name, sex_sex_omschr from dv.person_view where bk = 'p1'") == [
        ("Anna", "Lady")
    ]


def test_a_subtype_shows_its_own_keys_and_those_below_it(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute(ROWS)
    assert warehouse.rows("select bk, default_name, licence_number from dv.doctor_view order by bk") == [
        ("d1", "Dr. Dirk", "L3"),
        ("s1", None, None),
    ]
    assert warehouse.rows("select bk, licence_number from dv.surgeon_view order by bk") == [("s1", None)]


def test_a_link_view_shows_the_keys_of_its_hubs_and_its_status(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute(ROWS)
    assert warehouse.rows(
        "select doctor_bk, patient_bk, status, default_since::text from dv.treats_view order by patient_bk"
    ) == [("d1", "p1", "active", "2026-01-01"), ("d1", "p2", "ended", None)]


def test_a_periodical_code_is_described_by_the_latest_period_that_has_begun(
    warehouse: Database, tmp_path: Path
) -> None:
    domain = """
        hubs: {Care: {satellites: {Default: {tariff: {type: text, valueset: {table: Tariff, naam: dbc}}}}}}
        valuesets: {Tariff: {periodical: true}}
    """
    loader(warehouse, tmp_path, domain, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute("""
        insert into dv.care_hub (_runid, bk) values (1, 'c1');
        insert into dv.care_sat (_id, _runid, _source_system, tariff) values (1, 1, 'his', '15A');
        insert into valset.tariff (_runid, _source_system, valueset_naam, code, ingangsdatum, omschrijving) values
            (1, 'his', 'dbc', '15A', '2020-01-01', 'old'), (1, 'his', 'dbc', '15A', '2021-01-01', 'current'),
            (1, 'his', 'dbc', '15A', current_date + 1, 'from tomorrow');
    """)
    assert warehouse.rows("select default_tariff, tariff_dbc_omschr from dv.care_view") == [("15A", "current")]


def test_views_are_not_touched_when_nothing_changed(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM)
    project.run(stages=DDL)
    before = warehouse.rows(
        "select oid, xmin::text from pg_class where relkind = 'v' and relnamespace = 'dv'::regnamespace"
    )
    project.run(stages=DDL, name="second")
    assert (
        warehouse.rows("select oid, xmin::text from pg_class where relkind = 'v' and relnamespace = 'dv'::regnamespace")
        == before
    )


ROLES = "create role reporter_{db}; create role boss_{db};"
DEPENDING = """
create schema report;
grant usage on schema dv to reporter_{db};
grant select on dv.person_view to reporter_{db};
grant select (bk) on dv.person_view to boss_{db} with grant option;
create view report.names as select bk, default_name from dv.person_view;
comment on view report.names is 'Names, 100% of them';
grant select on report.names to public;
create view report.names_again with (security_barrier=true) as select * from report.names where default_name like 'A%';
create materialized view report.counted as select count(*) as persons from dv.person_view;
create unique index counted_persons on report.counted (persons);
"""


def state(warehouse: Database) -> list[tuple[object, ...]]:
    """Everything that a rebuild could lose."""
    return warehouse.rows("""
        select c.oid::regclass::text, pg_get_userbyid(c.relowner), c.relacl::text, obj_description(c.oid), c.reloptions::text,
            (select string_agg(a.attname || a.attacl::text, ',') from pg_attribute a where a.attrelid = c.oid),
            (select string_agg(i.indexrelid::regclass::text, ',') from pg_index i where i.indrelid = c.oid),
            pg_get_viewdef(c.oid)
        from pg_class c where c.relkind in ('v', 'm') and c.relname in ('names', 'names_again', 'counted')
        order by 1
    """)


def test_new_columns_go_to_the_end_and_grants_and_dependents_stay(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute(ROWS)
    warehouse.as_dba(ROLES.format(db=warehouse.name))
    warehouse.execute(DEPENDING.format(db=warehouse.name))
    before = (
        state(warehouse),
        warehouse.rows("select relacl::text from pg_class where oid = 'dv.person_view'::regclass"),
    )
    old = columns(warehouse, "dv.person_view")
    grown = DOMAIN.replace("Default: {name: text,", "Default: {name: text, town: text,")
    outcome = loader(warehouse, tmp_path, grown, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL, name="second")[
        "ddl_dv"
    ]
    assert columns(warehouse, "dv.person_view") == [*old, "default_town"]
    assert not [label for label in labels(outcome) if "drop" in label or "rebuild" in label]
    assert (
        state(warehouse),
        warehouse.rows("select relacl::text from pg_class where oid = 'dv.person_view'::regclass"),
    ) == before
    assert columns(warehouse, "dv.person_view") == [*old, "default_town"]


def test_where_a_column_goes_the_view_is_rebuilt_with_its_dependents_owners_and_grants(
    warehouse: Database, tmp_path: Path
) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute(ROWS)
    warehouse.as_dba(ROLES.format(db=warehouse.name))
    warehouse.execute(DEPENDING.format(db=warehouse.name))
    before = (
        state(warehouse),
        warehouse.rows("select relacl::text from pg_class where oid = 'dv.person_view'::regclass"),
    )
    shrunk = DOMAIN.replace("types: [phone, mobile]", "types: [mobile]")
    outcome = loader(warehouse, tmp_path, shrunk, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL, name="second")[
        "ddl_dv"
    ]
    assert "drop view: dv.person_view" in done(outcome)
    assert "contact_phone_number" not in columns(warehouse, "dv.person_view")
    assert (
        state(warehouse),
        warehouse.rows("select relacl::text from pg_class where oid = 'dv.person_view'::regclass"),
    ) == before
    assert warehouse.rows("select persons from report.counted") == [(4,)]
    again = loader(warehouse, tmp_path, shrunk, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL, name="third")[
        "ddl_dv"
    ]
    assert labels(again) == ["look up what is there", "look up what is there", "record the version of the schemas"]


def test_a_column_that_a_dependent_view_needs_is_not_taken_away(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute(
        "create schema report; create view report.phones as select contact_phone_number from dv.person_view"
    )
    shrunk = DOMAIN.replace("types: [phone, mobile]", "types: [mobile]")
    error = loader(warehouse, tmp_path, shrunk, pipe=PIPE, pipes__crm___yaml=CRM).fails(stages=DDL, name="second")
    assert "view dv.person_view loses or changes columns, and report.phones depends on them" in error
    assert "contact_phone_number" in columns(warehouse, "dv.person_view")


def test_an_old_view_is_replaced_and_keeps_its_grants(warehouse: Database, tmp_path: Path) -> None:
    warehouse.as_dba(f"create role old_{warehouse.name}")
    warehouse.execute(f"""
        create schema dv;
        create view dv.person_view as select 1 as bk, 2 as something_else;
        grant select on dv.person_view to old_{warehouse.name};
    """)
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    assert "something_else" not in columns(warehouse, "dv.person_view")
    assert warehouse.rows("select has_table_privilege(%s, 'dv.person_view', 'select')", (f"old_{warehouse.name}",)) == [
        (True,)
    ]


def test_without_create_views_only_the_views_that_are_read_are_made(warehouse: Database, tmp_path: Path) -> None:
    project = loader(
        warehouse,
        tmp_path,
        DOMAIN,
        pipe=PIPE,
        pipeline="create_views: false",
        pipes__crm___yaml=CRM,
        datamarts__doctors___sql="select bk from dv.doctor_view",
    )
    project.run(stages=DDL)
    assert warehouse.rows("select viewname from pg_views where schemaname = 'dv' order by 1") == [("doctor_view",)]


def test_one_key_is_found_by_indexes_and_not_by_reading_every_satellite(warehouse: Database, tmp_path: Path) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.execute("""
        insert into dv.person_hub (_runid, bk, type) select 1, 'p' || n, 'person' from generate_series(1, 20000) n;
        insert into dv.person_sat (_id, _runid, _source_system, name, sex)
            select _id, 1, 'his', 'name ' || _id, 'f' from dv.person_hub;
        insert into dv.person_sat_contact (_id, type, _runid, _source_system, number)
            select _id, 'phone', 1, 'his', '1' from dv.person_hub;
        analyze;
    """)
    plan = "\n".join(
        row[0]
        for row in warehouse.rows(
            "explain select default_name, contact_phone_number from dv.person_view where bk = 'p7'"
        )
    )
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= {"person_sat_record_status", "valueset"}, plan  # both empty


def test_a_view_of_another_owner_is_not_lost_but_refused_until_a_dba_has_run_what_the_error_says(
    warehouse: Database, tmp_path: Path
) -> None:
    loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    analyst = f"analyst_{warehouse.name}"
    warehouse.as_dba(f"""
        create role {analyst}; create schema report authorization {analyst};
        grant usage on schema dv to {analyst}; grant select on dv.person_view to {analyst};
        set role {analyst}; create view report.names as select bk, default_name from dv.person_view;
    """)
    before = state(warehouse)
    shrunk = loader(
        warehouse,
        tmp_path,
        DOMAIN.replace("types: [phone, mobile]", "types: [mobile]"),
        pipe=PIPE,
        pipes__crm___yaml=CRM,
    )
    error = shrunk.fails(stages=DDL, name="second")
    way_out = f'grant "{analyst}" to "loader"; grant create on schema "report" to "loader";'
    assert f"report.names, which loader may not make anew for its owner {analyst}" in error
    assert error.endswith(way_out)
    assert state(warehouse) == before

    warehouse.as_dba(way_out)
    shrunk.run(stages=DDL, name="second")
    assert state(warehouse) == before
    assert "contact_phone_number" not in columns(warehouse, "dv.person_view")
    warehouse.as_dba(f"drop owned by {analyst} cascade; drop role {analyst}")

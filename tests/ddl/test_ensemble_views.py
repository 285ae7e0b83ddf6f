"""Views over several hubs and the links between them: what they show, and that they change without losing grants."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from ddl.test_views import CRM, DDL, DOMAIN, PIPE, ROWS, columns
from written_projects import deliver, done, loader

VIEWS = """
views:
  care_view:
    description: Who treats whom
    members: {doctor: Doctor, patient: Person, treats: Treats}
"""
LOADING = """
pipe: his
source_path: his
sor: {doctor_hstage: {csv: doctors.csv, delimiter: ";", key: [nr]}}
entities:
  - {from: doctor_hstage, to: Doctor, bk: nr, fields: {Default.name: name}}
"""
QUERY = """
select doctor_bk, doctor_licence_number, patient_bk, patient_default_name, treats_status, treats_default_since
from dv.care_view order by 1, 3"""


def test_an_ensemble_view_has_a_row_per_combination_that_is_linked(warehouse: Database, tmp_path: Path) -> None:
    load = loader(warehouse, tmp_path, DOMAIN + VIEWS, pipe=PIPE, pipes__crm___yaml=CRM)
    load.run(stages=DDL)
    own = ["_id", "_runid", "_source_system", "_insert_date", "type"]
    person = ["default_name", "default_sex", "sex_sex_omschr", "contact_phone_number", "contact_mobile_number"]
    assert columns(warehouse, "dv.care_view") == [
        *(f"doctor_{name}" for name in (*own, "bk", "licence_number", *person, "record_status")),
        *(f"patient_{name}" for name in (*own, "bk", *person, "record_status")),
        *(f"treats_{name}" for name in (*own, "status", "default_since")),
    ]
    warehouse.execute(ROWS)
    assert [(*row[:5], row[5] and str(row[5])) for row in load.rows(QUERY)] == [
        ("d1", "L3", "p1", "Anna B.", "active", "2026-01-01"),
        ("d1", "L3", "p2", "Bert", "ended", None),
    ]
    assert load.rows("select obj_description('dv.care_view'::regclass)")[0][0].startswith("Who treats whom [pyelt:")

    assert done(load.run(stages=DDL, name="again")["ddl_dv"]) == []


def test_an_ensemble_view_changes_with_its_members_and_keeps_its_grants(warehouse: Database, tmp_path: Path) -> None:
    role = f"reporter_{warehouse.name}"
    loader(warehouse, tmp_path, DOMAIN + VIEWS, pipe=PIPE, pipes__crm___yaml=CRM).run(stages=DDL)
    warehouse.as_dba(f"create role {role}")
    warehouse.execute(f"grant select on dv.care_view to {role}")
    try:
        wider = loader(
            warehouse,
            tmp_path,
            (DOMAIN + VIEWS).replace("Licence: {number: text}", "Licence: {number: text, until: date}"),
            pipe=PIPE,
            pipes__crm___yaml=CRM,
        )
        wider.run(stages=DDL, name="wider")
        assert columns(warehouse, "dv.care_view")[-1] == "doctor_licence_until"
        narrower = loader(
            warehouse,
            tmp_path,
            (DOMAIN + VIEWS).replace("Licence: {number: text}", "Licence: {until: date}"),
            pipe=PIPE,
            pipes__crm___yaml=CRM,
        )
        narrower.run(stages=DDL, name="narrower")
        assert "doctor_licence_number" not in columns(warehouse, "dv.care_view")
        assert warehouse.rows(f"select has_table_privilege('{role}', 'dv.care_view', 'select')", ()) == [(True,)]
    finally:
        warehouse.as_dba(f"drop owned by {role}; drop role {role}")


def test_without_views_an_ensemble_view_is_made_where_a_datamart_reads_it(warehouse: Database, tmp_path: Path) -> None:
    files = {"pipeline": "create_views: false", "pipes__crm___yaml": CRM}
    deliver(tmp_path, "nr;name\nd1;Dirk\n", "his/doctors.csv")
    loader(warehouse, tmp_path, DOMAIN + VIEWS, pipe=LOADING, **files).run(stages=DDL)
    there = "select relname from pg_class where relkind = 'v' and relnamespace = 'dv'::regnamespace"
    assert warehouse.rows(there, ()) == []
    load = loader(
        warehouse,
        tmp_path,
        DOMAIN + VIEWS,
        pipe=LOADING,
        **files,
        datamarts__care___sql="select doctor_bk, patient_bk, treats_status from dv.care_view",
    )
    assert [outcome.failures for outcome in load.run(name="with a datamart").values() if outcome.failures] == []
    assert load.rows("select count(*) from dm.care") == [(0,)]
    assert warehouse.rows(there, ()) == [("care_view",)]

"""Every kind of rejected row over several nights: written down once with its first and last run, mended it flows on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from written_projects import deliver, loader

DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {name: text, born: date}
      Contact: {types: [home], columns: {since: date}}
  Doctor: {}
links:
  Visit:
    references: {patient: Patient, doctor: Doctor}
    satellites: {Default: {day: date}}
valuesets:
  Tariff: {columns: {price: "numeric(10,2)"}}
validations:
  - {table: patient_sat, when: name = 'nobody', message: Nobody in the vault}
"""
PIPE = """
pipe: his
source_path: his
sor:
  patient_hstage: {csv: patients.csv, key: [nr], columns: [nr, name, born, bsn, since, doctor]}
  visit_hstage: {csv: visits.csv, key: [nr], columns: [nr, patient, doctor, day]}
  tariff_hstage: {csv: tariffs.csv, key: [nr], columns: [nr, code, price]}
validations:
  - {table: patient_hstage, when: name = 'x', message: No name}
  - {table: patient_hstage, when: "bsn::int < 0", message: Bad bsn}
  - {table: patient_hstage, unique: [bsn], message: Double bsn}
entities:
  - {from: patient_hstage, to: Patient, bk: nr, fields: {Default.name: name, Default.born: born}}
  - from: {query: "select nr, since from sor_his.patient_hstage where _active and _valid and since is not null"}
    to: Patient
    name: contacts
    bk: nr
    fields: {"Contact.since[home]": since}
  - {from: patient_hstage, to: Doctor, bk: doctor, name: doctors, filter: doctor is not null}
links:
  - {from: visit_hstage, to: Visit, references: {patient: patient::int::text, doctor: doctor}, missing_reference: reject,
     fields: {Default.day: day}}
valuesets:
  - {from: tariff_hstage, to: Tariff, fields: {valueset_naam: "'care'", code: code, omschrijving: code, price: price}}
"""
MART = """
select h.bk, s.name, s.born, c.since,
    (select string_agg(v.day::text, ',' order by v.day) from dv.visit_link l join dv.visit_sat v on v._id = l._id and v._active
     where l.fk_patient_hub = h._id) as days,
    (select count(*) from valset.tariff where _active) as tariffs
from dv.patient_hub h
left join dv.patient_sat s on s._id = h._id and s._active and s._valid
left join dv.patient_sat_contact c on c._id = h._id and c._active
"""
GOOD = {"patients": "1,Ann,2000-01-31,111,,D1\n9,Zoe,,909,,D2\n", "visits": "1,1,D1,2026-01-01\n", "tariffs": "1,A,1\n"}
CANNOT = "cannot make {} of this row (SQLSTATE {})"


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows that are bad for two nights, bad in another way in the third, and mended in the fourth; `message` in the
    exceptions of `schema`, and what of the datamart shows that the mended row arrived."""

    file: str
    bad: str
    changed: str
    mended: str
    message: str
    schema: str = "sor_his"
    stays: int = 0
    """How many of the bad rows are not changed in the third night."""
    shown: tuple[Any, ...]
    columns: str = "bk, name"


PERSON = "2,Bob,2000-01-31,222,,\n"
CASES = {
    "null key": Case(
        file="patients", bad=",Bob,,222,,\n", changed=",Rob,,222,,\n", mended=PERSON, message="key is null",
        shown=("2", "Bob"),
    ),
    "repeated key": Case(
        file="patients", bad="2,Bob,,222,,\n2,Rob,,333,,\n", changed="2,Bob,,222,,\n2,Robert,,333,,\n", mended=PERSON,
        message="key occurs more than once in the delivery", stays=1, shown=("2", "Bob"),
    ),
    "validation": Case(
        file="patients", bad="2,x,,222,,\n", changed="2,x,,333,,\n", mended=PERSON, message="No name", shown=("2", "Bob")
    ),
    "validation that cannot be evaluated": Case(
        file="patients", bad="2,Bob,,two,,\n", changed="2,Bob,,three,,\n", mended=PERSON, message="Bad bsn",
        shown=("2", "Bob"),
    ),
    "unique validation": Case(
        file="patients", bad="2,Bob,,999,,\n3,Cas,,999,,\n", changed="2,Rob,,999,,\n3,Cas,,999,,\n",
        mended="2,Bob,,999,,\n3,Cas,,998,,\n", message="Double bsn", stays=1, shown=("2", "Bob"),
    ),
    "cast of a hub's satellite": Case(
        file="patients", bad="2,Bob,31 feb,222,,\n", changed="2,Bob,32 feb,222,,\n", mended=PERSON,
        message=CANNOT.format("Default.born (date)", "22007"), schema="dv", shown=("2", "2000-01-31"),
        columns="bk, born::text",
    ),
    "cast of a query's value": Case(
        file="patients", bad="2,Bob,,222,soon,\n", changed="2,Bob,,222,later,\n", mended="2,Bob,,222,2020-02-02,\n",
        message=CANNOT.format("Contact.since[home] (date)", "22007"), schema="dv", shown=("2", "2020-02-02"),
        columns="bk, since::text",
    ),
    "cast of a link's satellite": Case(
        file="visits", bad="2,1,D2,31 feb\n", changed="2,1,D2,32 feb\n", mended="2,1,D2,2026-02-28\n",
        message=CANNOT.format("Default.day (date)", "22007"), schema="dv", shown=("1", "2026-01-01,2026-02-28"),
        columns="bk, days",
    ),
    "reference of a link": Case(
        file="visits", bad="2,one,D2,2026-02-28\n", changed="2,two,D2,2026-02-28\n", mended="2,1,D2,2026-02-28\n",
        message=CANNOT.format("the business key", "22P02"), schema="dv", shown=("1", "2026-01-01,2026-02-28"), columns="bk, days",
    ),
    "missing reference of a link": Case(
        file="visits", bad="2,1,D8,2026-02-28\n", changed="2,1,D9,2026-02-28\n", mended="2,1,D2,2026-02-28\n",
        message="no doctor of this key in dv.doctor_hub", schema="dv", shown=("1", "2026-01-01,2026-02-28"), columns="bk, days",
    ),
    "cast of a valueset": Case(
        file="tariffs", bad="2,B,dear\n", changed="2,B,cheap\n", mended="2,B,2\n",
        message=CANNOT.format("Tariff.price (numeric(10,2))", "22P02"), schema="valset", shown=("1", 2),
        columns="bk, tariffs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_rejected_row_stands_once_with_its_first_and_last_run_and_flows_when_it_is_mended(
    name: str, warehouse: Database, tmp_path: Path
) -> None:
    case = CASES[name]
    load = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, datamarts__people___sql=MART)
    query = f"select _runid::int, _last_runid::int from {case.schema}._exceptions where message = %s order by 1, 2, key_fields"

    def night(day: int, rows: str) -> list[tuple[Any, ...]]:
        for file, text in GOOD.items():
            deliver(tmp_path, text + (rows if file == case.file else ""), f"his/{file}.csv")
            header = {
                "patients": "nr,name,born,bsn,since,doctor\n",
                "visits": "nr,patient,doctor,day\n",
                "tariffs": "nr,code,price\n",
            }
            path = tmp_path / "data" / "his" / f"{file}.csv"
            path.write_text(header[file] + path.read_text())
        load.run(date(2026, 1, day))
        return warehouse.rows(query, (case.message,))

    rows = case.bad.count("\n")
    assert night(1, case.bad) == [(1, 1)] * rows
    before = warehouse.rows("select * from dm.people order by 1")
    assert night(2, case.bad) == [(1, 2)] * rows
    assert warehouse.rows("select * from dm.people order by 1") == before

    third = night(3, case.changed)
    assert third == [(1, 2)] * (rows - case.stays) + [(1, 3)] * case.stays + [(3, 3)] * (rows - case.stays)
    load.run(date(2026, 1, 3))
    assert warehouse.rows(query, (case.message,)) == third
    assert warehouse.rows("select * from dm.people order by 1") == before

    assert night(4, case.mended) == third
    assert case.shown in warehouse.rows(f"select {case.columns} from dm.people")
    assert warehouse.rows("select * from dm.people order by 1") != before
    assert warehouse.rows("select count(*) from sys.rejected_rows where freed_runid is null") == [(0,)]
    assert warehouse.rows("select count(*) from sor_his.patient_hstage where _active and not _valid") == [(0,)]


def test_the_source_key_of_a_rejected_row_stands_beside_it(warehouse: Database, tmp_path: Path) -> None:
    load = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE)
    deliver(tmp_path, "nr,name,born,bsn,since,doctor\n2,x,,222,,\n3,Cas,31 feb,333,,\n", "his/patients.csv")
    deliver(tmp_path, "nr,patient,doctor,day\n7,3,D1,x\n", "his/visits.csv")
    deliver(tmp_path, "nr,code,price\n8,B,dear\n", "his/tariffs.csv")
    load.run(date(2026, 1, 1))
    assert warehouse.rows(
        "select table_name, key_fields from sor_his._exceptions union all select table_name, key_fields from dv._exceptions "
        "union all select table_name, key_fields from valset._exceptions order by 1, 2"
    ) == [
        ("patient_hstage", '{"nr": "2"}'),
        ("patient_hstage", '{"nr": "3"}'),
        ("tariff_hstage", '{"nr": "8"}'),
        ("visit_hstage", '{"nr": "7"}'),
    ]

"""Hubs and satellites of a warehouse that PyELT loaded are continued: nothing comes twice, its history goes on."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from hubs.care import DAY_1, DAY_2, Care, entity, hub, pipe, record_status, satellite

HEADERS = {"his_patient": "nr;name;born;phone"}
PATIENT = hub(
    "Patient",
    satellite("Patient", name="text", born="date"),
    satellite("Patient", "Contact", ("home",), number="text"),
    record_status("Patient"),
)
HIS = pipe(
    "his",
    {"patient": HEADERS["his_patient"]},
    entity("patient", name="name", born="born", Contact__number__home="phone"),
    fk_columns=(("fk_patient_hub", "Patient"),),
)
HISTORY = """_runid numeric(8,2) not null, _source_system varchar, _insert_date timestamp, _finish_date text,
    _active boolean default true, _revision integer default 0, _valid boolean default true, _validation_msg varchar"""
OLD = f"""
create schema sys; create schema dv; create schema sor_his;
create table sys.runs (runid numeric primary key, rundate timestamp, finish_date timestamp, exceptions text,
    sor_versions text, dv_version text, pyelt_version text);
create table sys.currentversion (schemaname varchar primary key, version varchar, date timestamp);
insert into sys.runs (runid, rundate) values (812.03, '2017-03-02');
create table sor_his.patient_hstage (_id serial primary key, _runid numeric(8,2) not null, _active boolean default true,
    _source_system varchar, _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2),
    _revision int default 0, _valid boolean not null default true, _validation_msg varchar, _hash varchar,
    nr text, name text, born text, phone text, fk_patient_hub int);
create table dv.patient_hub (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar, bk varchar unique);
create table dv.patient_sat (_id int not null references dv.patient_hub (_id), {HISTORY}, name text, born date,
    primary key (_id, _runid));
create table dv.patient_sat_contact (_id int not null references dv.patient_hub (_id), type varchar, {HISTORY},
    number text, primary key (_id, type, _runid));
insert into dv.patient_hub (_runid, _source_system, type, bk)
    values (812.02, 'his', 'patient', '1'), (812.02, 'his', 'patient', '2'), (812.02, 'his', 'patient', '3');
insert into sor_his.patient_hstage (_runid, _active, _source_system, _revision, _deleted_runid, nr, name, phone,
        fk_patient_hub) values
    (812.02, false, 'his', 0, null, '1', 'Ana', '010', 1), (812.03, true, 'his', 1, null, '1', 'Anna', '010', 1),
    (812.02, true, 'his', 0, null, '2', 'Bob', null, 2), (812.02, false, 'his', 0, 812.03, '3', 'Cas', null, 3);
insert into dv.patient_sat (_id, _runid, _source_system, _active, _revision, _finish_date, name) values
    (1, 812.02, 'his', false, 0, '2017-03-02 02:00:00', 'Ana'), (1, 812.03, 'his', true, 1, null, 'Anna'),
    (2, 812.02, 'his', true, 0, null, 'Bob'), (3, 812.02, 'his', true, 0, null, 'Cas');
insert into dv.patient_sat_contact (_id, type, _runid, _source_system, number) values (1, 'home', 812.02, 'his', '010');
"""
NAMES = """
select h.bk, s.name, s._revision, s._active, s._runid, s._finish_date
from dv.patient_sat s join dv.patient_hub h using (_id) order by 1, 3
"""
BEFORE = [
    ("1", "Ana", 0, False, 812.02, "2017-03-02 02:00:00"),
    ("1", "Anna", 1, True, 812.03, None),
    ("2", "Bob", 0, True, 812.02, None),
    ("3", "Cas", 0, True, 812.02, None),
]


def names(care: Care) -> list[tuple[object, ...]]:
    return [(*row[:4], float(row[4]), row[5]) for row in care.rows(NAMES)]


def test_what_did_not_change_is_not_written_again(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD)
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])

    care.deliver(DAY_1, HEADERS, his_patient=["1;Anna;;010", "2;Bob;;"])

    assert names(care) == BEFORE
    assert care.rows("select number, _revision from dv.patient_sat_contact") == [("010", 0)]
    assert care.rows("select count(*) from dv.patient_hub") == [(3,)]
    assert care.rows(
        "select h.bk, s.record_status from dv.patient_sat_record_status s join dv.patient_hub h using (_id)"
    ) == [("3", "deleted")]


def test_changes_go_on_where_pyelt_stopped(warehouse: Database, tmp_path: Path) -> None:
    warehouse.execute(OLD)
    care = Care(warehouse, tmp_path, HIS, hubs=[PATIENT])
    care.deliver(DAY_1, HEADERS, his_patient=["1;Anna;;010", "2;Bob;;"])

    care.deliver(DAY_2, HEADERS, his_patient=["1;Anne;;020", "2;Bob;;", "4;Dirk;;"])

    assert names(care)[1:3] == [
        ("1", "Anna", 1, False, 812.03, "2026-01-02 02:00:13"),
        ("1", "Anne", 2, True, 814.0, None),
    ]
    assert care.rows("select number, _revision, _active from dv.patient_sat_contact order by 2") == [
        ("010", 0, False),
        ("020", 1, True),
    ]
    assert care.rows(
        "select s.nr, h.bk from sor_his.patient_hstage s join dv.patient_hub h on h._id = s.fk_patient_hub "
        "where s._active order by 1"
    ) == [("1", "1"), ("2", "2"), ("4", "4")]

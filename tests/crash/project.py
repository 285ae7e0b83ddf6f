"""A small but complete project for breaking: two pipes on shared hubs, one of files and one of a source database."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from databases import Database
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.model.pipeline import Pipeline

FILES = {
    "pipeline.yaml": """
        pipeline: ward
        conn_dwh: warehouse
        start_date: 2026-01-01
        data_root: DATA
        lock_timeout: 30s
    """,
    "domain.yaml": """
        hubs:
          Patient:
            satellites:
              Default: {name: text, born: date, sex: {type: text, valueset: {table: Valueset, naam: sex}}}
              Contact: {types: [phone, mobile], columns: {number: text}}
              Insurance: {insurer: text}
              RecordStatus: record_status
          Doctor:
            satellites:
              Default: {room: text}
        links:
          Treatment:
            references: {patient: Patient, doctor: Doctor}
            status: true
            driving: patient
            satellites: {Default: {remark: text, visits: integer}}
        valuesets:
          Valueset: {}
        validations:
          - {table: patient_sat, when: "born > '2026-01-01'", message: Not born yet}
    """,
    "pipes/his.yaml": """
        pipe: his
        source_path: his
        functions: [digits.sql]
        before_sor: ["hooks.py:open_page"]
        after_sor: ["hooks.py:close_page"]
        extra_sql:
          - {name: notes, sql: "create table sor_his.notes as select 'made once'::text as note"}
        sor:
          patient_hstage: {csv: "{{ ds }}/patients.csv", delimiter: ";", key: [nr]}
          code_hstage: {csv: "{{ ds }}/codes.csv", delimiter: ";", key: [list, code]}
        validations:
          - {table: patient_hstage, when: name = 'Nobody', message: Nobody is not a patient}
        entities:
          - from: patient_hstage
            to: Patient
            bk: nr
            fields:
              Default.name: name
              Default.born: born
              Default.sex: sex
              Contact.number[phone]: sor_his.digits(phone)
              Contact.number[mobile]: sor_his.digits(mobile)
          - {from: patient_hstage, to: Doctor, bk: doctor, fields: {Default.room: room}}
        links:
          - from: patient_hstage
            to: Treatment
            references: {patient: {entity: Patient}, doctor: doctor}
            fields: {Default.remark: remark, Default.visits: visits}
        valuesets:
          - {from: code_hstage, to: Valueset, fields: {valueset_naam: list, code: code, omschrijving: text}}
    """,
    "pipes/crm.yaml": """
        pipe: crm
        source_connection: crm
        default_schema: public
        sor:
          relation_hstage: {table: relation, key: [nr]}
        entities:
          - {from: relation_hstage, to: Patient, bk: nr, fields: {Insurance.insurer: insurer, Default.name: name}}
        links:
          - from: relation_hstage
            to: Treatment
            references: {patient: nr, doctor: doctor}
            missing_reference: wait
        valuesets:
          - {from: relation_hstage, to: Valueset,
             fields: {valueset_naam: "'insurer'", code: insurer, omschrijving: upper(insurer)}}
    """,
    "hooks.py": """
        def open_page(context):
            with context.connection.cursor() as cursor:
                cursor.execute("create table if not exists sor_his.pages (runid numeric primary key, patients bigint)")
                cursor.execute(
                    "insert into sor_his.pages values (%s) on conflict (runid) do update set patients = null",
                    (context.run.number,),
                )


        def close_page(context):
            with context.connection.cursor() as cursor:
                cursor.execute(
                    "update sor_his.pages set patients = (select count(*) from sor_his.patient_hstage where _active)"
                    " where runid = %s",
                    (context.run.number,),
                )
    """,
    "functions/digits.sql": """
        create or replace function sor_his.digits(written text) returns text language sql immutable
        as $$ select nullif(regexp_replace(written, '[^0-9]', '', 'g'), '') $$
    """,
    "datamarts/dim_patient.sql": """
        -- materialized: table
        select p.bk as nr, p.default_name as name, p.sex_sex_omschr as sex from dv.patient_view p
    """,
    "datamarts/treatments.sql": """
        -- materialized: incremental
        -- unique_key: patient, doctor
        select t.patient_bk as patient, t.doctor_bk as doctor, t.default_visits as visits, t.status
        from dv.treatment_view t
    """,
    "datamarts/doctors.sql": """
        -- materialized: view
        select d.bk as doctor, count(t.*) as patients
        from dv.doctor_view d left join dm.treatments t on t.doctor = d.bk group by d.bk
    """,
}

PATIENTS = "nr;name;born;sex;phone;mobile;doctor;room;remark;visits\n"
CODES = "list;code;text\nsex;f;female\n"


@dataclass(frozen=True)
class Delivery:
    """What both sources deliver in one night."""

    day: str
    patients: str
    codes: str
    relations: str

    def write_files(self, folder: Path) -> None:
        """Write the files of `his` below the project's data."""
        of_day = folder / "data" / "his" / self.day
        of_day.mkdir(parents=True, exist_ok=True)
        (of_day / "patients.csv").write_text(PATIENTS + textwrap.dedent(self.patients).lstrip())
        (of_day / "codes.csv").write_text(CODES + self.codes)

    def write_source(self, source: Database) -> None:
        """Make the source database of `crm` hold this delivery."""
        source.execute(
            "drop table if exists relation;"
            "create table relation (nr text primary key, name text, insurer text, doctor text);"
            f"insert into relation values {self.relations}"
        )


FIRST = Delivery(
    day="2026-01-01",
    patients="""
        1;Anna;1980-01-01;f;06-1;06-2;d1;r1;good;1
        2;Bert;1981-01-01;m;06-3;;d1;r1;good;2
        3;Cor;1982-01-01;m;;06-4;d2;r2;bad;3
        4;Dirk;some day;m;06-5;06-6;d2;r2;bad;many
        5;Nobody;1984-01-01;m;06-7;;d9;r9;;
        6;Eva;2030-01-01;f;06-8;;d1;r1;;4
        7;Fred;1985-01-01;m;06-9;06-9;d3;r3;;5
    """,
    codes="sex;m;male\nsex;x;other\n",
    relations="('1','A.','one','d1'),('2','B.','two','d2'),('8','H.','one','d8'),('9','I.','two','d1')",
)
SECOND = Delivery(
    day="2026-01-02",
    patients="""
        1;Anna;1980-01-01;f;06-1;06-20;d2;r1;better;2
        2;Bert;1981-01-01;m;06-3;;d1;r1;good;2
        4;Dirk;1983-01-01;m;06-5;06-6;d2;r2;bad;6
        5;Guus;1984-01-01;m;06-7;;d9;r9;;7
        6;Eva;2020-01-01;f;06-8;;d1;r1;;x
        7;Nobody;1985-01-01;m;06-9;06-9;d1;r1;;5
        10;Hans;never;m;;;d8;r8;new;1
        11;Ina;1990-01-01;x;06-10;;d8;r8;new;1
    """,
    codes="sex;m;man\nsex;y;another\n",
    relations="('1','A.','two','d2'),('2','B.','two','d2'),('8','H.','one','d8'),('11','I.','three','d7')",
)
# Wrongly, both pipes bring patient 13 and doctor d12, too.
WRONG = Delivery(
    day="2026-01-02",
    patients="""
        1;Ann;1980-01-01;f;06-1;06-1;d3;r7;good;1
        3;Nobody;1982-01-01;m;;06-4;d2;r2;bad;3
        4;Dirk;some day;m;06-5;06-7;d2;r2;worse;many
        5;Nobody;1984-01-01;m;06-7;;d9;r9;;
        6;Eva;2031-01-01;f;;;d3;r1;;4
        7;Fred;1985-01-01;m;06-9;06-9;d3;r3;;x
        13;Jan;1985-01-01;m;06-9;06-9;d12;r3;;5
    """,
    codes="sex;m;men\nsex;z;unknown\n",
    relations="('1','A.','one','d7'),('3','C.','four','d3'),('9','I.','two','d12'),('12','J.','two','d7'),('13','K.','two','d12')",
)


def write_project(folder: Path) -> Path:
    """Write the project's files and return its folder."""
    project = folder / "project"
    for name, text in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip().replace("DATA", str(folder / "data")))
    return project


def read_project(folder: Path) -> Pipeline:
    """Read what `write_project` wrote; its connections are AIRFLOW_CONN_WAREHOUSE and AIRFLOW_CONN_CRM."""
    return read_pipeline(folder / "project", {})

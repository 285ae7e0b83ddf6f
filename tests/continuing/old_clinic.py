"""A warehouse that PyELT left (old_warehouse.sql), the project that goes on with it, and the deliveries of its last night."""

from __future__ import annotations

from pathlib import Path

from config.projects import write_project
from continuing.pyelt_program import DOMAIN as PROGRAM_DOMAIN
from continuing.pyelt_program import PROGRAM, VALSETS
from databases import Database
from python_api.programs import write_program

OLD = (Path(__file__).parent / "old_warehouse.sql").read_text(encoding="utf-8")

DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {geboortedatum: date}
      Personalia: {achternaam: text}
      Contact: {types: [mobiel, thuis], columns: {telnummer: text}}
      Status: record_status
  Traject: {satellites: {Default: {start: date}}}
  Arts: {}
links:
  TrajectArts: {references: {traject: Traject, arts: Arts}, satellites: {Default: {rol: text}}, status: true}
  PatientTraject: {references: {patient: Patient, traject: Traject}}
valuesets:
  Valueset: {}
"""
HIS = """
pipe: his
source_path: his
sor:
  patient_hstage: {csv: patient.csv, key: [patientnummer], fk_columns: {fk_patient_hub: Patient}}
  traject_hstage:
    csv: traject.csv
    key: [trajectnummer]
    fk_columns: {fk_traject_hub: Traject, fk_arts_hub: Arts, fk_traject_arts_link: TrajectArts}
  code_hstage: {csv: code.csv, key: [lijst, code]}
validations:
  - {table: patient_hstage, when: "coalesce(achternaam, '') = ''", message: Geen achternaam}
entities:
  - from: patient_hstage
    to: Patient
    bk: patientnummer
    fields:
      Default.geboortedatum: geboortedatum
      Personalia.achternaam: achternaam
      Contact.telnummer[mobiel]: mobiel
      Contact.telnummer[thuis]: thuis
  - {from: traject_hstage, to: Traject, bk: trajectnummer, fields: {Default.start: start}}
  - {from: traject_hstage, to: Arts, bk: arts}
links:
  - from: traject_hstage
    to: TrajectArts
    references: {traject: trajectnummer, arts: arts}
    fields: {Default.rol: rol}
  - {from: traject_hstage, to: PatientTraject, references: {patient: patientnummer, traject: trajectnummer}}
valuesets:
  - {from: code_hstage, to: Valueset, fields: {valueset_naam: lijst, code: code, omschrijving: naam}}
"""
LAB = """
pipe: lab
source_path: lab
sor:
  bepaling_hstage: {csv: bepaling.csv, key: [nummer], fk_columns: {fk_patient_hub: Patient}}
entities:
  - {from: bepaling_hstage, to: Patient, bk: patient}
"""
PROGRAM_FILES = {"program.py": PROGRAM, "domain.py": PROGRAM_DOMAIN, "valsets.py": VALSETS}
PATIENTS: dict[int, str | None] = {
    1: '1,Anna,1980-01-01,061,""',
    2: "2,Bos,1981-01-01,,",
    3: None,
    4: '4,"",1983-01-01,,',
    5: "5,Eik,1984-01-01,,\n5,Eyk,1984-01-01,,",
    6: "6,Fox,1985-01-01,066,",
    7: "7,Gul,1986-01-01,,077",
    8: "8,Hek,1987-01-01,,\n8,Hik,1987-01-01,,",
}


def old_clinic(warehouse: Database, folder: Path, *, as_program: bool = False) -> Path:
    """Make the old warehouse, write the project and its deliveries; returns the project's folder."""
    warehouse.execute(OLD)
    pipeline = f"pipeline: kliniek\nconn_dwh: {warehouse.url}\ndata_root: data\n"
    written = {"pipeline.yaml": pipeline, "domain.yaml": DOMAIN, "pipes/his.yaml": HIS, "pipes/lab.yaml": LAB}
    if as_program:
        written = {"pipeline.yaml": f"{pipeline}python: program:build\n", **PROGRAM_FILES}
    project = (write_program if as_program else write_project)(
        folder / "configs" / "kliniek",
        {
            **written,
            "datamarts/dim_patient.sql": "select bk as patient, personalia_achternaam as naam from dv.patient_view",
        },
    )
    deliver_as_last(project)
    return project


def give_sources(warehouse: Database) -> None:
    """Do by hand what a first run needs: rows without a source cannot be in a key."""
    for table in ("dv.patient_sat_personalia", "valset.valueset"):
        warehouse.execute(f"update {table} set _source_system = 'his' where _source_system is null")


def deliver_as_last(project: Path, **changed: str | None) -> None:
    """Deliver what the last night delivered; `changed` are other lines of patients, None for a patient that is missing."""
    lines = {number: changed.get(f"patient_{number}", line) for number, line in PATIENTS.items()}
    _write(project, "patient", "patientnummer,achternaam,geboortedatum,mobiel,thuis", *filter(None, lines.values()))
    _write(
        project,
        "traject",
        "trajectnummer,patientnummer,arts,start,rol",
        f"t1,1,a1,2017-01-01,{changed.get('rol', 'regie')}",
        "t2,2,a1,2017-01-02,regie",
        "t3,6,,2017-01-03,",
    )
    _write(project, "code", "lijst,code,naam", f"geslacht,m,{changed.get('man', 'man')}", "geslacht,v,vrouw")
    _write(project, "bepaling", "nummer,patient", "b1,2", "b2,9")


def _write(project: Path, name: str, *lines: str) -> None:
    folder = project / "data" / ("lab" if name == "bepaling" else "his")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows_of_all_tables(warehouse: Database) -> dict[str, list[str]]:
    """Return every row of every table that PyELT made (`sys` and the temp tables left out), in the columns it had then."""
    columns = warehouse.rows(
        """select table_schema || '.' || table_name, string_agg(quote_ident(column_name), ', ' order by column_name)
           from information_schema.columns join information_schema.tables using (table_schema, table_name)
           where table_type = 'BASE TABLE' and table_schema in ('sor_his', 'sor_lab', 'valset', 'dv')
             and table_name not like '%%\\_temp%%' and column_name not in ('_finish_runid', '_last_runid', 'mapping', '_stage')
             and (table_schema, column_name) <> ('valset', '_id')
             and (table_name, column_name) not in (('_exceptions', '_id'), ('_exceptions', '_source_system'))
           group by 1 order by 1""",
        (),
    )
    return {
        str(table): [str(row[0]) for row in warehouse.rows(f"select ({names})::text from {table} order by 1")]
        for table, names in columns
    }

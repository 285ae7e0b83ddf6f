"""`pyelt check --database`: the databases judge every expression, and nothing of it stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line.commands import pyelt
from config.projects import write_project
from databases import Database

DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {born: date, weight: numeric}
  Track: {satellites: {Default: {started: date}}}
links:
  PatientTrack: {references: {patient: Patient, track: Track}}
valuesets:
  Valueset: {}
validations:
  - {table: patient_sat, when: born > current_date, message: Born in the future}
"""
HIS = """
pipe: his
sor:
  patient_hstage: {csv: patients.csv, key: [number]}
  track_hstage: {csv: tracks.csv, key: [number]}
validations:
  - {table: patient_hstage, when: "number like '0%'", message: Leading zero}
entities:
  - {from: patient_hstage, to: Patient, bk: number, fields: {Default.born: born, Default.weight: "weight::numeric / 1000"}}
  - {from: track_hstage, to: Track, bk: number, fields: {Default.started: started}}
links:
  - {from: track_hstage, to: PatientTrack, references: {patient: patient, track: {entity: Track}}}
"""
LAB = """
pipe: lab
source_connection: ${LAB_URL}
default_schema: public
sor:
  order_hstage: {table: lab_order, key: [id]}
  code_hstage: {query: select code from lab_order, key: [code]}
valuesets:
  - {from: code_hstage, to: Valueset, fields: {valueset_naam: "'c'", code: code, omschrijving: upper(code)}}
"""
MART = "select v.bk, o.code from dv.patient_view v join sor_lab.order_hstage o on o.id = v.bk"


@pytest.fixture
def project(tmp_path: Path, warehouse: Database, source_database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WAREHOUSE_URL", warehouse.url)
    monkeypatch.setenv("LAB_URL", source_database.url)
    source_database.execute("create table lab_order (id text, code text)")
    return write_project(
        tmp_path / "configs" / "small",
        {
            "pipeline.yaml": "pipeline: small\nconn_dwh: ${WAREHOUSE_URL}\ndata_root: data\n",
            "domain.yaml": DOMAIN,
            "pipes/his.yaml": HIS,
            "pipes/lab.yaml": LAB,
            "datamarts/fact.sql": MART,
            "datamarts/over.sql": "select * from dm.fact where code like 'x%'",
            "data/patients.csv": "number,born,weight\n",
            "data/tracks.csv": "number,patient,started\n",
        },
    )


def change(project: Path, file: str, old: str, new: str) -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))


def test_a_project_whose_sql_works_is_fine_and_the_warehouse_stays_empty(
    project: Path, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    said = pyelt(capsys, "check", str(project), "--database")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "small: fine; every expression works on the databases\n"
        "  2 pipes, 4 staging tables, 2 hubs, 1 link, 1 valueset, 4 mappings, 2 datamarts; DAG small\n"
        "  the next run adds to the warehouse:\n"
        "    bookkeeping tables\n"
        "    5 new schemas\n"
        "    dv: 6 new tables, 3 new views\n"
        "    sor_his: 5 new tables\n"
        "    sor_lab: 7 new tables\n"
        "    valset: 2 new tables\n"
        "    2 new datamarts\n"
    )
    assert warehouse.rows("select nspname from pg_namespace where nspname !~ '^pg_|information_schema|public'") == []


def test_every_expression_that_cannot_work_is_told_with_its_place(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(project, "pipes/his.yaml", "Default.born: born", "Default.born: brn")
    change(project, "pipes/his.yaml", "weight::numeric / 1000", "weight / 1000")
    change(project, "pipes/his.yaml", "number like '0%'", "numbr like '0%'")
    change(project, "pipes/his.yaml", "{patient: patient,", "{patient: patient patient,")
    change(project, "pipes/lab.yaml", "upper(code)", "uper(code)")
    change(project, "domain.yaml", "born > current_date", "bron > current_date")
    change(project, "datamarts/fact.sql", "o.code", "o.cod")
    said = pyelt(capsys, "check", str(project), "--database")

    assert (said.code, said.out) == (1, "")
    lines = said.err.splitlines()
    assert lines[0] == f"{project}: 7 problems"
    told = [line.removeprefix(f"{project}/") for line in lines[1:]]
    assert told == [
        "domain.yaml:11: validations[1].when: 'bron > current_date' does not work: "
        '42703 undefined column: column "bron" does not exist',
        "datamarts/fact.sql:1: the query does not work: 42703 undefined column: column o.cod does not exist",
        "pipes/his.yaml:6: validations.1: \"numbr like '0%'\" does not work: "
        "42703 undefined column: column \"numbr\" does not exist; did you mean 'number'?",
        "pipes/his.yaml:8: patient_hstage -> Patient: fields.Default.born: 'brn' does not work: "
        "42703 undefined column: column \"brn\" does not exist; did you mean 'born'?",
        "pipes/his.yaml:8: patient_hstage -> Patient: fields.Default.weight: 'weight / 1000' does not work: "
        "42883 undefined function: operator does not exist: text / integer",
        "pipes/his.yaml:11: track_hstage -> PatientTrack: references.patient: 'patient patient' does not work: "
        '42601 syntax error: syntax error at or near "patient"',
        "pipes/lab.yaml:8: code_hstage -> Valueset: fields.omschrijving: 'uper(code)' does not work: "
        "42883 undefined function: function uper(text) does not exist",
    ]


def test_a_loaded_warehouse_is_checked_and_left_as_it_is(
    project: Path, warehouse: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data" / "patients.csv").write_text("number,born,weight\n1,2000-01-01,70000\n")
    assert pyelt(capsys, "run", str(project)).code == 0
    columns = "select table_schema, table_name, column_name from information_schema.columns order by 1, 2, 3"
    before = warehouse.rows(columns)
    change(project, "domain.yaml", "weight: numeric", "weight: numeric, length: numeric")
    change(project, "pipes/his.yaml", "Default.born: born,", "Default.born: born, Default.length: lenght,")
    said = pyelt(capsys, "check", str(project), "--database")
    assert said.code == 1
    assert "fields.Default.length: 'lenght' does not work" in said.err
    assert warehouse.rows(columns) == before


def test_a_file_that_is_not_there_leaves_its_table_unchecked_and_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data" / "tracks.csv").unlink()
    change(project, "pipes/his.yaml", "Default.started: started", "Default.started: nonsense")
    said = pyelt(capsys, "check", str(project), "--database")
    assert said.code == 0
    assert said.err.startswith("note: sor_his.track_hstage is not checked: his.sor.ddl_sor: there is no file ")
    assert pyelt(capsys, "check", str(project), "--database", "--strict").code == 1


def test_a_source_table_that_is_not_there_is_a_problem_of_its_place(
    project: Path, source_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    source_database.execute("drop table lab_order")
    said = pyelt(capsys, "check", str(project), "--database")
    assert said.code == 1
    places = [line.removeprefix(f"{project}/").split(": ")[:2] for line in said.err.splitlines()[1:]]
    assert ["pipes/lab.yaml:5", "sor.order_hstage"] in places
    assert ["pipes/lab.yaml:6", "sor.code_hstage"] in places


def test_a_warehouse_that_cannot_be_reached_is_said_without_its_password(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://dwh:geheim@127.0.0.1:1/dwh")
    said = pyelt(capsys, "check", str(project), "--database")
    assert said.code == 1
    assert "cannot be reached" in said.err
    assert "geheim" not in said.err

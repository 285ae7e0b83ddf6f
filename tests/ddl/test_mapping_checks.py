"""Every SQL expression of a pipe is judged by the database before anything is loaded, and all that is wrong is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from databases import Database
from written_projects import deliver, labels, loader

DOMAIN = """
hubs:
  Patient:
    satellites: {Default: {name: text, born: date, weight: "numeric(5,1)"}}
  Ward: {}
links:
  PatientWard: {references: {patient: Patient, ward: Ward}, satellites: {Default: {since: date}}}
valuesets:
  Valueset: {}
"""

PIPE = """
pipe: his
source_path: his
sor_schema: sor_his
sor:
  patient_hstage:
    csv: patients.csv
    columns: [nr, name, born, ward]
    key: [nr]
validations:
  - {table: patient_hstage, when: "born::date > '2100-01-01'", message: Too young}
entities:
  - from: patient_hstage
    to: Patient
    bk: nr || '_his'
    filter: name <> '100%'
    prefer: born desc
    fields:
      Default.name: name
      Default.born: born
  - {from: patient_hstage, to: Ward, bk: ward}
links:
  - from: patient_hstage
    to: PatientWard
    references: {patient: "nr || '_his'", ward: ward}
    fields: {Default.since: born}
valuesets:
  - {from: patient_hstage, to: Valueset, fields: {valueset_naam: "'names'", code: name, omschrijving: "upper(name)"}}
"""

STAGES = ["prepare", "ddl_valset", "ddl_dv", "his.sor.ddl_sor", "his.sor.check_mappings"]


def test_a_pipe_that_is_right_is_checked_once(warehouse: Database, tmp_path: Path) -> None:
    deliver(tmp_path, "nr,name,born,ward\n")
    project = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE)
    first = project.run(date(2026, 1, 1), stages=STAGES)["his.sor.check_mappings"]
    second = project.run(date(2026, 1, 2), stages=STAGES)["his.sor.check_mappings"]
    assert "check patient_hstage -> Patient: fields.Default.born" in labels(first)
    assert labels(second) == ["see whether the mappings changed"]
    changed = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE.replace("Default.name: name", "Default.name: upper(name)"))
    third = changed.run(date(2026, 1, 3), stages=STAGES)["his.sor.check_mappings"]
    assert "check patient_hstage -> Patient: bk" in labels(third)


def test_everything_that_is_wrong_is_told_at_once_with_its_place_and_the_nearest_column(
    warehouse: Database, tmp_path: Path
) -> None:
    deliver(tmp_path, "nr,name,born,ward\n")
    wrong = (
        PIPE.replace("Default.name: name", "Default.name: nane")
        .replace("bk: ward", "bk: uppper(ward)")
        .replace("name <> '100%'", "name <> ")
        .replace("prefer: born desc", "prefer: borm desc")
        .replace("born::date > ", "geboren::date > ")
        .replace("{Default.since: born}", "{Default.since: 1 + 1}")
        .replace("upper(name)", "s.name ||")
    )
    error = loader(warehouse, tmp_path, DOMAIN, pipe=wrong).fails(stages=STAGES)
    assert error.splitlines()[0] == "7 problems in the configuration:"
    assert [line.strip().partition(" does not work")[0] for line in error.splitlines()[1:]] == [
        "pipes/his.yaml:11: validations.1: \"geboren::date > '2100-01-01'\"",
        "pipes/his.yaml:13: patient_hstage -> Patient: source: 'name <>'",
        "pipes/his.yaml:13: patient_hstage -> Patient: prefer: 'borm desc'",
        "pipes/his.yaml:19: patient_hstage -> Patient: fields.Default.name: 'nane'",
        "pipes/his.yaml:21: patient_hstage -> Ward: bk: 'uppper(ward)'",
        "pipes/his.yaml:26: patient_hstage -> PatientWard: fields.Default.since: '1 + 1'",
        "pipes/his.yaml:28: patient_hstage -> Valueset: fields.omschrijving: 's.name ||'",
    ]
    assert "'nane' does not work" in error
    assert "did you mean 'name'?" in error
    assert "did you mean 'born'?" in error
    assert "function uppper(text) does not exist" in error
    assert "cannot cast type integer to date" in error
    assert warehouse.rows("select count(*) from sor_his.patient_hstage") == [(0,)]


def test_a_join_with_a_table_of_a_pipe_that_was_never_loaded_is_left_to_the_load(
    warehouse: Database, tmp_path: Path
) -> None:
    other = """
        pipe: lab
        source_path: lab
        sor_schema: sor_lab
        sor: {order_hstage: {csv: orders.csv, columns: [nr, patient], key: [nr]}}
    """
    deliver(tmp_path, "nr,name,born,ward\n")
    joined = PIPE.replace(
        "{from: patient_hstage, to: Ward, bk: ward}",
        '{from: {table: patient_hstage, join: "join sor_lab.order_hstage o on o.patient = s.nr"}, to: Ward, bk: o.nr}',
    )
    project = loader(warehouse, tmp_path, DOMAIN, pipe=joined, pipes__lab___yaml=other)
    project.run(stages=STAGES)
    unknown = joined.replace("sor_lab.order_hstage", "sor_lab.nothing")
    error = loader(warehouse, tmp_path, DOMAIN, pipe=unknown, pipes__lab___yaml=other).fails(
        stages=STAGES, name="second"
    )
    assert "does not exist" in error

"""What is wrong in a program is told all at once, with file, line and mend, as for YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_api.programs import DOMAIN, PIPELINE, PROGRAM, problems_of, write_program


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    program = """
import domain
from domain import Patient, PatientTrackLink, Track
from pyelt.mappings.sor_to_dv_mappings import SorToEntityMapping, SorToLinkMapping
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.mappings.validations import DvValidation, SorValidation
from pyelt.sources.files import CsvFile


def build(pipeline):
    pipeline.register_domain(domain)
    pipe = pipeline.get_or_create_pipe("his", {"source_path": "his", "sor_schema": "dv"})
    pipe.mappings.append(SourceToSorMapping(CsvFile("patients.csv"), "patient_hstage"))
    mapping = SorToEntityMapping("patients_hstage", Patient, pipe.sor)
    mapping.map_field("name", Track.Default.started)
    mapping.map_field("name", "last_name")
    pipe.mappings.append(mapping)
    link = SorToLinkMapping("patient_hstage", PatientTrackLink, pipe.sor)
    link.map_entity(PatientTrackLink.Link.patient)
    link.map_bk("track", Patient)
    pipe.mappings.append(link)
    validation = SorValidation(tbl="patient_hstage", schema=pipe.sor)
    validation.sql_condition = "number like '0%"
    pipe.validations.append(validation)
    young = DvValidation()
    young.set_condition((Patient.Default.born > "2020-01-01") & (Track.Default.started < "2020-01-01"))
    pipe.validations.append(young)
"""
    assert problems_of(write_program(tmp_path, {"program.py": program})) == [
        "program.py:11: sor_schema: the schema 'dv' is that of the vault: rows that are rejected would mix; "
        "give the staging tables a schema of their own",
        "program.py:12: sor.patient_hstage: nothing says which columns identify a row; call set_primary_key([...]) on it",
        "program.py:13: entities[1]: the key 'bk' is missing; such as bk: patientnummer || '_his'",
        "program.py:13: entities[1].from: pipe his has no staging table 'patients_hstage'; did you mean 'patient_hstage'?",
        "program.py:14: patients_hstage -> patient_entity: Patient has no satellite Default; "
        "map onto the columns of the mapping's own target, or of what it inherits from",
        "program.py:15: 'last_name' is not a column of a satellite; write Entity.Satellite.column",
        "program.py:18: patient_hstage -> patienttracklink_link: no mapping of patient_hstage fills the entity of 'patient'; "
        "give bk= the SQL of its business key",
        "program.py:19: this is not a reference of a link; name an attribute of the link that is a LinkReference, such as "
        "PatientTrajectLink.Link.patient",
        "program.py:21: validations[1].when: a quote is opened in the SQL and never closed; close it: ' has no end",
        "program.py:24: validations: the condition is about columns of several tables; write a validation per table",
    ]


def test_a_column_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    program = PROGRAM.replace("Patient.Name.last_name", "Patient.Name.lastname")
    assert problems_of(write_program(tmp_path, {"program.py": program})) == [
        "program.py:16: the program fails: AttributeError: type object 'Name' has no attribute 'lastname'; "
        "did you mean 'last_name'?"
    ]


def test_a_module_that_is_no_python_is_told_at_its_line(tmp_path: Path) -> None:
    (problem,) = problems_of(write_program(tmp_path, {"domain.py": "class Patient(:\n"}))
    assert problem.startswith("domain.py:1: the program fails: SyntaxError: invalid syntax")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nowhere:build", "pipeline.yaml:1: python: there is no module 'nowhere'; it is looked for in {folder}: "
         "set python_path to the folder that has it"),
        ("program:bild", "pipeline.yaml:1: the program fails: AttributeError: module 'program' has no attribute 'bild'; "
         "did you mean 'build'?"),
        ("program.py", "pipeline.yaml:1: python: there is no module 'program.py'; it is looked for in {folder}: "
         "set python_path to the folder that has it"),
        ("a b", "pipeline.yaml:1: python: 'a b' does not name a program; "
         "write package.module:function, or package.module for a script"),
        ("program:two", "pipeline.yaml:1: the function wants pipeline, config; "
         "name one that takes a pipeline, or nothing"),
        ("program:none", "pipeline.yaml:1: python: the program program:none makes no Pipeline; "
         "let the function take a pipeline, or write Pipeline(config) in it"),
        ("program:ends", "program.py:29: the program ends itself (exit 3) before it has registered anything; "
         "name a function: package.module:function"),
    ],
)  # fmt: skip
def test_a_target_that_is_none_is_told(tmp_path: Path, target: str, problem: str) -> None:
    functions = """

def two(pipeline, config):
    pass


def none():
    pass


def ends():
    raise SystemExit(3)
"""
    files = {"program.py": PROGRAM + functions, "pipeline.yaml": f"python: {target}\nconn_dwh: dwh\n"}
    folder = write_program(tmp_path, files)
    assert problems_of(folder) == [problem.format(folder=folder)]


def test_two_deliveries_into_one_staging_table_are_one_too_many(tmp_path: Path) -> None:
    program = PROGRAM + '    pipe.mappings.append(SourceToSorMapping(file, "patient_hstage"))\n'
    assert problems_of(write_program(tmp_path, {"program.py": program})) == [
        "program.py:18: sor.patient_hstage: two deliveries go to patient_hstage; give each a staging table of its own"
    ]


def test_a_file_has_no_filter(tmp_path: Path) -> None:
    program = PROGRAM.replace('"patient_hstage"))', '"patient_hstage", filter="a = 1"))')
    assert problems_of(write_program(tmp_path, {"program.py": program})) == [
        "program.py:13: sor.patient_hstage: a file has no filter; give the filter to the mappings that read the table"
    ]


def test_mistakes_in_views_and_dimensions_are_told(tmp_path: Path) -> None:
    domain = """
from pyelt.datalayers.dv import EnsembleView, HybridSat


class Phone(HybridSat):
    number = Columns.TextColumn()


class Person(HubEntity):
    class Phone(Phone):
        pass


class Loose(EnsembleView):
    patient = Patient
    person = Person


class Doubled(EnsembleView):
    def __init__(self):
        super().__init__("doubled", [Patient, Track, PatientTrackLink])
        self.add_entity_or_link(Patient)
        self.add_entity_or_link("Track")
"""
    marts = """
from pyelt.datalayers.database import Columns
from pyelt.datalayers.dm import Dim, DmReference, Fact


class DimPerson(Dim):
    name = Columns.TextColumn()


class VisitFact(Fact):
    person = DmReference(DimPerson)
"""
    program = (
        PROGRAM
        + """
    import marts
    from pyelt.mappings.dv_to_datamart_mappings import DvToDimMapping, DvToFactMapping
    pipeline.register_datamart(marts)
    mapping = DvToDimMapping(domain.Person, marts.DimPerson)
    mapping.map_field(domain.Person.Phone.number, marts.DimPerson.name)
    pipe.mappings.append(mapping)
    pipe.mappings.append(DvToFactMapping("select 1", marts.VisitFact))
    pipe.mappings.append(DvToDimMapping(Patient, Patient))
"""
    )
    files = {"domain.py": DOMAIN + domain, "marts.py": marts, "program.py": program}
    assert problems_of(write_program(tmp_path, files)) == [
        "domain.py:35: views.loose.members: no link of the view leads to 'person'; add the link between them, or leave it "
        "out",
        "domain.py:43: the view has 'patient_entity' already; give an alias that is not taken",
        "domain.py:44: 'Track' is neither an entity nor a link; add classes of the domain",
        "program.py:23: Person -> dim_person: Phone has a row per type, and nothing says which is meant; give type=, a type "
        "of Person.Phone",
        "program.py:25: select 1 -> visit_fact: a mapping onto a fact says no query that looks its dimensions up; write "
        "datamarts/fact_visit.sql, and take the mapping off the pipe",
        "program.py:26: Patient -> patient_entity: Patient is no dimension; name a class that inherits from Dim",
    ]


def test_passwords_in_errors_of_the_program_are_masked(tmp_path: Path) -> None:
    program = "raise ValueError('postgresql://me:secret@host/db')\n"
    assert problems_of(write_program(tmp_path, {"program.py": program})) == [
        "program.py:1: the program fails: ValueError: postgresql://me:***@host/db"
    ]


def test_the_key_python_is_checked_like_every_other(tmp_path: Path) -> None:
    problems = problems_of(write_program(tmp_path, {"pipeline.yaml": PIPELINE + "pyton_path: x\n"}))
    assert problems == ["pipeline.yaml:4: the key 'pyton_path' is not known here; did you mean 'python_path'?"]

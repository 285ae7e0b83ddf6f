"""What the project says about tables and columns stands in the database; a hub that two pipelines describe has one view."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.errors import PyeltError
from written_projects import deliver, labels, loader

DDL = ["prepare", "ddl_valset", "ddl_dv", "his.sor.ddl_sor"]
DOMAIN = """
hubs:
  Patient:
    description: "Everyone's \\"record\\": 100%\\nand {{ more }}"
    satellites:
      Default:
        description: Who it is
        columns:
          name: {type: text, description: "Surname, 50% of it"}
          born: date
  Child: {extends: Patient, description: A patient under 18}
  Ward: {description: Where beds are}
links:
  Stay:
    description: A patient on a ward
    references: {patient: Patient, ward: Ward}
valuesets:
  Valueset: {description: Codes, columns: {extra: {type: text, description: More}}}
"""
PIPE = """
pipe: his
source_path: his
sor_schema: sor_his
sor:
  patient_hstage: {csv: patients.csv, columns: [nr], key: [nr], description: As delivered}
entities:
  - {from: patient_hstage, to: Patient, bk: nr}
"""
COMMENTS = """
select c.relname, a.attname, d.description
from pg_description d join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass and c.relkind = 'r'
join pg_namespace n on n.oid = c.relnamespace and n.nspname in ('dv', 'valset', 'sor_his')
left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0 order by 1, 2 nulls first
"""


def test_descriptions_become_comments_once(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE)
    deliver(tmp_path, "nr\n1\n")
    project.run(stages=DDL)
    said = [
        ("patient_hstage", None, "As delivered"),
        ("patient_hub", None, 'Everyone\'s "record": 100%\nand {{ more }}'),
        ("patient_sat", None, "Who it is"),
        ("patient_sat", "name", "Surname, 50% of it"),
        ("stay_link", None, "A patient on a ward"),
        ("valueset", None, "Codes"),
        ("valueset", "extra", "More"),
        ("ward_hub", None, "Where beds are"),
    ]
    assert warehouse.rows(COMMENTS) == said

    warehouse.execute("comment on column dv.patient_sat.born is 'by a DBA'; comment on table dv.ward_hub is 'old'")
    again = project.run(stages=DDL, name="second")
    assert warehouse.rows(COMMENTS) == [
        *said[:3],
        ("patient_sat", "born", "by a DBA"),
        *said[3:],
    ]
    assert [label for outcome in again.values() for label in labels(outcome) if "describe" in label] == [
        "describe table"
    ]
    third = project.run(stages=DDL, name="third")
    assert not [label for outcome in third.values() for label in labels(outcome) if "describe" in label]


def pipeline(warehouse: Database, folder: Path, name: str, columns: str) -> tuple[object, ...]:
    """Run the DDL of a pipeline of that name; return what its stage did with views."""
    (folder / name).mkdir(exist_ok=True)
    domain = f"hubs: {{Patient: {{satellites: {{Default: {{{columns}}}}}}}}}"
    project = loader(warehouse, folder / name, domain, pipe=PIPE)
    project.pipeline = replace(project.pipeline, name=name)
    done = project.run(stages=["prepare", "ddl_dv"], name=f"{name} {columns}")
    return tuple(label for label in labels(done["ddl_dv"]) if "view" in label)


def shown(warehouse: Database) -> list[str]:
    found = warehouse.rows(
        "select column_name from information_schema.columns where table_name = 'patient_view' and column_name like "
        "'default_%%' order by ordinal_position".replace("%%", "%")
    )
    return [name for (name,) in found]


def test_two_pipelines_that_describe_a_hub_differently_leave_each_others_view_alone(
    warehouse: Database, tmp_path: Path
) -> None:
    assert pipeline(warehouse, tmp_path, "small", "name: text") == ("create view", "describe view")
    assert pipeline(warehouse, tmp_path, "wide", "name: text, born: date") == ("create view", "describe view")
    for _ in range(2):
        assert pipeline(warehouse, tmp_path, "small", "name: text ") == ()
        assert pipeline(warehouse, tmp_path, "wide", "name: text, born: date ") == ()
    assert shown(warehouse) == ["default_name", "default_born"]


def test_two_pipelines_that_each_have_columns_of_their_own_are_told_so(warehouse: Database, tmp_path: Path) -> None:
    pipeline(warehouse, tmp_path, "one", "name: text, born: date")
    with pytest.raises(PyeltError) as refused:
        pipeline(warehouse, tmp_path, "other", "name: text, town: text")
    assert str(refused.value).endswith(
        "view dv.patient_view was made by the pipeline one, which describes it differently: only there it has "
        "default_born, only in other default_town. Describe the satellites alike in both, or set create_views: "
        "false in one of them; where one has changed or is gone, run it first, or a DBA may run: comment on view "
        "dv.patient_view is null;"
    )
    assert shown(warehouse) == ["default_name", "default_born"]

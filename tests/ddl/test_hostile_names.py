"""Names and values that SQL, templates or drivers could trip over go through every layer as they are."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from written_projects import deliver, loader

LONG = "c" * 47
DOMAIN = f"""
hubs:
  "Pat'ient%s":
    description: "It's 100% \\"sure\\" {{{{ ds }}}}"
    satellites:
      'Na"me':
        columns:
          'a"b %s': text
          "it's": {{type: text, valueset: "se'x %d"}}
          "{{{{ ds }}}}": varchar(20)
          {LONG}: text
      Contact: {{types: ["ho'me", "100%", 'a"b'], columns: {{number: text}}}}
      RecordStatus: record_status
  "Wa\\"rd": {{}}
links:
  "St%say":
    references: {{"pa\\"t'ient": "Pat'ient%s", "wa%(x)srd": "Wa\\"rd"}}
    types: ["o'ne%", two]
    status: true
    satellites: {{Default: {{"n%s": integer}}}}
valuesets:
  Valueset: {{}}
"""
PIPE = """
pipe: his
source_path: his
sor_schema: 'sor_"his%s'
sor:
  patient_hstage: {csv: patients.csv, delimiter: "|", key: ['n"r %s']}
validations:
  - {table: patient_hstage, when: "\\"o'k\\" = 'no %s {{ ds }}'", message: "It's 100% {{ wrong }}"}
entities:
  - from: patient_hstage
    to: "Pat'ient%s"
    bk: "\\"n\\"\\"r %s\\" || ' %s '''"
    fields:
      "Na\\"me.a\\"b %s": "\\"o'k\\""
      "Na\\"me.it's": "\\"o'k\\""
      "Na\\"me.{{ ds }}": "'%s'"
      "Contact.number[ho'me]": "\\"o'k\\""
      "Contact.number[100%]": "'100%'"
      "Contact.number[a\\"b]": "'b'"
  - {from: patient_hstage, to: "Wa\\"rd", bk: "\\"n\\"\\"r %s\\""}
links:
  - from: patient_hstage
    to: "St%say"
    type: "o'ne%"
    references: {"pa\\"t'ient": "\\"n\\"\\"r %s\\" || ' %s '''", "wa%(x)srd": "\\"n\\"\\"r %s\\""}
    fields: {"Default.n%s": "length(\\"o'k\\")"}
valuesets:
  - from: patient_hstage
    to: Valueset
    fields: {valueset_naam: "'se''x %d'", code: "\\"o'k\\"", omschrijving: "'name of ' || \\"o'k\\""}
"""
MART = """-- description: It's 100% "sure" {{ ds }}
select bk as "b""k %s", 'it''s {{ ds }} 100%' as "{{ x }}" from dv."pat'ient%s_view"
"""


def test_hostile_names_and_values_go_through_every_layer(warehouse: Database, tmp_path: Path) -> None:
    project = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, datamarts__dim___sql=MART)
    deliver(
        tmp_path,
        '"n""r %s"|o\'k\n\'; drop table x; --|O\'Br%sien\n{{ ds }}|no %s {{ ds }}\n%(x)s|"two\nlines"\n',
        "his/patients.csv",
    )
    project.run()
    project.run(name="second")

    view = 'dv."pat\'ient%s_view"'
    bk, line = "'; drop table x; -- %s '", "two\nlines"
    assert warehouse.rows(
        f'select bk, "na""me_a""b %s", "na""me_{{{{ ds }}}}", "contact_ho\'me_number", "contact_100%_number", '
        f'"contact_a""b_number", "it\'s_se\'x_%d_omschr", record_status from {view} order by bk collate "C"'
    ) == [
        ("%(x)s %s '", line, "%s", line, "100%", "b", f"name of {line}", "active"),
        (bk, "O'Br%sien", "%s", "O'Br%sien", "100%", "b", "name of O'Br%sien", "active"),
    ]
    assert warehouse.rows(
        'select "pa""t\'ient_bk", "wa%(x)srd_bk", type, status, "default_n%s" from dv."st%say_view" order by 1'
    ) == [
        ("%(x)s %s '", "%(x)s", "o'ne%", "active", 9),
        (bk, "'; drop table x; --", "o'ne%", "active", 9),
    ]
    assert warehouse.rows('select "{{ x }}", count(*) from dm.dim group by 1') == [("it's {{ ds }} 100%", 2)]
    assert warehouse.rows('select message, key_fields::json ->> \'n"r %s\' from "sor_""his%s"._exceptions') == [
        ("It's 100% {{ wrong }}", "{{ ds }}")
    ]

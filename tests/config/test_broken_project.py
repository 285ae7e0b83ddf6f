"""A project in which nearly everything is wrong: all of it is told at once, each with its file, line and mend."""

from __future__ import annotations

from pathlib import Path

from config.projects import DOMAIN, problems_of, write_project

FILES = {
    "pipeline.yaml": """
        pipelin: broken
        conn_dwh: mysql://root:geheim@db/dwh
        shedule: "@daily"
        schedule: "61 2 * * *"
        schedules: {monthly: "0 3 1 *"}
        timezone: Europe/Amstredam
        start_date: 2026-02-30
        retry_delay: soon
        catchup: "yes"
        on_errors: skip
        data_root: ${PYELT_NOT_SET}/data
        retries: -1
        email_settings: {send_mail_before_run: true}
        """,
    "domain.yaml": """
        hubs:
          Patient:
            satellites:
              Default: {born: dat, born: text}
              Contact: {types: [phone, phone], columns: {number: text, _active: boolean}}
              Empty: {}
          Person: {extends: Persn}
          A: {extends: B}
          B: {extends: A, sources: [hiss]}
          AVeryLongNameForAHubThatNobodyWouldEverWantToTypeInTheirWholeLife: {}
          patient: {}
        links:
          PatientPerson:
            references: {patient: Patient, person: Persoon}
            driving: patiente
          Lone: {references: {patient: Patient}}
          HybridLink: {references: {patient: Patient, person: Person}, types: [x]}
        valuesets:
          Valueset: {columns: {code: text}}
        validations:
          - {table: patient_st, when: x, message: y}
        """,
    "pipes/his.yaml": """
        pipe: his
        schedule: montly
        source_path: his
        default_schema: public
        sor:
          patient_hstage: {csv: "${FOLDER}/patients.csv", key: number, delimeter: "|"}
          other_hstage: {csv: other.csv, query: select 1, key: [id]}
          fixed_hstage: {fixed_width: x.txt, key: [id], columns: [id], delivery: ful}
          noheader_hstage: {csv: x.csv, header: false, key: [id]}
          db_hstage: {table: x, key: [id, id], delimiter: ";", deleted_when: x = 1}
        validations:
          - {table: patint_hstage, when: x, message: m}
          - {table: patient_hstage, message: m}
        entities:
          - {from: patient_hstage, to: Patint, bk: number}
          - {from: patient_hstag, to: Patient, bk: number}
          - from: patient_hstage
            to: Patient
            fields:
              Default.bron: x
              Contact.number: x
              Contact.number[fax]: x
              Default.born[old]: x
              nothing: x
              Nme.last: x
          - {from: {table: patient_hstage, join: join x, reads: [sor_his.nothing]}, to: Patient, bk: 5}
          - {from: {view: Pation}, to: Patient, bk: x}
        links:
          - {from: patient_hstage, to: HybridLink, references: {patent: number}}
          - {from: patient_hstage, to: HybridLink, type: y, references: {patient: {entity: Person}, person: number}}
        valuesets:
          - {from: patient_hstage, to: Valueset, fields: {cod: x}}
        functions: [missing.sql]
        extra_sql: [{name: a}]
        before_sor: [hoks.py:before, hooks.py:befor, nothing]
        """,
    "pipes/twin.yaml": """
        pipe: his
        sor:
          patient_hstage: {csv: a.csv, key: [a]}
        """,
    "hooks.py": "def before(context): pass\n",
    "functions/broken.sql": "select 1",
    "datamarts/a.sql": "-- materialised: vieuw\nselect * from dm.b join dv.patient_hubb on true",
    "datamarts/b.sql": "-- materialized: incremental\nselect * from dm.a",
    "domian.yaml": "",
}

LONG = "a_very_long_name_for_a_hub_that_nobody_would_ever_want_to_type_in_their_whole_life_hub"

EXPECTED = [
    "domain.yaml:4: hubs.Patient.satellites.Default.born: the key stands twice, first in line 4; keep one of them",
    "domain.yaml:4: hubs.Patient.satellites.Default.born: PostgreSQL has no type 'dat'; did you mean 'date'? "
    "a type of your own is written with its schema (public.my_type)",
    "domain.yaml:5: hubs.Patient.satellites.Contact.types[2]: the type 'phone' stands twice; leave one out",
    "domain.yaml:5: hubs.Patient.satellites.Contact.columns._active: the column '_active' is one that every satellite "
    "has of its own; give it another name",
    "domain.yaml:6: hubs.Patient.satellites.Empty: the satellite has no columns; "
    "write columns with their types, such as {achternaam: text}",
    "domain.yaml:7: hubs.Person.extends: there is no hub 'Persn'; did you mean 'Person'?",
    "domain.yaml:8: hubs.A.extends: a hub extends itself: A extends B extends A; let one of them stand alone",
    "domain.yaml:9: hubs.B.sources[1]: there is no pipe 'hiss'; did you mean 'his'?",
    "domain.yaml:10: hubs.AVeryLongNameForAHubThatNobodyWouldEverWantToTypeInTheirWholeLife: "
    f"the name '{LONG}' takes 86 bytes, PostgreSQL keeps 63 and would cut the rest silently; shorten it by 23 bytes",
    "domain.yaml:11: hubs.patient: dv.patient_hub would be that of hub patient, "
    "but it is taken by hub Patient (domain.yaml:2); rename one of them",
    "domain.yaml:14: links.PatientPerson.references.person: there is no hub 'Persoon'; did you mean 'Person'?",
    "domain.yaml:15: links.PatientPerson.driving: there is no role 'patiente'; did you mean 'patient'?",
    "domain.yaml:15: links.PatientPerson.driving: a driving reference ends links, but the link keeps no status; "
    "add status: true",
    "domain.yaml:16: links.Lone.references: it has 1 of at least 2 entries; "
    "such as references: {patient: Patient, traject: Traject}",
    "domain.yaml:19: valuesets.Valueset.columns.code: the column 'code' is one that every valueset has of its own; "
    "give it another name",
    "domain.yaml:21: validations[1].table: there is no table in the vault 'patient_st'; did you mean 'patient_sat'?",
    "domian.yaml:1: nothing reads a file of this name; did you mean 'domain.yaml'?",
    "pipeline.yaml:1: the key 'pipelin' is not known here; did you mean 'pipeline'?",
    "pipeline.yaml:2: conn_dwh: this is the URL of another kind of database than postgresql; "
    "write postgresql://user:***@host/db",
    "pipeline.yaml:3: the key 'shedule' is not known here; did you mean 'schedule'?",
    "pipeline.yaml:4: schedule: '61 2 * * *' is not a cron text that any time matches; "
    "minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6, such as 0 2 * * *",
    "pipeline.yaml:5: schedules.monthly: '0 3 1 *' is not a cron text: it has 4 fields; "
    "write five: minute hour day month weekday, such as 0 2 * * *",
    "pipeline.yaml:6: timezone: there is no timezone 'Europe/Amstredam'; did you mean 'Europe/Amsterdam'?",
    "pipeline.yaml:7: start_date: '2026-02-30' is not a day; write year-month-day, such as 2026-01-31",
    "pipeline.yaml:8: retry_delay: 'soon' is not a duration; "
    'write seconds (300) or a text such as "30s", "5m", "1h30m" or "2d"',
    "pipeline.yaml:9: catchup: this is the text 'yes', not true or false; write true or false without quotes",
    "pipeline.yaml:10: on_errors: this is the text 'skip', not 'throw' or 'log'; known: throw, log",
    "pipeline.yaml:11: data_root: the environment variable PYELT_NOT_SET is not set; "
    "set it, or write ${PYELT_NOT_SET:-default} with a default",
    "pipeline.yaml:12: retries: -1 is less than 0; write at least 0",
    "pipeline.yaml:13: email_settings: the key 'to' is missing; such as to: [night@clinic.example]",
    "datamarts/a.sql:1: materialised: the key 'materialised' is not known here; did you mean 'materialized'?",
    "datamarts/a.sql:1: datamarts read each other in a circle: a reads b reads a; let one of them read the vault instead",
    "datamarts/a.sql:2: there is no table 'dv.patient_hubb'; did you mean 'dv.patient_hub'?",
    "datamarts/b.sql:1: an incremental model needs the key of its rows; add a line -- unique_key: column, column",
    "functions/broken.sql:1: the file creates no function; write one: create or replace function ...",
    "pipes/his.yaml:2: schedule: there is no schedule 'montly'; did you mean 'monthly'?",
    "pipes/his.yaml:4: default_schema: 'default_schema' has no effect without a source database; "
    "give the pipe a source_connection, or leave it out",
    "pipes/his.yaml:6: sor.patient_hstage.key: this is the text 'number', not a list; write [number]",
    "pipes/his.yaml:6: sor.patient_hstage: the key 'delimeter' is not known here; did you mean 'delimiter'?",
    "pipes/his.yaml:6: sor.patient_hstage.csv: the environment variable FOLDER is not set; "
    "set it, or write ${FOLDER:-default} with a default",
    "pipes/his.yaml:7: sor.other_hstage: it has csv and query; give exactly one of csv, fixed_width, table and query",
    "pipes/his.yaml:8: sor.fixed_hstage.delivery: this is the text 'ful', not 'full' or 'delta'; did you mean 'full'?",
    "pipes/his.yaml:8: sor.fixed_hstage.columns: a fixed width file needs the places of its columns; "
    "columns: {factuurnummer: [1, 10], ...}",
    "pipes/his.yaml:9: sor.noheader_hstage.header: a file without header says no names; "
    "name the columns: columns: [a, b]",
    "pipes/his.yaml:10: sor.db_hstage.table: neither the pipe nor the table has a source database; "
    "give the pipe a source_connection",
    "pipes/his.yaml:10: sor.db_hstage.delimiter: 'delimiter' has no effect with 'table'; it goes with csv: leave it out",
    "pipes/his.yaml:10: sor.db_hstage.key[2]: the key has 'id' twice; leave one out",
    "pipes/his.yaml:10: sor.db_hstage.deleted_when: 'deleted_when' has no effect with a full delivery, in which a "
    "missing row was deleted; write delivery: delta, or leave it out",
    "pipes/his.yaml:12: validations[1].table: pipe his has no staging table 'patint_hstage'; "
    "did you mean 'patient_hstage'?",
    "pipes/his.yaml:13: validations[2]: it has neither when nor unique; give exactly one of them",
    "pipes/his.yaml:15: entities[1].to: there is no hub 'Patint'; did you mean 'Patient'?",
    "pipes/his.yaml:16: entities[2].from: pipe his has no staging table 'patient_hstag'; "
    "did you mean 'patient_hstage'?",
    "pipes/his.yaml:17: entities[3]: the key 'bk' is missing; such as bk: patientnummer || '_his'",
    "pipes/his.yaml:20: entities[3].fields.Default.bron: satellite Default of Patient has no column 'bron'; "
    "did you mean 'born'?",
    "pipes/his.yaml:21: entities[3].fields.Contact.number: the type is missing: Contact is hybrid; "
    "write Contact.number[type] with one of phone",
    "pipes/his.yaml:22: entities[3].fields.Contact.number[fax]: satellite Contact has no type 'fax'; known: phone",
    "pipes/his.yaml:23: entities[3].fields.Default.born[old]: the satellite Default has no types; write Default.born",
    "pipes/his.yaml:24: entities[3].fields.nothing: 'nothing' is not a column of a satellite; "
    "write Satellite.column or Satellite.column[type]",
    "pipes/his.yaml:25: entities[3].fields.Nme.last: hub Patient has no satellite 'Nme'; "
    "known: Default, Contact, Empty",
    'pipes/his.yaml:26: entities[4].bk: this is the number 5, not a text; put it in quotes: "5"',
    "pipes/his.yaml:26: entities[4].from.reads[1]: there is no table 'sor_his.nothing'; "
    "did you mean 'sor_his.other_hstage'?",
    "pipes/his.yaml:27: entities[5].from.view: there is no hub or link 'Pation'; did you mean 'Patient'?",
    "pipes/his.yaml:29: links[1].references.patent: link HybridLink has no role 'patent'; did you mean 'patient'?",
    "pipes/his.yaml:29: links[1].references: link HybridLink needs the references 'patient' and 'person'; "
    "such as patient: its business key",
    "pipes/his.yaml:29: links[1]: the type is missing: link HybridLink is hybrid; write type: x",
    "pipes/his.yaml:30: links[2].type: link HybridLink has no type 'y'; known: x",
    "pipes/his.yaml:30: links[2].references.patient.entity: no entity mapping of this pipe fills Person from "
    "patient_hstage; write the business key's expression instead",
    "pipes/his.yaml:32: valuesets[1].fields.cod: valueset Valueset has no column 'cod'; did you mean 'code'?",
    "pipes/his.yaml:32: valuesets[1].fields: the field 'valueset_naam' is missing: it is part of a code's key; "
    "such as valueset_naam: an expression",
    "pipes/his.yaml:32: valuesets[1].fields: the field 'code' is missing: it is part of a code's key; "
    "such as code: an expression",
    "pipes/his.yaml:33: functions[1]: functions/ has no file 'missing.sql'; known: broken.sql",
    "pipes/his.yaml:34: extra_sql[1]: extra SQL is given by exactly one of sql and file; write sql: or file:",
    "pipes/his.yaml:35: before_sor[1]: there is no file 'hoks.py'; did you mean 'hooks.py'?",
    "pipes/his.yaml:35: before_sor[2]: hooks.py has no function 'befor'; did you mean 'before'?",
    "pipes/his.yaml:35: before_sor[3]: 'nothing' does not name a function; "
    "write file.py:function or package.module:function",
    "pipes/twin.yaml:1: pipe: there is a pipe 'his' in pipes/his.yaml:1 already; rename one of them",
    "pipes/twin.yaml:3: sor.patient_hstage: sor_his.patient_hstage would be that of pipe his's patient_hstage, "
    "but it is taken by pipe his's patient_hstage (pipes/his.yaml:6); rename one of them",
]


def test_everything_that_is_wrong_is_told_at_once_with_its_place_and_its_mend(tmp_path: Path) -> None:
    assert problems_of(write_project(tmp_path, FILES)) == EXPECTED


def test_a_password_in_a_connection_text_is_never_told(tmp_path: Path) -> None:
    assert not [problem for problem in problems_of(write_project(tmp_path, FILES)) if "geheim" in problem]


def told(tmp_path: Path, **files: str) -> list[str]:
    return problems_of(
        write_project(tmp_path, {name.replace("__", "/") + ".yaml": text for name, text in files.items()})
    )


def test_a_template_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    pipe = "sor:\n  a_hstage: {csv: '{{ ds }/a.csv', key: [id]}\n  b_hstage: {csv: '{{ ds + }}', key: [id]}\n"
    assert told(tmp_path, pipes__his=pipe) == [
        "pipes/his.yaml:2: sor.a_hstage.csv: the template cannot be read: unexpected '}'; "
        "write places such as {{ ds }}",
        "pipes/his.yaml:3: sor.b_hstage.csv: the template cannot be read: unexpected 'end of print statement'; "
        "write places such as {{ ds }}",
    ]


def test_columns_with_a_name_that_postgresql_or_we_use_are_refused(tmp_path: Path) -> None:
    domain = """
        hubs:
          Patient: {satellites: {Name: {last_name: text, ctid: text}, C: {types: [a], columns: {type: text}}}}
        """
    pipe = "sor: {a_hstage: {csv: a.csv, header: false, columns: [id, _hash], key: [id]}}"
    assert told(tmp_path, domain=domain, pipes__his=pipe) == [
        "domain.yaml:2: hubs.Patient.satellites.Name.ctid: PostgreSQL has a column 'ctid' of its own in every table; "
        "give it another name",
        "domain.yaml:2: hubs.Patient.satellites.C.columns.type: the column 'type' is one that every satellite has of "
        "its own; give it another name",
        "pipes/his.yaml:1: sor.a_hstage.columns: the column '_hash' is one that every staging table has of its own; "
        "give it another name",
    ]


def test_names_over_63_bytes_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    long = "x" * 60
    domain = f"""
        hubs:
          Patient: {{satellites: {{{long}: {{a: text}}, Name: {{last_name: text, {long}abcd: text}}}}}}
          Other: {{}}
        links:
          L: {{references: {{{long}: Patient, other: Other}}}}
        """
    pipe = f"sor:\n  {long}_hstage: {{csv: a.csv, key: [id]}}\n"
    problems = told(tmp_path, domain=domain, pipes__his=pipe)
    assert [problem.split(" PostgreSQL")[0] for problem in problems] == [
        f"domain.yaml:2: hubs.Patient.satellites.Name.{long}abcd: the name '{long}abcd' takes 64 bytes,",
        f"domain.yaml:2: hubs.Patient.satellites.{long}: the name 'patient_sat_{long}' takes 72 bytes,",
        f"domain.yaml:5: links.L.references.{long}: the name 'fk_{long}_patient_hub' takes 75 bytes,",
        f"pipes/his.yaml:2: sor.{long}_hstage: the name '{long}_hstage' takes 67 bytes,",
    ]


def test_two_domains_of_one_schema_are_refused(tmp_path: Path) -> None:
    assert told(tmp_path, domain_b="schema: dv\n") == [
        "domain_b.yaml:1: schema: the vault schema 'dv' is that of domain.yaml too; "
        "give each domain file a schema of its own"
    ]


def test_a_mapping_from_a_view_needs_views(tmp_path: Path) -> None:
    pipe = "entities: [{from: {view: Patient}, to: Track, bk: bk}]"
    assert told(tmp_path, pipeline="conn_dwh: dwh\ncreate_views: false\n", pipes__his=pipe) == [
        "pipes/his.yaml:1: entities[1].from.view: the pipeline makes no views (create_views: false); "
        "write create_views: true"
    ]


def test_what_does_not_go_with_a_file_or_a_table_is_refused(tmp_path: Path) -> None:
    pipe = """
        source_connection: lab
        sor:
          a_hstage: {csv: a.csv, key: [id], filter: x}
          b_hstage: {table: b, key: [id], wait_for: 5m, min_rows: 1, delivery: delta, max_deleted: 1%}
        """
    assert told(tmp_path, pipes__his=pipe) == [
        "pipes/his.yaml:3: sor.a_hstage.csv: the pipe reads a database and does not say where its files are; "
        "give the pipe a source_path too, or put files into a pipe of their own",
        "pipes/his.yaml:3: sor.a_hstage.filter: 'filter' has no effect with 'csv'; it goes with table: leave it out",
        "pipes/his.yaml:4: sor.b_hstage.wait_for: 'wait_for' has no effect with 'table'; "
        "it goes with csv and fixed_width: leave it out",
        "pipes/his.yaml:4: sor.b_hstage.min_rows: 'min_rows' goes for full deliveries; a delta delivery may always be "
        "short; leave it out, or write delivery: full",
        "pipes/his.yaml:4: sor.b_hstage.max_deleted: 'max_deleted' has no effect on a delta delivery that deletes nothing; "
        "leave it out, or write deleted_when",
    ]


def test_a_source_that_has_no_effect_is_refused(tmp_path: Path) -> None:
    pipe = """
        source_connection: lab
        source_path: lab
        sor:
          a_hstage: {table: a, key: [id], default_schema: x}
          b_hstage: {query: select 1 as id, key: [id], source_connection: "no id", default_schema: x}
        """
    files = "sor: {c_hstage: {csv: c.csv, key: [id], source_connection: lab}}\n"
    assert told(tmp_path, pipes__his=pipe, pipes__files=files) == [
        "pipes/files.yaml:1: sor.c_hstage.source_connection: 'source_connection' has no effect with 'csv'; "
        "it goes with table and query: leave it out",
        "pipes/his.yaml:2: source_path: the pipe has source_connection (a database) and no file, so 'source_path' has no "
        "effect; leave one of the two out",
        "pipes/his.yaml:4: sor.a_hstage.default_schema: 'default_schema' has no effect without a source_connection of the "
        "table; leave it out, or write the table as schema.name",
        "pipes/his.yaml:5: sor.b_hstage.default_schema: 'default_schema' has no effect with 'query'; it goes with table: "
        "leave it out",
        "pipes/his.yaml:5: sor.b_hstage.source_connection: this is neither a connection id nor a URL; such as dwh, or "
        "postgresql://user:***@host/db",
    ]


def test_views_that_do_not_hang_together_are_refused(tmp_path: Path) -> None:
    views = """
views:
  loose: {members: {patient: Patient, track: Track}}
  unknown: {members: {patient: Patient, link: PatientTrak}}
  unclear: {members: {child: Patient, parent: Patient, track: Track, link: PatientTrack}}
  links: {members: {a: PatientTrack, b: Doctor}}
  twice: {members: {patient: Patient, patient_default: Track, link: PatientTrack}}
  patient_hub: {members: {patient: Patient, track: Track, link: PatientTrack}}
"""
    alias = "long" * 14
    views += f"  too_long: {{members: {{patient: Patient, track: Track, {alias}: PatientTrack}}}}\n"
    domain = DOMAIN.replace("Default: {born: date}", "Default: {born: date, type: text}")
    assert told(tmp_path, domain=domain + views) == [
        "domain.yaml:18: views.loose.members: no link of the view leads to 'track'; add the link between them, or leave it "
        "out",
        "domain.yaml:19: views.unknown.members.link: there is no hub or link 'PatientTrak'; did you mean 'PatientTrack'?",
        "domain.yaml:20: views.unclear.members.link: the role 'patient' of PatientTrack could be any of 'child', 'parent'; "
        "call one of the aliases 'patient'",
        "domain.yaml:21: views.links.members: the view has links and no hub; name the hubs that the links are between",
        "domain.yaml:22: views.twice.members.patient_default: the view would have two columns 'patient_default_type': also "
        "of 'patient'; rename an alias",
        "domain.yaml:23: views.patient_hub: dv.patient_hub would be that of the view patient_hub, but it is taken by hub "
        "Patient (domain.yaml:2); rename one of them",
        f"domain.yaml:24: views.too_long.members.{alias}: the name '{alias}__source_system' takes 71 bytes, PostgreSQL keeps "
        "63 and would cut the rest silently; shorten it by 8 bytes",
    ]


def test_pipe_names_that_cannot_be_task_groups_are_refused(tmp_path: Path) -> None:
    assert told(tmp_path, pipes__his="pipe: close\n", pipes__b="pipe: my.pipe\n", pipes__c="sor_schema: pg_temp\n") == [
        "pipes/b.yaml:1: pipe: 'my.pipe' cannot be the name of a pipe; "
        "begin with a letter, then at most 40 letters, digits, '_' and '-'",
        "pipes/c.yaml:1: sor_schema: the schema 'pg_temp' is PostgreSQL's own; give it another name",
        "pipes/his.yaml:1: pipe: 'close' is the name of a stage; give the pipe another name",
    ]


def test_columns_of_views_that_do_not_fit_are_told_when_the_config_is_read(tmp_path: Path) -> None:
    domain = """
        hubs:
          Patient:
            satellites:
              Contact:
                types: [a_way_to_reach_somebody_by_day]
                columns:
                  a_number_with_a_very_long_name: text
              A: {b_c: text}
              A_b: {c: text}
          Person: {extends: Patient, satellites: {Own: {x: text}, Contact_a: {x: text}}}
          Ward: {}
          Bed: {extends: Ward, satellites: {_source: {system: text}}}
          """
    long = "contact_a_way_to_reach_somebody_by_day_a_number_with_a_very_long_name"
    assert problems_of(write_project(tmp_path, {"domain.yaml": domain, "pipes/his.yaml": "pipe: his\n"})) == [
        "domain.yaml:7: hubs.Patient.satellites.Contact.a_number_with_a_very_long_name: in dv.patient_view, the name "
        f"'{long}' takes 69 bytes, PostgreSQL keeps 63 and would cut the rest silently; shorten it by 6 bytes",
        "domain.yaml:9: hubs.Patient.satellites.A_b.c: dv.patient_view would have two columns 'a_b_c': this one and "
        "that of A.b_c; rename one of them",
        "domain.yaml:12: hubs.Bed.satellites._source.system: dv.bed_view would have two columns '_source_system': "
        "this one and one that every such view has; rename one of them",
    ]


def test_types_to_which_values_would_be_cut_are_told(tmp_path: Path) -> None:
    domain = "hubs: {Patient: {satellites: {Default: {a: 'varchar(3)[]', b: name, c: 'varchar[]', d: 'bit(3)'}}}}"
    found = problems_of(write_project(tmp_path, {"domain.yaml": domain, "pipes/his.yaml": "pipe: his\n"}))
    assert found == [
        f"domain.yaml:1: hubs.Patient.satellites.Default.{column}: PostgreSQL cuts values to fit the type {kind!r} "
        "without an error; use text[] (or varbit[] for bits), for a name text"
        for column, kind in (("a", "varchar(3)[]"), ("b", "name"))
    ]

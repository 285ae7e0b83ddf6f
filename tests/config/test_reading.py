"""What the files of a project mean: the pipeline that comes out of them, and what is a problem."""

from __future__ import annotations

import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from config.projects import DOMAIN, PIPE, problems_of, write_project
from pyelt_provider.config.project_files import find_projects
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError
from pyelt_provider.identifiers import TableName
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import CodeList, Reference, SatelliteKind
from pyelt_provider.model.limits import Amount, Limits, share
from pyelt_provider.model.mapping import FieldMapping, MissingReference, ReferenceMapping
from pyelt_provider.model.pipe import Hook
from pyelt_provider.model.pipeline import AssetSchedule, CronSchedule, EmailSettings, TimetableSchedule
from pyelt_provider.model.place import Place
from pyelt_provider.model.source import DatabaseSource, FileSource
from pyelt_provider.model.staging import (
    CsvFile,
    Delivery,
    FixedColumn,
    FixedWidthFile,
    SourceQuery,
    SourceTable,
)


def test_a_small_project_becomes_a_pipeline(tmp_path: Path) -> None:
    pipeline = read_pipeline(write_project(tmp_path, {}), {})

    assert (pipeline.name, pipeline.warehouse, pipeline.schedule) == ("small", ConnectionRef("dwh"), None)
    assert list(pipeline.hubs) == ["Patient", "Track"]
    his = pipeline.pipe("his")
    assert (his.sor_schema, his.source, his.active) == ("sor_his", FileSource(path="."), True)
    assert his.tables[0].table == TableName("sor_his", "patient_hstage")
    assert his.entities[0].name == "patient_hstage -> Patient"
    assert his.entities[0].fields == (FieldMapping(satellite="Name", column="last_name", expression="name"),)


def test_every_key_of_the_pipeline_arrives_in_the_model(tmp_path: Path) -> None:
    text = """
        pipeline: big
        description: words
        schedule: "0 2 * * *"
        schedules: {monthly: "@monthly", own: {timetable: a.b.C, arguments: {hour: 2}}, data: {assets: [x, y]}}
        timezone: Europe/Amsterdam
        start_date: 2026-01-05
        end_date: 2026-12-31
        catchup: true
        max_active_runs: 2
        tags: [a, b]
        owner: dwh
        retries: 3
        retry_delay: 1m30s
        pool: p
        queue: q
        execution_timeout: 2h
        dagrun_timeout: 86400
        conn_dwh: dwh
        data_root: ${ROOT:-data}/in
        datatransfer_path: ${ROOT}
        create_views: false
        on_errors: log
        debug: true
        ask_confirm_on_db_changes: true
        email_settings:
          send_mail_before_run: true
          send_log_mail_after_run: true
          from: dwh <dwh@a.example>
          to: "a@a.example; b@a.example"
          subject: S
          msg: M
          conn_id: mail
        log_path: l
        ddl_log_path: d
        sql_log_path: s
        sys_schema: sys2
        datamart_schema: dm2
        lock_timeout: 30s
        work_memory_mb: 64
        """
    pipeline = read_pipeline(write_project(tmp_path, {"pipeline.yaml": text}), {"ROOT": "/mnt"})

    assert pipeline.schedules == (
        ("monthly", CronSchedule(cron="@monthly")),
        ("own", TimetableSchedule(import_path="a.b.C", arguments=(("hour", 2),))),
        ("data", AssetSchedule(assets=("x", "y"))),
    )
    assert (pipeline.start_date, pipeline.airflow.end_date) == (date(2026, 1, 5), date(2026, 12, 31))
    assert (pipeline.data_root, pipeline.transfer_path) == ("/mnt/in", "/mnt")
    assert pipeline.airflow.retry_delay == timedelta(seconds=90)
    assert pipeline.airflow.execution_timeout == timedelta(hours=2)
    assert pipeline.airflow.dagrun_timeout == timedelta(days=1)
    assert (pipeline.airflow.pool, pipeline.airflow.queue, pipeline.airflow.owner) == ("p", "q", "dwh")
    assert (pipeline.airflow.tags, pipeline.airflow.retries, pipeline.airflow.max_active_runs) == (("a", "b"), 3, 2)
    assert (pipeline.create_views, pipeline.on_errors, pipeline.debug) == (False, "log", True)
    assert (pipeline.sys_schema, pipeline.datamart_schema, pipeline.work_memory_mb) == ("sys2", "dm2", 64)
    assert (pipeline.logs.log, pipeline.logs.ddl, pipeline.logs.sql) == ("l", "d", "s")
    assert pipeline.lock_timeout == timedelta(seconds=30)
    assert pipeline.email == EmailSettings(
        to=("a@a.example", "b@a.example"),
        sender="dwh <dwh@a.example>",
        subject="S",
        message="M",
        send_mail_before_run=True,
        send_log_mail_after_run=True,
        conn_id="mail",
    )
    assert pipeline.project_folder == str(tmp_path.resolve())


def test_every_kind_of_source_arrives_in_the_model(tmp_path: Path) -> None:
    files = """
        pipe: files
        source_path: in
        sor:
          a_hstage:
            csv: "{{ ds }}/a.csv"
            delimiter: ";"
            quote: "'"
            escape: "\\\\"
            encoding: iso-8859-1
            header: false
            columns: [id, 'null', 'on']
            null: 'NULL'
            key: [id]
            min_rows: 5
            max_deleted: 12.5%
            wait_for: 30m
          b_hstage:
            fixed_width: b.txt
            columns: {id: [1, 3], name: [4, 20]}
            key: [id]
            strip: false
            skip_lines: 2
            delivery: delta
            deleted_when: name = ''
        """
    database = """
        pipe: tables
        source_connection: lab
        default_schema: public
        sor:
          c_hstage: {table: x, columns: [id, v], filter: v > 1, key: [id]}
          d_hstage: {table: other.y, key: [id], delivery: delta, changed_since: stamp}
          e_hstage: {query: select 1 as id, key: [id]}
        """
    pipeline = read_pipeline(write_project(tmp_path, {"pipes/files.yaml": files, "pipes/tables.yaml": database}), {})

    a, b = pipeline.pipe("files").tables
    assert a.source == CsvFile(
        path="{{ ds }}/a.csv",
        delimiter=";",
        quote="'",
        escape="\\",
        encoding="iso-8859-1",
        header=False,
        names=("id", "null", "on"),
        null="NULL",
    )
    assert a.limits == Limits(min_rows=5, max_deleted=share("12.5"))
    assert (a.wait_for, a.columns, a.key) == (timedelta(minutes=30), ("id", "null", "on"), ("id",))
    assert b.source == FixedWidthFile(
        path="b.txt",
        columns=(FixedColumn(name="id", start=1, width=3), FixedColumn(name="name", start=4, width=20)),
        skip_lines=2,
        strip=False,
    )
    assert (b.delivery, b.deleted_when) == (Delivery.DELTA, "name = ''")
    tables = pipeline.pipe("tables")
    assert tables.source == DatabaseSource(connection=ConnectionRef("lab"), default_schema="public")
    c, d, e = tables.tables
    assert c.source == SourceTable(name="x", columns=("id", "v"), filter="v > 1")
    assert (d.source, d.changed_since) == (SourceTable(name="y", schema="other"), "stamp")
    assert e.source == SourceQuery(sql="select 1 as id")


def test_mappings_arrive_in_the_model_and_get_names_of_their_own(tmp_path: Path) -> None:
    pipe = """
        pipe: his
        before_sor: ["hooks.py:before"]
        after_sor: ["package.module:after"]
        sor:
          patient_hstage: {csv: a.csv, key: [number], fk_columns: {fk_patient_hub: Patient}}
          track_hstage: {csv: b.csv, key: [number]}
        entities:
          - {from: patient_hstage, to: Patient, bk: number, fields: {"Contact.number[phone]": phone}}
          - {from: patient_hstage, to: Patient, bk: other, filter: other > ''}
          - {from: {table: track_hstage, join: join x, reads: [patient_hstage, dv.patient_sat]}, to: Track, bk: number}
          - {from: {view: Patient}, to: Track, bk: bk, name: by hand, prefer: bk desc}
          - {from: {query: select 1 as n}, to: Track, bk: n}
        links:
          - from: track_hstage
            to: Doctor
            type: own
            references: {patient: patient_number, track: {entity: Track}}
            missing_reference: reject
        valuesets:
          - {from: track_hstage, to: Valueset, fields: {valueset_naam: "'kind'", code: kind}}
        extra_sql: [{name: a, sql: select 1}, {name: b, file: sql/b.sql}]
        functions: [f.sql]
        """
    function = "create or replace function sor_his.f(x text) returns text language sql as $$ select x $$;"
    folder = write_project(
        tmp_path,
        {
            "pipes/his.yaml": pipe,
            "hooks.py": "def before(c): ...",
            "sql/b.sql": "select 2",
            "functions/f.sql": function,
        },
    )
    his = read_pipeline(folder, {}).pipe("his")

    assert [mapping.name for mapping in (*his.entities, *his.links, *his.valuesets)] == [
        "patient_hstage -> Patient",
        "patient_hstage -> Patient (2)",
        "track_hstage -> Track",
        "by hand",
        "query -> Track",
        "track_hstage -> Doctor",
        "track_hstage -> Valueset",
    ]
    assert his.entities[0].fields[0].type == "phone"
    assert his.entities[2].source.reads == (TableName("sor_his", "patient_hstage"), TableName("dv", "patient_sat"))
    assert his.entities[3].source.view == TableName("dv", "patient_view")
    assert his.links[0].references == (
        ReferenceMapping(role="patient", bk="patient_number"),
        ReferenceMapping(role="track", bk="number"),
    )
    assert his.links[0].missing_reference is MissingReference.REJECT
    assert his.links[0].place == Place("pipes/his.yaml", 14)
    assert (his.before_sor, his.after_sor) == (
        (Hook(target="hooks.py:before"),),
        (Hook(target="package.module:after"),),
    )
    assert [(extra.name, extra.sql) for extra in his.extra_sql] == [("a", "select 1"), ("b", "select 2")]
    assert [item.name for item in his.functions] == ["sor_his.f"]
    assert his.tables[0].fk_columns == (("fk_patient_hub", "Patient"),)


def test_a_subtype_shares_the_root_and_the_satellites_of_its_parents(tmp_path: Path) -> None:
    domain = """
        hubs:
          Clinic: {extends: Hospital, satellites: {Beds: {beds: integer}, Default: {clinic: text}}}
          Organisation: {satellites: {Default: {name: text}, Place: {city: text}}}
          Hospital: {extends: Organisation, satellites: {Place: {ward: text}}}
          Patient: {satellites: {Name: {last_name: text}}}
        """
    clinic = read_pipeline(write_project(tmp_path, {"domain.yaml": domain}), {}).hubs["Clinic"]

    assert (clinic.root, clinic.table, clinic.type) == ("Organisation", TableName("dv", "organisation_hub"), "clinic")
    assert [str(satellite.table) for satellite in clinic.satellites] == [
        "dv.clinic_sat_beds",
        "dv.clinic_sat",
        "dv.hospital_sat_place",
    ]


def test_links_satellites_and_codes_of_the_domain_arrive_in_the_model(tmp_path: Path) -> None:
    domain = (
        DOMAIN
        + """
  Tariff: {periodical: true, schema: codes, columns: {amount: "numeric(10,2)"}}
validations:
  - {table: patient_sat_name, when: last_name is null, message: No name}
"""
    ).replace(
        "{born: date}",
        "{born: date, sex: {type: text, valueset: sex}, kind: {type: text, valueset: {table: Tariff, naam: k}}}",
    )
    domain = domain.replace("satellites: {Default: {since: date}}", "status: true\n    driving: track")
    pipeline = read_pipeline(write_project(tmp_path, {"domain.yaml": domain}), {})

    columns = pipeline.hubs["Patient"].satellites[0].columns
    assert [column.codes for column in columns] == [
        None,
        CodeList(valueset="Valueset", naam="sex"),
        CodeList(valueset="Tariff", naam="k"),
    ]
    assert [satellite.kind for satellite in pipeline.hubs["Patient"].satellites] == [
        SatelliteKind.PLAIN,
        SatelliteKind.PLAIN,
        SatelliteKind.HYBRID,
        SatelliteKind.RECORD_STATUS,
    ]
    link = pipeline.links["PatientTrack"]
    assert (link.status, link.driving) == (True, "track")
    assert link.references[0] == Reference(role="patient", hub="Patient", root="Patient")
    assert str(pipeline.valuesets["Tariff"].table) == "codes.tariff"
    assert str(pipeline.domains[0].validations[0].table) == "dv.patient_sat_name"


def test_a_second_domain_file_is_a_vault_in_a_schema_of_its_own(tmp_path: Path) -> None:
    raw = "hubs: {RawPatient: {satellites: {Default: {a: text}}}}"
    pipeline = read_pipeline(write_project(tmp_path, {"domain_rdv.yaml": raw}), {})

    assert [domain.schema for domain in pipeline.domains] == ["dv", "rdv"]
    assert str(pipeline.hubs["RawPatient"].table) == "rdv.raw_patient_hub"


def test_a_hub_of_a_name_that_another_domain_has_is_refused(tmp_path: Path) -> None:
    assert problems_of(write_project(tmp_path, {"domain_rdv.yaml": "hubs:\n  Patient: {}\n"})) == [
        "domain_rdv.yaml:2: hubs.Patient: there is a hub 'Patient' in domain.yaml:2 already; "
        "names are unique in a pipeline: rename one of them"
    ]


def test_datamarts_stand_behind_what_they_read_and_know_it(tmp_path: Path) -> None:
    files = {
        "datamarts/a_fact.sql": """
            -- A fact. From dv.track_hub: not a table that it reads, this is a comment
            -- materialized: incremental
            -- unique_key: bk, day
            -- description: one per visit
            -- schedule: monthly
            select p.bk, 'dv.track_view' as text from dm.z_dim p join dv.patient_view v on v.bk = p.bk
            """,
        "datamarts/z_dim.sql": "-- materialized: view\nselect bk from dv.patient_view; ",
        "pipeline.yaml": 'conn_dwh: dwh\nschedules: {monthly: "@monthly"}\n',
    }
    dim, fact = read_pipeline(write_project(tmp_path, files), {}).datamarts

    assert (dim.name, dim.materialization, dim.reads) == ("z_dim", "view", (TableName("dv", "patient_view"),))
    assert dim.sql.endswith("dv.patient_view")
    assert (fact.unique_key, fact.schedule, fact.description) == (("bk", "day"), "monthly", "one per visit")
    assert fact.reads == (TableName("dm", "z_dim"), TableName("dv", "patient_view"))


def test_one_broken_file_does_not_make_names_of_it_unknown_elsewhere(tmp_path: Path) -> None:
    broken = {"domain.yaml": "hubs:\n  Patient: {\n"}
    assert [problem.split(": ")[0] for problem in problems_of(write_project(tmp_path, broken))] == ["domain.yaml:3"]


def test_a_broken_satellite_does_not_make_its_columns_unknown(tmp_path: Path) -> None:
    domain = "hubs: {Patient: {satellites: {Name: {last_name: [text]}}}}"
    assert problems_of(write_project(tmp_path, {"domain.yaml": domain})) == [
        "domain.yaml:1: hubs.Patient.satellites.Name.last_name: this is a list, not a text"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\n b: 2\n", "pipeline.yaml:2: this is not YAML: mapping values are not allowed in this context"),
        ("- a\n", "pipeline.yaml:1: the file does not hold 'key: value' lines"),
        ("conn_dwh: !!python/object:os.system x\n", "pipeline.yaml:1: conn_dwh: the tag"),
        ("conn_dwh: &a {b: *a}\n", "pipeline.yaml:1: conn_dwh.b: an alias stands inside its own anchor"),
        ("conn_dwh: " + "[" * 5000 + "]" * 5000, "pipeline.yaml:1: lists and mappings are nested too deep"),
        ("conn_dwh: a\x00b", "pipeline.yaml:1: this is not YAML"),
        ("", "pipeline.yaml:1: the key 'conn_dwh' is missing; such as conn_dwh: dwh"),
    ],
)
def test_text_that_is_no_yaml_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert problems_of(write_project(tmp_path, {"pipeline.yaml": text}))[0].startswith(told)


def test_a_word_that_yaml_reads_as_nothing_or_true_is_asked_for_in_quotes(tmp_path: Path) -> None:
    pipe = "sor: {a_hstage: {csv: a.csv, key: [id], null: null, columns: [id, on]}}"
    assert problems_of(write_project(tmp_path, {"pipes/his.yaml": pipe})) == [
        'pipes/his.yaml:1: sor.a_hstage.columns[2]: this is the value true, not a text; put it in quotes: "true"',
        "pipes/his.yaml:1: sor.a_hstage.null: this is empty, not a text; give it a value; "
        "the word null means nothing unless it stands in quotes, such as null: 'NULL'",
    ]


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    folder = write_project(tmp_path, {})
    (folder / "pipeline.yaml").write_bytes(b"conn_dwh: dwh\ndescription: caf\xe9\n")
    assert problems_of(folder) == ["pipeline.yaml:2: the file is not UTF-8 text; save it as UTF-8"]


def test_merged_mappings_keep_the_lines_of_what_they_merge(tmp_path: Path) -> None:
    pipe = """
        sor:
          a_hstage: &csv
            csv: a.csv
            key: [id]
            delimitr: ";"
          b_hstage: {<<: *csv, csv: b.csv}
        """
    assert problems_of(write_project(tmp_path, {"pipes/his.yaml": pipe})) == [
        "pipes/his.yaml:5: sor.a_hstage: the key 'delimitr' is not known here; did you mean 'delimiter'?",
        "pipes/his.yaml:5: sor.b_hstage: the key 'delimitr' is not known here; did you mean 'delimiter'?",
    ]


def test_a_project_without_its_first_file_says_which_file_it_needs(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert problems_of(folder) == [
        "pipeline.yaml:1: the file is missing in empty; "
        "a project begins with it: write the keys pipeline and conn_dwh into it"
    ]
    with pytest.raises(ConfigError, match="there is no such folder"):
        read_pipeline(tmp_path / "nowhere")


def test_hooks_and_files_outside_the_project_are_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("def f(c): ...")
    pipe = PIPE + "before_sor: [../outside.py:f]\n"
    assert problems_of(write_project(tmp_path / "project", {"pipes/his.yaml": pipe})) == [
        "pipes/his.yaml:6: before_sor[1]: the file '../outside.py' is outside the project folder; "
        "put it into the project folder"
    ]


def test_names_with_a_nul_are_refused(tmp_path: Path) -> None:
    pipe = 'sor: {a_hstage: {csv: a, key: [id], encoding: "a\\0b"}}\nbefore_sor: ["a\\0.py:f"]\n'
    assert problems_of(write_project(tmp_path, {"pipes/his.yaml": pipe})) == [
        "pipes/his.yaml:1: sor.a_hstage.encoding: a text has a NUL character in it; "
        "PostgreSQL cannot store that: leave it out",
        "pipes/his.yaml:1: sor.a_hstage.encoding: there is no encoding 'ab' of texts; "
        "such as utf-8, iso-8859-1 or windows-1252",
        "pipes/his.yaml:2: before_sor[1]: a text has a NUL character in it; PostgreSQL cannot store that: leave it out",
        "pipes/his.yaml:2: before_sor[1]: there is no file 'a.py'; there is none yet",
    ]


def test_a_hook_file_that_is_not_python_is_told_with_its_own_line(tmp_path: Path) -> None:
    pipe = PIPE + "before_sor: [hooks.py:f]\n"
    assert problems_of(write_project(tmp_path, {"pipes/his.yaml": pipe, "hooks.py": "import os\ndef f(:\n"})) == [
        "hooks.py:2: this is not Python: invalid syntax; mend the line"
    ]


def test_projects_are_found_from_a_folder_of_them_from_one_and_from_a_file_in_one(tmp_path: Path) -> None:
    write_project(tmp_path / "b", {})
    write_project(tmp_path / "a", {})
    (tmp_path / "no_project").mkdir()
    assert find_projects(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_projects(tmp_path / "a") == [tmp_path / "a"]
    assert find_projects(tmp_path / "a" / "pipes" / "his.yaml") == [tmp_path / "a"]
    assert find_projects(tmp_path / "no_project") == []


def test_the_sample_project_can_be_read() -> None:
    pipeline = read_pipeline(Path(__file__).parents[2] / "configs" / "clinic", {})
    assert [pipe.name for pipe in pipeline.pipes] == ["billing", "his", "lab"]


def test_two_hundred_files_are_read_in_about_a_second(tmp_path: Path) -> None:
    mappings = "".join(
        f"  - {{from: t{n}_hstage, to: Patient, bk: number, fields: {{Name.last_name: a, Name.first_name: b}}}}\n"
        for n in range(10)
    )
    tables = "".join(f"  t{n}_hstage: {{csv: t{n}.csv, key: [number], delimiter: ';'}}\n" for n in range(10))
    pipes = {f"pipes/p{n}.yaml": f"pipe: p{n}\nsor:\n{tables}entities:\n{mappings}" for n in range(200)}
    folder = write_project(tmp_path, pipes)
    started = time.process_time()
    pipeline = read_pipeline(folder, {})
    assert len(pipeline.pipes) == 201
    assert time.process_time() - started < 3


def test_the_nearest_limit_counts_of_table_pipe_and_pipeline(tmp_path: Path) -> None:
    files = {
        "pipeline.yaml": """
            conn_dwh: dwh
            min_rows: 1
            max_deleted: 10%
            max_rejected: 250
            """,
        "pipes/his.yaml": """
            max_deleted: 20 %
            sor:
              near_hstage: {csv: a.csv, key: [id], min_rows: 0, max_deleted: 5, max_rejected: 0.5%}
              far_hstage: {csv: a.csv, key: [id]}
              delta_hstage: {csv: a.csv, key: [id], delivery: delta}
              deleting_hstage: {csv: a.csv, key: [id], delivery: delta, deleted_when: id = '0'}
            """,
        "pipes/lab.yaml": """
            sor:
              other_hstage: {csv: a.csv, key: [id]}
            """,
    }
    pipeline = read_pipeline(write_project(tmp_path, files), {})
    his, rows = pipeline.pipe("his"), Amount(Decimal(250))
    assert [table.limits for table in his.tables] == [
        Limits(min_rows=0, max_deleted=Amount(Decimal(5)), max_rejected=share("0.5")),
        Limits(min_rows=1, max_deleted=share(20), max_rejected=rows),
        Limits(max_rejected=rows),
        Limits(max_deleted=share(20), max_rejected=rows),
    ]
    assert his.limits == Limits(min_rows=1, max_deleted=share(20), max_rejected=rows)
    assert pipeline.pipe("lab").tables[0].limits == Limits(min_rows=1, max_deleted=share(10), max_rejected=rows)


def test_a_role_points_at_the_member_of_its_name_else_at_the_only_one_of_its_kind(tmp_path: Path) -> None:
    domain = """
        hubs: {Clinic: {}, Doctor: {}, Surgeon: {extends: Doctor}}
        links:
          Works: {references: {clinic: Clinic, doctor: Doctor, head: Doctor, stand_in: Surgeon}}
          Knows: {references: {one: Doctor, other: Doctor}, types: [friend]}
        views:
          staff: {members: {hospital: Clinic, head: Surgeon, stand_in: Doctor, works: Works}}
          pairs: {members: {works: Works, doctor: Doctor, clinic: Clinic, knows: Knows, other: Surgeon, one: Doctor}}
        """
    pipe = "pipe: his\nsor: {a_hstage: {csv: a.csv, key: [nr]}}\n"
    problems = problems_of(write_project(tmp_path, {"domain.yaml": domain, "pipes/his.yaml": pipe}))
    assert problems == [
        "domain.yaml:7: views.pairs.members: no link of the view leads to 'knows', 'other', 'one'; add the link between "
        "them, or leave it out"
    ]
    domain = domain.replace("{one: Doctor, other: Doctor}", "{doctor: Doctor, one: Doctor}")
    domain = domain.replace("knows: Knows, other: Surgeon, one: Doctor", "knows: Knows, one: Doctor")
    pipeline = read_pipeline(write_project(tmp_path, {"domain.yaml": domain, "pipes/his.yaml": pipe}), {})
    assert {view.name: {member.alias: member.roles for member in view.members} for view in pipeline.ensemble_views} == {
        "staff": {
            "hospital": (),
            "head": (),
            "stand_in": (),
            "works": (("head", "head"), ("stand_in", "stand_in"), ("clinic", "hospital")),
        },
        "pairs": {
            "works": (("clinic", "clinic"), ("doctor", "doctor")),
            "doctor": (),
            "clinic": (),
            "knows": (("doctor", "doctor"), ("one", "one")),
            "one": (),
        },
    }

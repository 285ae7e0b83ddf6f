"""Config files made to break the reader: each ends as a problem with its place, in a moment, and never as another error."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from config.projects import DOMAIN, PIPE, PIPELINE, write_project
from pyelt_provider.config.dictionaries import pipeline_from_dicts
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError

SOR = "pipe: his\nsor:\n  patient_hstage: {csv: patients.csv, key: [number], %s}\n"
PLACE = "pipes/his.yaml:3: sor.patient_hstage."
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def told(folder: Path, files: dict[str, str | bytes]) -> list[str]:
    write_project(folder, {name: text for name, text in files.items() if isinstance(text, str)})
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        read_pipeline(folder, {})
    assert time.process_time() - started < 5
    assert all(problem.file and problem.line for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("delimiter: ';;'", "delimiter: the text is longer than 1"),
        ("delimiter: ''", "delimiter: the text is empty"),
        ('delimiter: "\\n"', "delimiter: '\\n' cannot be the delimiter of a CSV file"),
        ("delimiter: é", "delimiter: 'é' cannot be the delimiter of a CSV file; choose one ASCII character"),
        ("quote: ab", "quote: the text is longer than 1"),
        ('quote: "\\r"', "quote: '\\r' cannot be the quote of a CSV file"),
        ("quote: ','", "delimiter: delimiter and quote are the same"),
        ("escape: ab", "escape: the text is longer than 1"),
        ("escape: ','", "delimiter: delimiter and escape are the same"),
        ("'null': 'a,b'", "null: the text for null, 'a,b', has ',' in it"),
        ("changed_since: d", "changed_since: 'changed_since' has no effect with 'csv'; it goes with table and query"),
        ("delivery: delta, changed_since: d", "changed_since: 'changed_since' has no effect with 'csv'"),
        ("encoding: base64", "encoding: there is no encoding 'base64' of texts"),
        ("encoding: undefined", "encoding: there is no encoding 'undefined' of texts"),
        ("wait_for: 1:30", "wait_for: '1:30' is not a duration"),
        ("wait_for: .nan", "wait_for: nan is not a duration"),
        ("wait_for: .inf", "wait_for: inf is not a duration"),
        ("max_deleted: .nan", "max_deleted: nan is neither a number of rows nor a share of them"),
        ("max_deleted: 0.1", "max_deleted: 0.1 is neither a number of rows nor a share of them; write a whole number"),
        ("max_deleted: 101%", "max_deleted: '101%' is neither a number of rows nor a share of them"),
        ("max_rejected: '5'", "max_rejected: '5' is neither a number of rows nor a share of them; write 5 without quotes"),
        ("max_rejected: true", "max_rejected: True is neither a number of rows nor a share of them"),
        ("max_rejected: -1", "max_rejected: -1 is neither a number of rows nor a share of them"),
        ("max_rejected: ٥%", "max_rejected: '٥%' is neither a number of rows nor a share of them"),
        ("min_rows: 10%", "min_rows: this is the text '10%', not a whole number"),
        ("min_rows: -1", "min_rows: -1 is less than 0"),
        ("columns: [number, number]", "columns[2]: the column 'number' stands twice"),
        ("columns: {number: [1, 2]}", "columns: places of columns do not go with 'csv'"),
        ("columns: [ctid, number]", "columns: PostgreSQL has a column 'ctid' of its own"),
        (f"columns: [number, {'x' * 64}]", f"columns: the name {'x' * 64!r} takes 64 bytes"),
        (f"columns: [number, {', '.join(f'c{n}' for n in range(1600))}]", "columns: 1601 columns are more than the 1580"),
        ("description: 2020-01-01", 'description: this is the date 2020-01-01, not a text; put it in quotes: "2020-01-01"'),
        ("description: no", 'description: this is the value false, not a text; put it in quotes: "false"'),
        ("description: 5", 'description: this is the number 5, not a text; put it in quotes: "5"'),
        ("header: 'yes'", "header: this is the text 'yes', not true or false"),
        ("skip_lines: 2", "skip_lines: 'skip_lines' has no effect with 'csv'"),
        ("deleted_when: a; drop table x, delivery: delta", "deleted_when: this is more than one expression"),
        ("fk_columns: {'': Patient}", "fk_columns.: a name is empty"),
    ],
)  # fmt: skip
def test_a_key_of_a_source_that_cannot_work_is_told(keys: str, problem: str, tmp_path: Path) -> None:
    problems = told(tmp_path, {"pipes/his.yaml": SOR % keys})
    assert any(line.startswith(PLACE + problem) for line in problems), problems


def test_a_key_that_was_replaced_is_refused_with_the_new_ones(tmp_path: Path) -> None:
    assert told(tmp_path, {"pipes/his.yaml": SOR % "limits: {delete_share: 0.2}"}) == [
        PLACE.removesuffix(".") + ": the key 'limits' is not known here; write min_rows and max_deleted, such as "
        "max_deleted: 10%"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "pipeline.yaml:1: the key 'conn_dwh' is missing"),
        ("null\n", "pipeline.yaml:1: the key 'conn_dwh' is missing"),
        ("hello\n", "pipeline.yaml:1: the file does not hold 'key: value' lines"),
        ("- conn_dwh: dwh\n", "pipeline.yaml:1: the file does not hold 'key: value' lines"),
        (PIPELINE + "---\na: b\n", "pipeline.yaml:3: a second document begins in this file"),
        (PIPELINE + "owner:\n\tme\n", "pipeline.yaml:4: this is not YAML: while scanning"),
        (PIPELINE + "tags:\n\t- a\n", "indent with blanks: YAML takes no tabs there"),
        (PIPELINE + "pipeline: again\n", "pipeline.yaml:3: pipeline: the key stands twice, first in line 1"),
        (PIPELINE + "email_settings: {to: a@b.example, to: c@d.example}\n",
         "pipeline.yaml:3: email_settings.to: the key stands twice, first in line 3"),
        (PIPELINE.encode() + b"owner: caf\xe9\n", "pipeline.yaml:4: the file is not UTF-8 text"),
        (PIPELINE.encode("utf-16"), "pipeline.yaml:1: the file is not UTF-8 text"),
        (PIPELINE.encode() + b"owner: a\0b\n", "pipeline.yaml:4: this is not YAML: unacceptable character"),
        (PIPELINE + 'owner: "a\\0b"\n', "pipeline.yaml:3: owner: a text has a NUL character in it"),
        (PIPELINE + '"ow\\0ner": b\n', "pipeline.yaml:3: a key has a NUL character in it"),
        (PIPELINE + 'owner: "\\ud800"\n', "pipeline.yaml:3: this is not YAML"),
        (PIPELINE + f"tags: {'[' * 100_000}\n", "pipeline.yaml:3: lists and mappings are nested too deep"),
        (PIPELINE + f"tags: {'[' * 70}{']' * 70}\n", "pipeline.yaml:3: lists and mappings are nested too deep"),
        (PIPELINE + "tags:\n" + "".join(" " * n + "- a:\n" for n in range(1, 200, 2)), "nested too deep"),
        (PIPELINE + BOMB, "pipeline.yaml:8: aliases of aliases stand for too many values"),
        (PIPELINE + "tags: &t [*t]\n", "pipeline.yaml:3: tags[1]: an alias stands inside its own anchor"),
        (PIPELINE + "tags: *nobody\n", "pipeline.yaml:3: there is no anchor 'nobody' above"),
        (PIPELINE + "tags: &a [x]\nowner: &a y\n", "pipeline.yaml:4: the anchor 'a' stands twice"),
        (PIPELINE + "<<: 5\n", "pipeline.yaml:1: '<<' is not followed by a mapping"),
        (PIPELINE + "? [a]\n: b\n", "pipeline.yaml:3: a key is a list or a mapping"),
        (PIPELINE + "owner: !!python/object/apply:os.system [ls]\n", "pipeline.yaml:3: owner: the tag"),
        (PIPELINE + "tags: !!set {a}\n", "pipeline.yaml:3: tags: the tag 'tag:yaml.org,2002:set' is not used here"),
        (PIPELINE + f"description: {'x' * 5_000_000}\n", "pipeline.yaml:1: the file is larger than 4 MB"),
        (PIPELINE + "start_date: 2026-02-30\n", "pipeline.yaml:3: start_date: '2026-02-30' is not a day"),
        (PIPELINE + "end_date: 9999-12-31\n", "pipeline.yaml:3: end_date: '9999-12-31' is not a day"),
        (PIPELINE + "retries: 1" + "0" * 5000 + "\n", "pipeline.yaml:3: retries: "),
        (PIPELINE + "max_active_runs: 99999999999999999999\n", "pipeline.yaml:3: max_active_runs: "),
        (PIPELINE + "lock_timeout: 0\n", "pipeline.yaml:3: lock_timeout: 0 seconds are no time to wait for a lock"),
        (PIPELINE + "lock_timeout: 40d\n", "pipeline.yaml:3: lock_timeout: 3.456e+06 seconds are no time"),
        (PIPELINE + "schedule: '0 0 31 2 *'\n", "pipeline.yaml:3: schedule: '0 0 31 2 *' is not a cron text that any time"),
        (PIPELINE + "schedule: '0 24 * * *'\n", "pipeline.yaml:3: schedule: '0 24 * * *' is not a cron text that any time"),
        (PIPELINE + "schedule: 2026-01-01\n", "pipeline.yaml:3: schedule: this is the date 2026-01-01, not a text"),
        (PIPELINE + "timezone: ../../etc/passwd\n", "pipeline.yaml:3: timezone: there is no timezone"),
        (PIPELINE + f"timezone: {'x' * 5000}\n", "pipeline.yaml:3: timezone: there is no timezone"),
        ("pipeline: 5\nconn_dwh: dwh\n", 'pipeline.yaml:1: pipeline: this is the number 5, not a text; put it in quotes: "5"'),
        (f"pipeline: {'x' * 200}\nconn_dwh: dwh\n", "pipeline.yaml:1: pipeline: "),
        ("pipeline: a\nconn_dwh: postgresql://u:secret@h:port/x\n", "pipeline.yaml:2: conn_dwh: this URL cannot be read"),
        ("pipeline: a\nconn_dwh: 'postgresql://u:secret@[::1/x'\n", "pipeline.yaml:2: conn_dwh: this URL cannot be read"),
        (PIPELINE + 'email_settings: {to: "a@b.example\\nBcc: c@d.example"}\n', "email_settings.to: a header of a mail has one"),
        (PIPELINE + 'email_settings: {to: a@b.example, subject: "a\\nb"}\n', "email_settings.subject: a header of a mail"),
        (PIPELINE + f"tags: [fine, {'x' * 101}]\n", "pipeline.yaml:3: tags[2]: the text has 101 characters, and Airflow keeps 100"),
        (PIPELINE + f"owner: {'x' * 10_000}\n", "pipeline.yaml:3: owner: the text has 10000 characters, and Airflow keeps 250"),
        (PIPELINE + 'data_root: "a\\nb"\n', "pipeline.yaml:3: data_root: the path has a line end or a tab in it"),
        (PIPELINE + "sys_schema: dm\n", "pipeline.yaml:3: sys_schema: "),
        (PIPELINE + f"sys_schema: {'é' * 40}\n", "pipeline.yaml:3: sys_schema: the name"),
    ],
    ids=lambda value: (value if isinstance(value, str) else "bytes")[-40:],
)  # fmt: skip
def test_a_text_that_is_no_config_is_told_with_its_line(text: str | bytes, problem: str, tmp_path: Path) -> None:
    text = text.lstrip() if isinstance(text, str) else text
    problems = told(tmp_path, {"pipeline.yaml": text})
    assert any(problem in line for line in problems), problems
    assert "secret" not in str(problems)


@pytest.mark.parametrize(
    ("domain", "problem"),
    [
        ("hubs: [A]", "domain.yaml:1: hubs: this is a list, not a mapping"),
        ("hubs: {'': {}}", "domain.yaml:1: hubs.: '' cannot be the name of a hub; give it letters or digits"),
        ("hubs: {'--': {}}", "domain.yaml:1: hubs.--: '--' cannot be the name of a hub"),
        ('hubs: {"a\\nb": {}}', "the name of the hub has a line end or a tab in it"),
        (f"hubs: {{A{'b' * 60}: {{}}}}", "takes 65 bytes"),
        ("hubs: {A: {extends: A}}", "domain.yaml:1: hubs.A.extends: a hub extends itself: A extends A"),
        ("hubs: {A: {extends: B}, B: {extends: C}, C: {extends: A}}", "a hub extends itself: A extends B extends C extends A"),
        ("hubs: {A: {extends: Z}}", "domain.yaml:1: hubs.A.extends: there is no hub 'Z'"),
        ("hubs: {PatientX: {}, patient_x: {}}", "dv.patient_x_hub would be that of hub patient_x"),
        ("hubs: {A: {}, B: {}}\nlinks: {A: {references: {a: A, b: B}}}", "dv.a_view would be that of the view of A"),
        ("hubs: {A: {}}\nlinks: {L: {references: {a: A}}}", "domain.yaml:2: links.L.references: it has 1 of at least 2"),
        ("hubs: {A: {}}\nlinks: {L: {references: {a: A, b: X}}}", "domain.yaml:2: links.L.references.b: there is no hub 'X'"),
        ("hubs: {A: {}}\nlinks: {L: {references: {a: A, '': A}}}", "'' cannot be the name of a role"),
        ("hubs: {A: {satellites: {'': {c: text}}}}", "'' cannot be the name of a satellite"),
        ("hubs: {A: {satellites: {S: {c: 5}}}}", "domain.yaml:1: hubs.A.satellites.S.c: this is the number 5, not a text"),
        ("hubs: {A: {satellites: {S: {c: 'text); drop table x; --'}}}}", "PostgreSQL has no type"),
        ("hubs: {A: {satellites: {S: {c: 'numeric(1001)'}}}}", "PostgreSQL has no type 'numeric(1001)': precision is 1 to 1000"),
        ("hubs: {A: {satellites: {S: {c: 'varchar(0)'}}}}", "PostgreSQL has no type 'varchar(0)': its length is"),
        (f"hubs: {{A: {{satellites: {{S: {{{', '.join(f'c{n}: text' for n in range(1600))}}}}}}}}}", "1600 columns are more than"),
        ("hubs: {A: {satellites: {S: {_id: text}}}}", "the column '_id' is one that every satellite has of its own"),
        ("hubs: {A: {}}\nvaluesets: {V: {columns: {code: text}}}", "domain.yaml:2: valuesets.V.columns.code: "),
    ],
)  # fmt: skip
def test_a_domain_that_no_warehouse_can_have_is_told(domain: str, problem: str, tmp_path: Path) -> None:
    problems = told(tmp_path, {"domain.yaml": domain + "\n"})
    assert any(problem in line for line in problems), problems


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("' '", "the SQL is empty"),
        ("a; drop table x", "this is more than one expression: it has a ';' in it"),
        ("a -- b", "the SQL ends in a comment, which would hide what comes behind it"),
        ('"/* a"', "a comment is opened in the SQL and never closed"),
        ('"\'a"', "a quote is opened in the SQL and never closed"),
        ("(a", "a bracket is opened and never closed in the SQL"),
        ("a) or (true", "a bracket is closed and was never opened in the SQL"),
        ("[a]", "this is a list, not a text"),
        ("true", "this is the value true, not a text"),
    ],
)
def test_an_expression_that_would_reach_out_of_its_place_is_told(sql: str, problem: str, tmp_path: Path) -> None:
    text = f"{PIPE.rstrip()}\n  - {{from: patient_hstage, to: Track, bk: {sql}}}\n"
    problems = told(tmp_path, {"pipes/his.yaml": text})
    assert any(line.startswith(f"pipes/his.yaml:6: entities[2].bk: {problem}") for line in problems), problems


@pytest.mark.parametrize(
    "sql",
    [
        "split_part(number, '\\', 1)", "E'it\\'s (' || number", "';--' || number", '"a;b("', "number -- why\n|| 'x'",
        "$$ ; ( ' $$ || number", "$x$ $$ ' $x$", "number /* ; ( ' */", "(array['(', '['])[1]", "'it''s' || number",
    ],
)  # fmt: skip
def test_quotes_brackets_and_comments_that_are_whole_are_fine(sql: str, tmp_path: Path) -> None:
    quoted = "'" + sql.replace("'", "''").replace("\n", "\n\n      ") + "'"
    text = f"{PIPE.rstrip()}\n  - {{from: patient_hstage, to: Track, bk: {quoted}}}\n"
    pipeline = read_pipeline(write_project(tmp_path, {"pipes/his.yaml": text}), {})
    assert pipeline.pipes[0].entities[1].bk == sql


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"pipes/his.yaml": ""}, "pipes/his.yaml:1: the file is empty, so the pipe loads nothing"),
        ({"pipes/his.yaml": "pipe: \"a'b\"\n"}, "pipes/his.yaml:1: pipe: \"a'b\" cannot be the name of a pipe"),
        ({"pipes/his.yaml": "sor: [a]\n"}, "pipes/his.yaml:1: sor: this is a list, not a mapping"),
        ({"pipes/his.yaml": "sor: {'': {csv: a, key: [b]}}\n"}, "'' cannot be the name of a staging table"),
        ({"pipes/his.yaml": "sor: {a_hstage: {csv: a, key: [b]}, a_temp: {csv: a, key: [b]}}\n"}, "sor_his.a_temp would be that"),
        ({"pipes/his.yaml": "sor_schema: dv\nsor: {a: {csv: a, key: [b]}}\n"}, "the schema 'dv' is that of the vault"),
        ({"pipes/his.yaml": "sor_schema: sys\nsor: {a: {csv: a, key: [b]}}\n"}, "the schema 'sys' is that of the bookkeeping"),
        ({"pipes/his.yaml": "sor: {a: {fixed_width: a, key: [b], columns: {b: [1, 99999999999]}}}\n"}, "columns.b[2]: 99999999999 is"),
        ({"pipes/his.yaml": PIPE + "extra_sql: [{name: a, file: /etc/passwd}]\n"}, "outside the project folder"),
        ({"pipes/his.yaml": PIPE + "functions: [../../etc/passwd]\n"}, "functions/ has no file"),
        ({"datamarts/a.sql": "select \0"}, "datamarts/a.sql:1: the file has a NUL character in it"),
        ({"datamarts/a.sql": b"select \xe9"}, "datamarts/a.sql:1: the file cannot be read as UTF-8 text"),
        ({"datamarts/a.sql": "select * from dm.b", "datamarts/b.sql": "select * from dm.a"}, "datamarts/"),
        ({"domain_dv.yaml": DOMAIN}, "domain_dv.yaml:1: schema: the vault schema 'dv' is that of domain.yaml too"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_together_are_told(files: dict[str, str | bytes], problem: str, tmp_path: Path) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).parent.mkdir(parents=True)
    problems = told(tmp_path, files)
    assert any(problem in line for line in problems), problems


CYCLE: dict[str, Any] = {}
CYCLE["sor"] = CYCLE


@pytest.mark.parametrize(
    ("general", "pipes", "domain", "problem"),
    [
        ({"conn_dwh": "dwh"}, {"his": CYCLE}, None, "dicts and lists are nested too deep, or in themselves"),
        ({"conn_dwh": "dwh"}, {"his": 5}, None, "pipes.his: this is the number 5, not a dict"),
        ({"conn_dwh": "dwh"}, [["his"]], None, "this is a list, not a dict"),
        ([1], {"his": {}}, None, "general_config: this is a list, not a dict"),
        ({"conn_dwh": "d\0wh"}, {"his": {}}, None, "general_config.conn_dwh: a text has a NUL character in it"),
        ({"conn_dwh": "d\ud800wh"}, {"his": {}}, None, "a text has half of a surrogate pair in it"),
        ({"conn_dwh": "dwh", 5: "x"}, {"his": {}}, None, "general_config: the key 5 is no text"),
        ({"conn_dwh": "dwh", "tags": {"a", 5}}, {"his": {}}, None, "general_config.tags[1]: this is the number 5, not a text"),
        ({"conn_dwh": b"dwh"}, {"his": {}}, None, "general_config.conn_dwh: this is a bytes, not a text"),
        ({"conn_dwh": object()}, {"his": {}}, None, "general_config.conn_dwh: this is a object, not a text"),
        ({"conn_dwh": "dwh"}, {"his": {}}, {"hubs": {5: {}}}, "domain.hubs: the key 5 is no text"),
        ({"conn_dwh": "dwh"}, {"his": {}}, {"hubs": ["A"]}, "domain.hubs: this is a list, not a mapping"),
        ({"conn_dwh": "dwh", "schedules": 5}, {"his": {"schedule_interval": "@monthly"}}, None, "general_config.schedules: "),
    ],
)  # fmt: skip
def test_dicts_that_are_no_config_are_told(general: Any, pipes: Any, domain: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline_from_dicts(general, pipes, domain)
    problems = [str(item) for item in caught.value.problems]
    assert any(problem in line for line in problems), problems


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("fk_columns: {fk_x: Nobody}", "fk_columns.fk_x: there is no hub or link 'Nobody'"),
        ("fk_columns: {fk_x: Patient}", "fk_columns.fk_x: no mapping of patient_hstage fills Patient"),
        ("fk_columns: {fk_x: Doctor}", "fk_columns.fk_x: no mapping of patient_hstage fills Doctor"),
    ],
)
def test_an_fk_column_that_nothing_fills_is_told(keys: str, problem: str, tmp_path: Path) -> None:
    assert told(tmp_path, {"pipes/his.yaml": SOR % keys})[0].startswith(PLACE + problem)


def test_an_fk_column_of_a_link_whose_rows_do_not_wait_is_told(tmp_path: Path) -> None:
    pipe = """
    sor:
      patient_hstage: {csv: patients.csv, key: [number], fk_columns: {fk_x: PatientTrack}}
    links:
      - from: {table: patient_hstage, join: left join a.b on true}
        to: PatientTrack
        references: {patient: number, track: track}
    """
    assert told(tmp_path, {"pipes/his.yaml": pipe}) == [
        "pipes/his.yaml:2: sor.patient_hstage.fk_columns.fk_x: with its join the mapping 'patient_hstage -> PatientTrack' "
        "lets references wait, not rows; write missing_reference: create_hub or reject at the mapping, or leave the "
        "column out"
    ]

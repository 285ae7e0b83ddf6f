"""Python dicts in PyELT's keys give the same pipelines and the same problems as YAML files."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config.projects import DOMAIN, PIPE, problems_of, write_project
from pyelt_provider.config.dictionaries import pipeline_from_dicts
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.limits import Amount, Limits, share
from pyelt_provider.model.pipeline import CronSchedule, EmailSettings, OnErrors
from pyelt_provider.model.source import DatabaseSource, FileSource

GENERAL: dict[str, Any] = {
    "log_path": "/logs",
    "ddl_log_path": "/logs/ddl",
    "sql_log_path": "/logs/sql",
    "conn_dwh": "postgresql://dwh:secret@localhost:5432/dwh",
    "schedule_interval": "@daily",
    "debug": True,
    "ask_confirm_on_db_changes": False,
    "on_errors": "log",
    "datatransfer_path": "/tmp/transfer",
    "data_root": "/data",
    "create_views": False,
    "email_settings": {
        "send_mail_before_run": True,
        "send_log_mail_after_run": True,
        "from": "server <dwh@clinic.example>",
        "to": "night@clinic.example;",
        "subject": "load",
        "msg": "log",
    },
}
DOMAIN_DICT: dict[str, Any] = {
    "hubs": {
        "Patient": {"satellites": {"Default": {"born": "date"}}},
        "Organisation": {},
        "Clinic": {"extends": "Organisation"},
    },
    "links": {"PatientClinic": {"references": {"patient": "Patient", "clinic": "Clinic"}}},
}


def problems(*arguments: Any, **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        pipeline_from_dicts(*arguments, **more)
    return [str(problem) for problem in raised.value.problems]


def test_every_key_of_pyelt_is_accepted_and_means_what_it_meant() -> None:
    his = {
        "source_connection": "postgresql://his:secret@localhost/his",
        "default_schema": "public",
        "sor_schema": "sor_his",
        "active": False,
    }
    pipeline = pipeline_from_dicts(GENERAL, {"his": his}, DOMAIN_DICT, name="dwh2", environment={})

    assert (pipeline.name, pipeline.schedule) == ("dwh2", CronSchedule(cron="@daily"))
    assert pipeline.warehouse == ConnectionRef("postgresql://dwh:secret@localhost:5432/dwh")
    assert (pipeline.logs.log, pipeline.logs.ddl, pipeline.logs.sql) == ("/logs", "/logs/ddl", "/logs/sql")
    assert (pipeline.debug, pipeline.ask_confirm_on_db_changes, pipeline.create_views) == (True, False, False)
    assert (pipeline.on_errors, pipeline.data_root, pipeline.transfer_path) == (OnErrors.LOG, "/data", "/tmp/transfer")
    assert pipeline.email == EmailSettings(
        to=("night@clinic.example",),
        sender="server <dwh@clinic.example>",
        subject="load",
        message="log",
        send_mail_before_run=True,
        send_log_mail_after_run=True,
    )
    assert pipeline.pipe("his").source == DatabaseSource(
        connection=ConnectionRef("postgresql://his:secret@localhost/his"), default_schema="public"
    )
    assert (pipeline.pipe("his").sor_schema, pipeline.pipe("his").active) == ("sor_his", False)


def test_the_older_names_of_keys_are_accepted() -> None:
    files = {"data_path": "/data/his", "connection_string": ""}
    tables = {"connection_string": "lab_db", "sor_schema": "sor_lab"}
    pipeline = pipeline_from_dicts({"conn_dwh": "dwh"}, {"his": files, "lab": tables}, environment={})
    assert pipeline.pipe("his").source == FileSource(path="/data/his")
    assert pipeline.pipe("lab").source == DatabaseSource(connection=ConnectionRef("lab_db"))


def test_two_names_of_one_key_are_one_too_many() -> None:
    assert problems({"conn_dwh": "dwh"}, {"his": {"data_path": "a", "source_path": "b"}}) == [
        "pipes.his.data_path: 'data_path' stands for 'source_path', which is given too; keep one of them"
    ]


def test_dicts_and_yaml_files_give_the_same_pipeline(tmp_path: Path) -> None:
    import yaml

    from_files = read_pipeline(write_project(tmp_path, {}), {})
    from_dicts = pipeline_from_dicts(
        {"pipeline": "small", "conn_dwh": "dwh"}, [yaml.safe_load(PIPE)], yaml.safe_load(DOMAIN), environment={}
    )
    assert replace(from_dicts, pipes=()) == replace(from_files, pipes=())
    (pipe,) = from_dicts.pipes
    (table,) = pipe.tables
    # PyELT's projects have an fk column in staging for each mapping; nothing else differs.
    assert table.fk_columns == (("fk_patient_hub", "Patient"),)
    assert replace(pipe, tables=(replace(table, fk_columns=()),)) == from_files.pipe("his")


def test_staging_gets_pyelts_fk_columns_also_for_subtypes() -> None:
    pipe = {
        "sor": {"a_hstage": {"csv": "a.csv", "key": ["id"]}},
        "entities": [{"from": "a_hstage", "to": "Clinic", "bk": "id"}],
        "links": [{"from": "a_hstage", "to": "PatientClinic", "references": {"patient": "p", "clinic": "id"}}],
    }
    table = pipeline_from_dicts({"conn_dwh": "dwh"}, {"his": pipe}, DOMAIN_DICT).pipe("his").tables[0]
    assert table.fk_columns == (("fk_clinicorganisation_hub", "Clinic"),)


def test_a_pipe_with_a_rhythm_of_its_own_gets_a_named_schedule() -> None:
    pipeline = pipeline_from_dicts(
        GENERAL,
        {
            "his": {"schedule_interval": "@daily"},
            "billing": {"schedule_interval": "@monthly"},
            "lab": {"schedule_interval": "0 4 * * 1"},
        },
    )
    assert [pipe.schedule for pipe in pipeline.pipes] == [None, "monthly", "lab"]
    assert pipeline.schedules == (("monthly", CronSchedule(cron="@monthly")), ("lab", CronSchedule(cron="0 4 * * 1")))


def test_pipes_share_nothing_with_each_other_or_with_the_dicts() -> None:
    shared: dict[str, Any] = {"sor": {"a_hstage": {"csv": "a.csv", "key": ["id"]}}}
    pipeline = pipeline_from_dicts({"conn_dwh": "dwh"}, {"one": shared, "two": shared})
    shared["sor"]["a_hstage"]["key"].append("other")
    assert [(pipe.sor_schema, pipe.tables[0].schema, pipe.tables[0].key) for pipe in pipeline.pipes] == [
        ("sor_one", "sor_one", ("id",)),
        ("sor_two", "sor_two", ("id",)),
    ]


def test_python_values_are_taken_for_what_they_are() -> None:
    pipeline = pipeline_from_dicts({"conn_dwh": "dwh", "start_date": date(2026, 2, 1), "tags": ("a",)}, {"his": {}})
    assert (pipeline.start_date, pipeline.airflow.tags) == (date(2026, 2, 1), ("a",))


def test_problems_of_dicts_say_in_which_dict_they_are() -> None:
    pipes = {"his": {"sor": {"a_hstage": {"csv": "a.csv", "kee": ["id"]}}, "entities": [{"from": "b_hstage"}]}}
    assert problems({"conn_dwh": "dwh", "onerrors": "log"}, pipes, {"hubs": {"A": {"extends": "B"}}}) == [
        "general_config: the key 'onerrors' is not known here; did you mean 'on_errors'?",
        "domain.hubs.A.extends: there is no hub 'B'; known: A",
        "pipes.his.sor.a_hstage: the key 'kee' is not known here; did you mean 'key'?",
        "pipes.his.entities[1]: the key 'to' is missing; such as to: Patient",
        "pipes.his.entities[1]: the key 'bk' is missing; such as bk: patientnummer || '_his'",
        "pipes.his.entities[1].from: pipe his has no staging table 'b_hstage'; did you mean 'a_hstage'?",
    ]


def write_module(folder: Path, text: str, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.py").write_text(textwrap.dedent(text).lstrip("\n"))
    for name, content in files.items():
        (folder / name.replace("_yaml", ".yaml")).write_text(textwrap.dedent(content))
    return folder


MODULE = """
    ROOT = "/data"
    general_config = {
        "conn_dwh": "dwh",
        "data_root": ROOT,
    }
    his_config = {
        "sor_schema": "sor_his",
        "source_path": "his",
        "sor": {"patient_hstage": {"csv": "p.csv", "key": ["number"]}},
        "entities": [
            {"from": "patient_hstage", "to": "Patient", "bk": "number", "fields": {"Default.born": "born"}},
        ],
    }
    domain = {"hubs": {"Patient": {"satellites": {"Default": {"born": "date"}}}}}
    """


def test_a_python_module_is_a_project_and_its_folder_names_it(tmp_path: Path) -> None:
    pipeline = read_pipeline(write_module(tmp_path / "clinic2", MODULE), {})
    assert (pipeline.name, pipeline.data_root) == ("clinic2", "/data")
    assert [pipe.name for pipe in pipeline.pipes] == ["his"]
    assert [mapping.name for mapping in pipeline.pipe("his").entities] == ["patient_hstage -> Patient"]
    assert not (tmp_path / "clinic2" / "__pycache__").exists()


def test_a_python_module_may_use_the_domain_file_beside_it(tmp_path: Path) -> None:
    module = MODULE.split("    domain =")[0]
    domain = "hubs: {Patient: {satellites: {Default: {born: date}}}}"
    assert list(read_pipeline(write_module(tmp_path / "a", module, domain_yaml=domain), {}).hubs) == ["Patient"]


def test_problems_of_a_python_module_have_their_line_in_it(tmp_path: Path) -> None:
    module = MODULE.replace('"born": "born"', '"bron": 1').replace('"source_path"', '"sourcepath"')
    assert problems_of(write_module(tmp_path, module.replace("Default.born", "Default.bron"))) == [
        "config.py:8: the key 'sourcepath' is not known here; did you mean 'source_path'?",
        "config.py:11: entities[1].fields.Default.bron: satellite Default of Patient has no column 'bron'; "
        "did you mean 'born'?",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("general_config = {\n", "config.py:1: this is not Python: '{' was never closed; mend it"),
        ("x = 1\nraise ValueError('no')\n", "config.py:2: the module fails: ValueError: no; "),
        ("generalconfig = {}\n", "config.py:1: the module has no dict general_config; did you mean 'generalconfig'?"),
    ],
)
def test_a_python_module_that_cannot_be_used_says_why(tmp_path: Path, text: str, told: str) -> None:
    (problem,) = problems_of(write_module(tmp_path, text))
    assert problem.startswith(told)


def test_pipes_may_stand_in_a_dict_or_a_list_of_the_module(tmp_path: Path) -> None:
    text = "general_config = {'conn_dwh': 'dwh'}\na = {}\npipes = {'a': a,\n  'b': {'actve': True}}\n"
    assert problems_of(write_module(tmp_path, text)) == [
        "config.py:4: the key 'actve' is not known here; did you mean 'active'?"
    ]
    text = "general_config = {'conn_dwh': 'dwh'}\npipes = [{'pipe': 'a'}, {'pipe': 'b'}]\n"
    assert [pipe.name for pipe in read_pipeline(write_module(tmp_path, text), {}).pipes] == ["a", "b"]


def test_limits_are_given_in_dicts_too_at_the_pipeline_the_pipe_and_the_table() -> None:
    pipes = {
        "his": {
            "max_rejected": 5,
            "sor": {
                "a_hstage": {"csv": "a.csv", "key": ["id"]},
                "b_hstage": {"csv": "b.csv", "key": ["id"], "max_deleted": "2.5%", "min_rows": 0},
            },
        },
    }
    pipeline = pipeline_from_dicts({"conn_dwh": "dwh", "max_rejected": "1%", "max_deleted": "10%"}, pipes)
    five = Amount(Decimal(5))
    assert [table.limits for table in pipeline.pipe("his").tables] == [
        Limits(max_deleted=share(10), max_rejected=five),
        Limits(min_rows=0, max_deleted=share("2.5"), max_rejected=five),
    ]

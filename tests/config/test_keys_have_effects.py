"""Keys whose effect shows in the warehouse only: a project that gives them is read from its files and loaded."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.projects import problems_of, write_project
from databases import Database
from loading import Loader
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import DeliveryRefused, RejectionsRefused

FILES = {
    "pipeline.yaml": """
        pipeline: small
        conn_dwh: dwh
        data_root: data
        sys_schema: bookkeeping
        datamart_schema: marts
        work_memory_mb: 77
        lock_timeout: 90s
    """,
    "domain.yaml": """
        valueset_schema: codes
        hubs:
          Patient: {satellites: {Default: {name: text}}}
        valuesets:
          Valueset: {}
    """,
    "pipes/his.yaml": """
        sor:
          patient_hstage:
            csv: patients.csv
            delimiter: "|"
            quote: "'"
            escape: '\\'
            null: 'NULL'
            key: [number]
            max_deleted: 20%
            min_rows: 2
            max_rejected: 0
        entities:
          - {from: patient_hstage, to: Patient, bk: number, fields: {Default.name: name}}
        valuesets:
          - {from: patient_hstage, to: Valueset, fields: {valueset_naam: "'kinds'", code: number, omschrijving: name}}
        validations:
          - {table: patient_hstage, when: name = 'Nobody', message: Nobody is no patient}
        after_sor: [hooks.py:note_settings]
    """,
    "hooks.py": """
        def note_settings(context):
            with context.connection.cursor() as cursor:
                cursor.execute("create table if not exists sor_his.noted as select current_setting('work_mem') as memory, "
                               "current_setting('lock_timeout') as patience")
    """,
    "datamarts/people.sql": "select name from dv.patient_sat where _active",
}
ROWS = ["1|Ann", "2|NULL", "3|'O\\'Brien | Sons'", "4|'NULL'", "5|"]


def deliver(folder: Path, rows: list[str]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "patients.csv").write_text("\n".join(["number|name", *rows, ""]))


def test_what_is_written_in_the_files_shows_in_the_warehouse(warehouse: Database, tmp_path: Path) -> None:
    folder = write_project(tmp_path, FILES)
    loader = Loader(warehouse, read_pipeline(folder, {}))
    deliver(folder, ROWS)
    loader.run(date(2026, 1, 1))

    assert loader.rows("select number, name from sor_his.patient_hstage order by number") == [
        ("1", "Ann"), ("2", None), ("3", "O'Brien | Sons"), ("4", "NULL"), ("5", ""),
    ]  # fmt: skip
    assert loader.rows("select runid::text from bookkeeping.runs") == [("1.00",)]
    assert loader.rows("select count(*) from marts.people") == [(5,)]
    assert loader.rows("select count(*) from codes.valueset") == [(5,)]
    assert loader.rows("select * from sor_his.noted") == [("77MB", "90s")]
    assert loader.rows("select nspname from pg_namespace where nspname in ('sys', 'dm', 'valset')") == []

    deliver(folder, ROWS[:4])
    loader.run(date(2026, 1, 2))
    deliver(folder, ROWS[:3])
    with pytest.raises(DeliveryRefused, match=r"would delete 1 of 4 active rows, more than the 20% of max_deleted"):
        loader.run(date(2026, 1, 3))
    deliver(folder, ROWS[:1])
    with pytest.raises(DeliveryRefused, match=r"has 1 rows, fewer than the 2 of min_rows"):
        loader.run(date(2026, 1, 3))
    deliver(folder, [*ROWS[:4], "6|Nobody"])
    with pytest.raises(
        RejectionsRefused, match=r"1 of the 5 rows .* more than the 0 of max_rejected: 1 x 'Nobody is no"
    ):
        loader.run(date(2026, 1, 3))
    assert loader.rows("select count(*) from sor_his.patient_hstage where _active") == [(4,)]


NAMES = {
    "pipeline.yaml": "pipeline: small\nconn_dwh: dwh\ndata_root: data\n",
    "domain.yaml": """
        hubs:
          Person:
            type: human
            satellites:
              Default: {columns: {name: text}, table: people_sat}
    """,
    "pipes/his.yaml": """
        sor:
          chosen_hstage:
            {csv: people.csv, key: [number], clean_names: true, rename: {full_name_nl: name}, take: [number, name]}
          rest_hstage: {csv: people.csv, key: [Number], ignore: [photo, "Full name (NL)"]}
        entities:
          - {from: chosen_hstage, to: Person, bk: number, fields: {Default.name: name}}
    """,
}


def test_columns_are_chosen_and_named_and_tables_and_types_have_the_names_that_are_given(
    warehouse: Database, tmp_path: Path
) -> None:
    folder = write_project(tmp_path, NAMES)
    loader = Loader(warehouse, read_pipeline(folder, {}))
    (folder / "data").mkdir()
    for day, name in ((date(2026, 1, 1), "Ann"), (date(2026, 1, 2), "Anna")):
        (folder / "data" / "people.csv").write_text(f"Number,Full name (NL),photo,Born\n1,{name},x,1980\n")
        loader.run(day)
    assert loader.rows("select number, name from sor_his.chosen_hstage where _active") == [("1", "Anna")]
    assert loader.rows('select "Number", born from sor_his.rest_hstage') == [("1", "1980")]
    columns = loader.rows(
        "select table_name, column_name from information_schema.columns where table_schema = 'sor_his' "
        "and table_name in ('chosen_hstage', 'rest_hstage') and column_name not like '\\_%' order by 1, ordinal_position"
    )
    assert columns == [
        ("chosen_hstage", "number"), ("chosen_hstage", "name"), ("rest_hstage", "Number"), ("rest_hstage", "born"),
    ]  # fmt: skip
    assert loader.rows("select bk, type, name from dv.person_hub join dv.people_sat using (_id) where _active") == [
        ("1", "human", "Anna")
    ]
    assert loader.rows("select bk, default_name from dv.person_view") == [("1", "Anna")]


def test_columns_that_are_needed_cannot_be_left_out(tmp_path: Path) -> None:
    sor = "{csv: a.csv, key: [id], columns: [id, b, c], take: [id, x], ignore: [id], rename: {b: n, c: n}}"
    pipe = f"sor:\n  a_hstage: {sor}\n"
    assert problems_of(write_project(tmp_path, {"pipes/his.yaml": pipe})) == [
        "pipes/his.yaml:2: sor.a_hstage.ignore[1]: the column 'id' is needed, so it cannot be left out; "
        "take it off the list",
        "pipes/his.yaml:2: sor.a_hstage.take[2]: there is no column 'x'; known: id, b, c",
        "pipes/his.yaml:2: sor.a_hstage.rename.b: two columns would be called 'n'; give them different names",
        "pipes/his.yaml:2: sor.a_hstage.rename.c: two columns would be called 'n'; give them different names",
    ]

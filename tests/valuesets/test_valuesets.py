"""Codes come from staging into valuesets, with history, per source; nothing new costs next to nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from databases import Database
from loading import Loader
from written_projects import deliver, labels, loader

DOMAIN = """
hubs: {}
valuesets:
  Valueset: {}
  Tariff: {periodical: true, columns: {price: "numeric(10,2)"}}
"""

PIPE = """
pipe: his
source_path: his
sor_schema: sor_his
sor:
  code_hstage: {csv: codes.csv, columns: [list, code, name, seen], key: [list, code]}
  tariff_hstage: {csv: tariffs.csv, columns: [nr, code, start, stop, price], key: [nr]}
valuesets:
  - {from: code_hstage, to: Valueset, fields: {valueset_naam: list, code: code, omschrijving: name}}
  - from: tariff_hstage
    to: Tariff
    prefer: nr::integer desc
    fields:
      valueset_naam: "'care'"
      code: code
      ingangsdatum: start
      einddatum: stop
      omschrijving: "'tariff ' || code"
      price: price
"""

STAGES = [
    "prepare",
    "ddl_valset",
    "his.sor.ddl_sor",
    "his.sor.check_mappings",
    "his.sor.etl_sor",
    "his.valset.etl_valset",
]

CODES = """
    select valueset_naam, code, omschrijving, _active, _revision, _runid::text, _finish_runid::text
    from valset.valueset order by valueset_naam, code, _source_system, _revision
"""
TARIFFS = """
    select code, ingangsdatum::text, einddatum::text, price::text, _active, _revision from valset.tariff
    order by code, ingangsdatum, _revision
"""


def project(warehouse: Database, folder: Path, pipe: str = PIPE) -> Loader:
    return loader(warehouse, folder, DOMAIN, pipe=pipe)


def codes(folder: Path, text: str) -> None:
    deliver(folder, "list,code,name,seen\n" + text, "his/codes.csv")


def tariffs(folder: Path, text: str = "") -> None:
    deliver(folder, "nr,code,start,stop,price\n" + text, "his/tariffs.csv")


def test_new_codes_are_added_changed_ones_get_a_new_row_and_missing_ones_stay(
    warehouse: Database, tmp_path: Path
) -> None:
    load = project(warehouse, tmp_path)
    tariffs(tmp_path)
    codes(tmp_path, "sex,m,Male,1\nsex,f,Female,1\nward,a,Ward A,1\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    codes(tmp_path, "sex,m,Man,1\nsex,f,Female,2\nsex,x,Unknown,2\n")
    numbers = load.run(date(2026, 1, 2), stages=STAGES)["his.valset.etl_valset"].numbers
    assert warehouse.rows(CODES) == [
        ("sex", "f", "Female", True, 0, "1.00", None),
        ("sex", "m", "Male", False, 0, "1.00", "2.00"),
        ("sex", "m", "Man", True, 1, "2.00", None),
        ("sex", "x", "Unknown", True, 0, "2.00", None),
        ("ward", "a", "Ward A", True, 0, "1.00", None),
    ]
    assert numbers["valset.valueset"] == {"closed": 1, "inserted": 2}


def test_a_code_that_goes_a_b_a_has_three_rows(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    tariffs(tmp_path)
    for day, name in enumerate(["A", "B", "A"], 1):
        codes(tmp_path, f"l,c,{name},1\n")
        load.run(date(2026, 1, day), stages=STAGES)
    assert [row[2:5] for row in warehouse.rows(CODES)] == [("A", False, 0), ("B", False, 1), ("A", True, 2)]


def test_a_night_without_news_costs_three_small_statements_per_mapping(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    tariffs(tmp_path, "1,A1,2026-01-01,,10\n")
    codes(tmp_path, "sex,m,Male,1\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    outcome = load.run(date(2026, 1, 2), stages=STAGES)["his.valset.etl_valset"]
    each = ["see what is new", "look for changed rows", "remember what was looked at"]
    assert labels(outcome)[-6:] == [*each, *each]


def test_the_same_run_again_leaves_the_same_codes(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    tariffs(tmp_path, "1,A1,2026-01-01,,10\n")
    codes(tmp_path, "sex,m,Male,1\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    codes(tmp_path, "sex,m,Man,1\nsex,f,Female,1\n")
    load.run(date(2026, 1, 2), stages=STAGES)
    before = warehouse.rows(CODES)
    load.run(date(2026, 1, 2), stages=STAGES)
    assert warehouse.rows(CODES) == before
    codes(tmp_path, "sex,m,Male,1\nsex,f,Woman,1\n")
    load.run(date(2026, 1, 2), stages=STAGES)
    assert [row[1:5] for row in warehouse.rows(CODES)] == [("f", "Woman", True, 0), ("m", "Male", True, 0)]


def test_a_periodical_code_has_a_row_per_period_with_its_own_history(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path, "1,A1,2025-01-01,,10\n2,B2,2026-01-01,,7.5\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    tariffs(tmp_path, "1,A1,2025-01-01,2026-01-01,10\n2,B2,2026-01-01,,7.50\n3,A1,2026-01-02,,11\n")
    load.run(date(2026, 1, 2), stages=STAGES)
    assert warehouse.rows(TARIFFS) == [
        ("A1", "2025-01-01", None, "10.00", False, 0),
        ("A1", "2025-01-01", "2026-01-01", "10.00", True, 1),
        ("A1", "2026-01-02", None, "11.00", True, 0),
        ("B2", "2026-01-01", None, "7.50", True, 0),
    ]


def test_of_several_rows_for_a_code_the_preferred_one_wins_and_the_code_is_counted(
    warehouse: Database, tmp_path: Path
) -> None:
    load = project(warehouse, tmp_path)
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path, "9,A1,2026-01-01,,9\n10,A1,2026-01-01,,10\n11,B1,2026-01-01,,1\n12,B1,2026-01-01,,1\n")
    outcome = load.run(date(2026, 1, 1), stages=STAGES)["his.valset.etl_valset"]
    assert [row[0::3] for row in warehouse.rows(TARIFFS)] == [("A1", "10.00"), ("B1", "1.00")]
    assert outcome.numbers["valset.tariff"] == {"differing": 1, "closed": 0, "inserted": 2}


def test_without_a_preference_the_first_by_the_source_key_wins_whatever_the_order_of_the_file(
    warehouse: Database, tmp_path: Path
) -> None:
    load = project(warehouse, tmp_path, PIPE.replace("    prefer: nr::integer desc\n", ""))
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path, "b,A1,2026-01-01,,2\na,A1,2026-01-01,,1\nc,A1,2026-01-01,,3\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    assert [row[3] for row in warehouse.rows(TARIFFS)] == ["1.00"]


def test_a_row_without_a_code_is_counted_and_a_value_that_does_not_fit_rejects_only_its_row(
    warehouse: Database, tmp_path: Path
) -> None:
    load = project(warehouse, tmp_path)
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path, "1,A1,2026-01-01,,cheap\n2,,2026-01-01,,1\n3,C1,,,1\n4,D1,2026-01-01,,4\n")
    outcome = load.run(date(2026, 1, 1), stages=STAGES)["his.valset.etl_valset"]
    assert [row[0::3] for row in warehouse.rows(TARIFFS)] == [("D1", "4.00")]
    assert outcome.numbers["valset.tariff"] == {"unkeyed": 2, "closed": 0, "inserted": 1}
    assert warehouse.rows(
        "select table_name, mapping, message, key_fields, _runid::text, _last_runid::text from valset._exceptions"
    ) == [
        (
            "tariff_hstage",
            "tariff_hstage -> Tariff",
            "cannot make Tariff.price (numeric(10,2)) of this row (SQLSTATE 22P02)",
            '{"nr": "1"}',
            "1.00",
            "1.00",
        )
    ]
    # The next night it is judged again, and stands there once.
    load.run(date(2026, 1, 2), stages=STAGES)
    assert warehouse.rows("select _runid::text, _last_runid::text from valset._exceptions") == [("1.00", "2.00")]
    # A mended row flows.
    tariffs(tmp_path, "1,A1,2026-01-01,,1\n2,,2026-01-01,,1\n3,C1,,,1\n4,D1,2026-01-01,,4\n")
    load.run(date(2026, 1, 3), stages=STAGES)
    assert [row[0::3] for row in warehouse.rows(TARIFFS)] == [("A1", "1.00"), ("D1", "4.00")]
    assert warehouse.rows("select freed_runid::text from sys.rejected_rows") == [("3.00",)]


def test_two_mappings_on_one_valueset_are_one_load(warehouse: Database, tmp_path: Path) -> None:
    pipe = PIPE + (
        "  - {from: tariff_hstage, to: Valueset, fields: {valueset_naam: \"'sex'\", code: code, omschrijving: nr}}\n"
    )
    load = project(warehouse, tmp_path, pipe)
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path, "1,m,2026-01-01,,1\n2,z,2026-01-01,,1\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    before = warehouse.rows(CODES)
    assert [row[1:3] for row in before] == [("m", "Male"), ("z", "2")]
    load.run(date(2026, 1, 2), stages=STAGES)
    codes(tmp_path, "sex,m,Male,2\n")  # only one of the two changes
    load.run(date(2026, 1, 3), stages=STAGES)
    assert warehouse.rows(CODES) == before


def test_two_pipes_keep_their_own_codes(warehouse: Database, tmp_path: Path) -> None:
    second = """
        pipe: lab
        source_path: his
        sor_schema: sor_lab
        sor: {code_hstage: {csv: codes.csv, columns: [list, code, name, seen], key: [list, code]}}
        valuesets: [{from: code_hstage, to: Valueset, fields: {valueset_naam: list, code: code, omschrijving: upper(name)}}]
    """
    load = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, pipes__lab___yaml=second)
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path)
    for day in (1, 2):
        load.run(date(2026, 1, day), stages=[*STAGES, *(stage.replace("his.", "lab.") for stage in STAGES[2:])])
    assert warehouse.rows("select _source_system, omschrijving, _revision from valset.valueset order by 1") == [
        ("his", "Male", 0),
        ("lab", "MALE", 0),
    ]


def test_a_changed_expression_compares_all_codes_once(warehouse: Database, tmp_path: Path) -> None:
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path)
    project(warehouse, tmp_path).run(date(2026, 1, 1), stages=STAGES)
    changed = project(warehouse, tmp_path, PIPE.replace("omschrijving: name", "omschrijving: upper(name)"))
    changed.run(date(2026, 1, 2), stages=STAGES)
    assert [row[2:5] for row in warehouse.rows(CODES)] == [("Male", False, 0), ("MALE", True, 1)]
    outcome = changed.run(date(2026, 1, 3), stages=STAGES)["his.valset.etl_valset"]
    assert "collect codes" not in labels(outcome)


def test_a_rejected_staging_row_leaves_its_code_as_it_was(warehouse: Database, tmp_path: Path) -> None:
    pipe = PIPE + "validations:\n  - {table: code_hstage, when: \"name = ''\", message: No name}\n"
    load = project(warehouse, tmp_path, pipe)
    tariffs(tmp_path)
    codes(tmp_path, "sex,m,Male,1\n")
    load.run(date(2026, 1, 1), stages=STAGES)
    codes(tmp_path, 'sex,m,"",1\n')
    load.run(date(2026, 1, 2), stages=STAGES)
    assert [row[2:5] for row in warehouse.rows(CODES)] == [("Male", True, 0)]


def test_a_removed_mapping_is_forgotten_once(warehouse: Database, tmp_path: Path) -> None:
    tariffs(tmp_path, "1,x,2026-01-01,,1\n")
    codes(tmp_path, "sex,m,Male,1\n")
    project(warehouse, tmp_path).run(date(2026, 1, 1), stages=STAGES)
    fewer = project(warehouse, tmp_path, PIPE.partition("  - from: tariff_hstage")[0])
    for day in (2, 3, 4):
        fewer.run(date(2026, 1, day), stages=STAGES)
    assert warehouse.rows(
        "select runid::int from sys.steps where label = 'remember which mappings were removed' order by 1"
    ) == [(2,)]
    assert warehouse.rows("select count(*) from sys.steps where label = 'collect codes' and runid >= 3") == [(0,)]


def test_more_rejected_rows_than_the_limit_leave_the_valueset_as_it_was(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path, PIPE.replace("sor_schema: sor_his", "sor_schema: sor_his\nmax_rejected: 40%"))
    codes(tmp_path, "sex,m,Male,1\n")
    tariffs(tmp_path, "1,A1,2026-01-01,,cheap\n2,B1,2026-01-01,,1\n")
    error = load.fails(date(2026, 1, 1), stages=STAGES)
    assert (
        "mapping tariff_hstage -> Tariff (sor_his.tariff_hstage): 1 of the 2 rows that were looked at are rejected and were "
        "not before, more than the 40% of max_rejected: 1 x 'cannot make Tariff.price (numeric(10,2)) of this row "
        "(SQLSTATE 22P02)'"
    ) in error
    assert warehouse.rows("select count(*) from valset.valueset") == [(0,)]
    load.run(date(2026, 1, 1), stages=STAGES, allow_rejections=True)
    assert [row[0] for row in warehouse.rows(TARIFFS)] == ["B1"]
    load.run(date(2026, 1, 2), stages=STAGES)

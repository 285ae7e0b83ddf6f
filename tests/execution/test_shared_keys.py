"""Keys and links that several pipes bring: taking one pipe's load back leaves what the others give, and nothing else."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from logging import getLogger
from pathlib import Path

import pytest

from databases import Database
from loading import Loader
from pyelt_provider.execution.rewinding import rewind
from written_projects import deliver, loader

DOMAIN = """
hubs:
  Person: {satellites: {Default: {name: text}, Phone: {types: [home, work], columns: {number: text}}}}
  Ward: {}
links:
  Stay: {references: {person: Person, ward: Ward}}
"""

PIPE = """
pipe: PIPE
source_path: PIPE
sor:
  person_hstage: {csv: persons.csv, columns: [nr, name, phone], key: [nr]}
  stay_hstage: {csv: stays.csv, columns: [nr, person, ward], key: [nr]}
entities:
  - {from: person_hstage, to: Person, bk: nr, fields: FIELDS}
  - {from: stay_hstage, to: Ward, bk: ward}
links:
  - {from: stay_hstage, to: Stay, references: {person: person, ward: ward}, missing_reference: MISSING}
"""

DAY_1, DAY_2, DAY_3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)

VAULT = """
    select 'person', bk, _source_system, _runid::text from dv.person_hub
    union all select 'ward', bk, _source_system, _runid::text from dv.ward_hub
    union all
    select 'stay', p.bk || ' in ' || w.bk, l._source_system, l._runid::text
    from dv.stay_link l join dv.person_hub p on p._id = l.fk_person_hub join dv.ward_hub w on w._id = l.fk_ward_hub
    order by 1, 2
"""
NOTES = "select tablename, pipe, runid::text, only_for_links from sys.given_keys order by 1, 2, 3"


def pipe(name: str, fields: str, missing: str) -> str:
    return PIPE.replace("PIPE", name).replace("FIELDS", fields).replace("MISSING", missing)


@pytest.fixture(params=["{}", "{'Phone.number[home]': phone}", "{Default.name: name}"], ids=["key", "phone", "name"])
def load(warehouse: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Loader:
    """Two pipes on the same hubs and link; the second fills nothing, a hybrid satellite, or a plain one."""
    return two_pipes(warehouse, tmp_path, request.param)


def two_pipes(warehouse: Database, folder: Path, fields: str = "{}", missing: str = "wait") -> Loader:
    files = {"pipes__crm___yaml": pipe("crm", fields, missing)}
    return loader(warehouse, folder, DOMAIN, pipe=pipe("his", "{Default.name: name}", missing), **files)


def night(load: Loader, folder: Path, day: date, *pipes: str, **persons: str) -> None:
    """Load the day: each pipe's persons, each staying in the ward of its first letter."""
    for name in ("his", "crm"):
        if name in persons:
            numbers = persons[name].split()
            deliver(
                folder, "\n".join(["nr,name,phone", *(f"{nr},N{nr}," for nr in numbers)]) + "\n", f"{name}/persons.csv"
            )
            stays = [f"{nr},{nr},{nr[0]}" for nr in numbers]
            deliver(folder, "\n".join(["nr,person,ward", *stays]) + "\n", f"{name}/stays.csv")
    own = [stage.id for stage in load.plan().stages if not pipes or stage.pipe_name in pipes]
    load.run(day, stages=own)


def whole(load: Loader) -> list[tuple[str, str]]:
    return [row[:2] for row in load.rows(VAULT)]


def expected(*persons: str) -> list[tuple[str, str]]:
    found = {("person", nr) for nr in persons} | {("ward", nr[0]) for nr in persons}
    return sorted(found | {("stay", f"{nr} in {nr[0]}") for nr in persons})


@pytest.mark.parametrize("first", ["his", "crm"])
def test_pipes_that_are_cleared_one_after_the_other_leave_nothing_of_a_wrong_delivery(
    load: Loader, tmp_path: Path, first: str
) -> None:
    second = "crm" if first == "his" else "his"
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    night(load, tmp_path, DAY_2, his="a1 a2 x9", crm="a1 x9 b3")
    assert whole(load) == expected("a1", "a2", "b3", "x9")
    night(load, tmp_path, DAY_2, first, **{first: "a1 a2"})
    night(load, tmp_path, DAY_2, second, **{second: "a1 b3"})
    assert whole(load) == expected("a1", "a2", "b3")
    assert load.rows("select count(*) from sys.given_keys where only_for_links") == [(0,)]


@pytest.mark.parametrize("first", ["his", "crm"])
def test_what_the_other_pipe_gives_stays_and_is_its_own(load: Loader, tmp_path: Path, first: str) -> None:
    second = "crm" if first == "his" else "his"
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    night(load, tmp_path, DAY_2, his="a1 x9", crm="a1 x9")
    night(load, tmp_path, DAY_2, first, **{first: "a1"})
    assert whole(load) == expected("a1", "x9")
    assert {row[2] for row in load.rows(VAULT) if "x" in row[1]} == {second}
    night(load, tmp_path, DAY_3, his="a1 x9", crm="a1 x9")
    assert whole(load) == expected("a1", "x9")


@pytest.mark.parametrize("first", ["his", "crm"])
def test_rewinding_one_pipe_and_then_the_other_comes_back_to_the_run(load: Loader, tmp_path: Path, first: str) -> None:
    second = "crm" if first == "his" else "his"
    night(load, tmp_path, DAY_1, his="a1", crm="b1")
    before = load.rows(VAULT)
    night(load, tmp_path, DAY_2, his="a1 x8 x9", crm="b1")
    night(load, tmp_path, DAY_3, his="a1 x9", crm="b1 x9")
    for name in (first, second):
        rewind(
            load.pipeline, Decimal(1), load.environment, now=datetime(2026, 3, 1), log=getLogger("rewind"), pipe=name
        )
        if name == first == "his":
            assert {(row[1], row[2]) for row in load.rows(VAULT) if "x" in row[1]} == {
                ("x", "crm"),
                ("x9", "crm"),
                ("x9 in x", "crm"),
            }
    assert load.rows(VAULT) == before
    assert load.rows(NOTES) == []


def test_a_key_that_only_a_link_of_another_pipe_needs_goes_when_that_link_does(
    warehouse: Database, tmp_path: Path
) -> None:
    load = two_pipes(warehouse, tmp_path)
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n", "crm/stays.csv")
    night(load, tmp_path, DAY_2, his="a1 x9")
    assert ("stay", "x9 in a", "crm", "2.00") in load.rows(VAULT)
    night(load, tmp_path, DAY_2, "his", his="a1")
    assert ("person", "x9", "crm", "2.00") in load.rows(VAULT)
    assert ("person_hub", "crm", "2.00", True) in load.rows(NOTES)
    load.run(DAY_2, stages=["crm.dv.etl_links"])
    assert whole(load) == expected("a1")
    assert load.rows("select missing_bk from sys.waiting_references where resolved_runid is null") == [("x9",)]


WAITING = """
    select pipe, missing_bk from sys.waiting_references where resolved_runid is null order by 1, 2
"""


def test_a_link_does_not_come_back_on_a_key_that_only_another_pipes_link_still_holds(
    warehouse: Database, tmp_path: Path
) -> None:
    """The corrected pipe's own links are loaded first, while the other pipe's old link still stands on the key."""
    load = two_pipes(warehouse, tmp_path)
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n", "crm/stays.csv")
    night(load, tmp_path, DAY_2, his="a1 x9")
    deliver(tmp_path, "nr,name,phone\na1,N,\n", "his/persons.csv")  # without x9; its stay in ward x is delivered
    load.run(DAY_2, stages=[f"his.{stage}" for stage in ("sor.etl_sor", "dv.etl_hubs", "dv.etl_links")])
    assert ("stay", "x9 in x") not in whole(load)
    load.run(DAY_2, stages=["crm.dv.etl_links"])
    assert whole(load) == sorted([*expected("a1"), ("ward", "x")])
    assert load.rows(WAITING) == [("crm", "x9"), ("his", "x9")]
    assert load.rows("select tablename from sys.given_keys where only_for_links") == []


@pytest.mark.parametrize("again", [False, True])
def test_after_one_pipe_was_cleared_alone_the_links_of_the_other_wait_from_the_next_night_on(
    warehouse: Database, tmp_path: Path, again: bool
) -> None:
    load = two_pipes(warehouse, tmp_path)
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n2,a1,a\n", "crm/stays.csv")
    night(load, tmp_path, DAY_2, his="a1 x9")
    night(load, tmp_path, DAY_2, "his", his="a1")
    assert ("stay", "x9 in a") in whole(load)
    for _ in range(1 + again):
        night(load, tmp_path, DAY_3)
        assert whole(load) == expected("a1")
        assert load.rows(WAITING) == [("crm", "x9")]
        assert load.rows("select tablename from sys.given_keys where only_for_links") == []
    # The night that let go of the link is taken back: nothing is lost, and it lets go again.
    rewind(load.pipeline, Decimal(2), load.environment, now=datetime(2026, 3, 1), log=getLogger("rewind"))
    assert whole(load) == expected("a1")
    night(load, tmp_path, DAY_3)
    assert load.rows(WAITING) == [("crm", "x9")]
    night(load, tmp_path, date(2026, 1, 4), his="a1 x9")
    assert whole(load) == sorted([*expected("a1", "x9"), ("stay", "x9 in a")])
    assert load.rows(WAITING) == []


def test_what_waited_for_a_key_that_was_taken_back_waits_on(warehouse: Database, tmp_path: Path) -> None:
    load = two_pipes(warehouse, tmp_path)
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n", "crm/stays.csv")
    night(load, tmp_path, DAY_2, his="a1")
    night(load, tmp_path, DAY_3, his="a1 x9")
    night(load, tmp_path, DAY_3, "his", his="a1")
    night(load, tmp_path, date(2026, 1, 4))
    assert whole(load) == expected("a1")
    assert load.rows("select missing_bk, runid::text, resolved_runid from sys.waiting_references") == [
        ("x9", "2.00", None)
    ]


def test_a_mapping_that_makes_keys_takes_over_one_whose_giver_was_taken_back(
    warehouse: Database, tmp_path: Path
) -> None:
    load = two_pipes(warehouse, tmp_path, missing="create_hub")
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n", "crm/stays.csv")
    night(load, tmp_path, DAY_2, his="a1 x9")
    night(load, tmp_path, DAY_2, "his", his="a1")
    night(load, tmp_path, DAY_3)
    assert whole(load) == sorted([*expected("a1"), ("person", "x9"), ("stay", "x9 in a")])
    assert load.rows("select pipe, runid::text, left_behind from sys.given_keys where only_for_links") == [
        ("crm", "2.00", False)
    ]


def test_a_key_that_comes_back_in_its_run_is_its_pipes_again(warehouse: Database, tmp_path: Path) -> None:
    load = two_pipes(warehouse, tmp_path)
    night(load, tmp_path, DAY_1, his="a1", crm="a1")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n", "crm/stays.csv")
    night(load, tmp_path, DAY_2, his="a1 x9")
    before, notes = load.rows(VAULT), load.rows(NOTES)
    night(load, tmp_path, DAY_2, "his", his="a1 x9")
    assert load.rows(VAULT) == before
    assert load.rows(NOTES) == notes


def test_keys_that_links_make_go_with_them_and_keys_of_the_pipes_own_mappings_stay(
    warehouse: Database, tmp_path: Path
) -> None:
    load = two_pipes(warehouse, tmp_path, missing="create_hub")
    deliver(tmp_path, "nr,person,ward\n1,x9,a\n", "crm/stays.csv")
    deliver(tmp_path, "nr,name,phone\nc7,N,\n", "crm/persons.csv")
    deliver(tmp_path, "nr,person,ward\n", "his/stays.csv")
    deliver(tmp_path, "nr,name,phone\n", "his/persons.csv")
    load.run(DAY_1)
    made = [("person", "c7"), ("person", "x9"), ("stay", "x9 in a"), ("ward", "a")]
    assert whole(load) == made
    load.run(DAY_1, stages=["crm.dv.etl_links"])
    assert whole(load) == made
    deliver(tmp_path, "nr,person,ward\n1,c7,a\n", "crm/stays.csv")
    load.run(DAY_1)
    assert whole(load) == [("person", "c7"), ("stay", "c7 in a"), ("ward", "a")]


def test_a_table_of_somebody_else_keeps_the_key_that_it_points_at(warehouse: Database, tmp_path: Path) -> None:
    load = two_pipes(warehouse, tmp_path)
    night(load, tmp_path, DAY_1, his="a1 x9", crm="a1")
    warehouse.execute(
        "create schema ward; create table ward.note as select _id as person from dv.person_hub where bk = 'x9';"
        "alter table ward.note add foreign key (person) references dv.person_hub"
    )
    night(load, tmp_path, DAY_1, "his", his="a1")
    assert whole(load) == sorted([*expected("a1"), ("person", "x9")])

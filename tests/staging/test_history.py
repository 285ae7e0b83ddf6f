"""Source to staging: what a delivery does to the rows that are there."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from pyelt_provider.model.limits import Limits, share
from pyelt_provider.model.staging import Delivery
from staging.deliveries import TABLE, Town, many


def test_the_first_delivery_gives_active_rows_with_revision_0_in_its_own_order(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path)
    numbers = town.load("nr,naam\n3,Cor\n1,An\n2,Bo\n")
    assert town.history() == [
        ("3", "Cor", True, 0, "1.00", None, None),
        ("1", "An", True, 0, "1.00", None, None),
        ("2", "Bo", True, 0, "1.00", None, None),
    ]
    assert numbers == {TABLE: {"read": 3, "inserted": 3}}
    assert town.rows(f"select distinct _source_system, _valid, _insert_date is not null from {TABLE}") == [
        ("his", True, True)
    ]


def test_a_night_with_nothing_new_writes_nothing(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    before = town.rows(f"select xmin::text, t::text from {TABLE} as t order by _id")
    numbers = town.load("nr,naam\n2,Bo\n1,An\n", day=2)
    assert town.rows(f"select xmin::text, t::text from {TABLE} as t order by _id") == before
    assert numbers == {TABLE: {"read": 2}}


def test_new_changed_and_missing_rows(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n3,Cor\n")
    numbers = town.load("nr,naam\n1,An\n2,Bob\n4,Dirk\n", day=2)
    assert town.history(order="nr, _revision") == [
        ("1", "An", True, 0, "1.00", None, None),
        ("2", "Bo", False, 0, "1.00", "2.00", None),
        ("2", "Bob", True, 1, "2.00", None, None),
        ("3", "Cor", False, 0, "1.00", "2.00", "2.00"),
        ("4", "Dirk", True, 0, "2.00", None, None),
    ]
    assert numbers == {TABLE: {"read": 3, "deleted": 1, "closed": 1, "changed": 1, "inserted": 1}}
    closed, opened = town.rows(f"select _finish_date, _insert_date from {TABLE} where nr = '2' order by _revision")
    assert closed[0] == opened[1] and opened[0] is None


def test_a_value_that_goes_a_b_a_gives_three_rows(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    for day, value in enumerate(("A", "B", "A"), start=1):
        town.load(f"nr,naam\n1,{value}\n", day=day)
    assert town.history() == [
        ("1", "A", False, 0, "1.00", "2.00", None),
        ("1", "B", False, 1, "2.00", "3.00", None),
        ("1", "A", True, 2, "3.00", None, None),
    ]


def test_a_row_that_comes_back_gets_a_new_active_row(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    town.load("nr,naam\n1,An\n", day=2)
    town.load("nr,naam\n1,An\n2,Bo\n", day=3)
    assert town.history(order="nr, _id") == [
        ("1", "An", True, 0, "1.00", None, None),
        ("2", "Bo", False, 0, "1.00", "2.00", "2.00"),
        ("2", "Bo", True, 0, "3.00", None, None),
    ]


def test_loading_twice_in_one_run_equals_loading_once(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n,Geen\n5,x\n5,y\n")
    town.load("nr,naam\n1,Anna\n3,Cor\n,Geen\n6,x\n6,y\n", day=2)
    once = town.history("naam, _valid, _validation_msg, _hash", order="nr, naam, _revision")
    exceptions = town.exceptions()
    town.load("nr,naam\n1,Anna\n3,Cor\n,Geen\n6,x\n6,y\n", day=2)
    assert town.history("naam, _valid, _validation_msg, _hash", order="nr, naam, _revision") == once
    assert town.exceptions() == exceptions


def test_a_corrected_delivery_in_the_same_run_gives_what_it_would_have_given_at_once(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n3,Cor\n")
    town.load("nr,naam\n1,wrong\n4,wrong\n", day=2)
    town.load("nr,naam\n1,An\n2,Bob\n", day=2)
    assert town.history(order="nr, _revision") == [
        ("1", "An", True, 0, "1.00", None, None),
        ("2", "Bo", False, 0, "1.00", "2.00", None),
        ("2", "Bob", True, 1, "2.00", None, None),
        ("3", "Cor", False, 0, "1.00", "2.00", "2.00"),
    ]


def test_the_first_load_is_taken_back_and_done_again(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,wrong\n2,wrong\n")
    town.load("nr,naam\n1,An\n")
    assert town.history() == [("1", "An", True, 0, "1.00", None, None)]


def test_columns_are_compared_one_by_one_and_null_is_not_the_empty_text(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load('nr,naam,plaats\n1,ab,c\n2,,x\n3,"",x\n4," blank ",x\n')
    assert town.active("nr, naam, plaats") == [
        ("1", "ab", "c"),
        ("2", None, "x"),
        ("3", "", "x"),
        ("4", " blank ", "x"),
    ]
    numbers = town.load('nr,naam,plaats\n1,a,bc\n2,"",x\n3,,x\n4,"blank ",x\n', day=2)
    assert numbers[TABLE]["changed"] == 4


def test_a_key_of_several_columns(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, key=("nr", "soort"))
    town.load("nr,soort,naam\na,bc,x\nab,c,y\n")
    numbers = town.load("nr,soort,naam\nab,c,y\na,bc,z\n", day=2)
    assert numbers == {TABLE: {"read": 2, "closed": 1, "changed": 1}}
    assert town.active("nr, soort, naam") == [("a", "bc", "z"), ("ab", "c", "y")]


def test_a_table_of_only_a_key(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr\n1\n2\n")
    numbers = town.load("nr\n2\n3\n", day=2)
    assert numbers == {TABLE: {"read": 2, "deleted": 1, "inserted": 1}}


def test_values_with_quotes_percent_signs_and_sql_arrive_as_they_are(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    value = "O'Brien 100% %(x)s \\N {{ ds }}; drop table x --"
    town.load(f'nr,naam\n"1\'; drop table x",{value}\n')
    town.load(f'nr,naam\n"1\'; drop table x",{value}!\n', day=2)
    assert town.active() == [("1'; drop table x", value + "!")]


def test_a_delivery_of_nothing_is_refused_while_rows_are_active(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    message = town.refuses("nr,naam\n")
    assert "has 0 rows while 2 rows are active" in message and "allow_deletions" in message


def test_a_delivery_of_nothing_is_let_through_on_purpose(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    numbers = town.load("nr,naam\n", day=2, allow_deletions=True)
    assert numbers == {TABLE: {"read": 0, "deleted": 2}}
    town.configure(limits=Limits(min_rows=0))
    town.load("nr,naam\n1,An\n", day=3)
    assert town.load("nr,naam\n", day=4) == {TABLE: {"read": 0, "deleted": 1}}


def test_an_empty_first_delivery_gives_an_empty_table(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    assert town.load("nr,naam\n") == {TABLE: {"read": 0, "inserted": 0}}
    assert town.load("nr,naam\n1,An\n", day=2)[TABLE]["inserted"] == 1


def test_a_delivery_that_would_delete_more_than_half_is_refused_with_its_numbers(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path)
    town.load(many(100))
    message = town.refuses(many(49))
    assert "has 49 rows and would delete 51 of 100 active rows, more than the 50%" in message
    assert town.load(many(50), day=2)[TABLE]["deleted"] == 50


def test_small_tables_and_other_limits(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load(many(99))
    assert town.load(many(1), day=2)[TABLE]["deleted"] == 98
    town.configure(limits=Limits(max_deleted=share(10)))
    town.load(many(10), day=3)
    assert "more than the 10%" in town.refuses(many(8), day=4)
    assert town.load(many(8), day=4, allow_deletions=True)[TABLE]["deleted"] == 2


def test_a_delta_delivery_deletes_nothing_unless_it_says_so(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, delivery=Delivery.DELTA, deleted_when="soort = 'D' and s.naam like '%n'")
    town.load("nr,naam,soort\n1,An,N\n2,Bo,N\n3,Cor,D\n4,Jan,D\n")
    assert town.active() == [("1", "An"), ("2", "Bo"), ("3", "Cor")]
    numbers = town.load("nr,naam,soort\n1,An,D\n2,Bob,W\n9,Leon,D\n", day=2)
    assert town.active() == [("2", "Bob"), ("3", "Cor")]
    assert numbers == {TABLE: {"read": 3, "deleted": 1, "closed": 1, "changed": 1}}
    assert town.load("nr,naam,soort\n", day=3) == {TABLE: {"read": 0}}
    assert town.active() == [("2", "Bob"), ("3", "Cor")]


def test_debug_loads_100_rows_and_deletes_nothing(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load(many(150))
    town.configure(pipeline={"debug": True})
    assert town.load(many(150, start=101), day=2)[TABLE] == {"read": 100, "inserted": 50}
    assert town.rows(f"select count(*) from {TABLE} where _active") == [(200,)]


def test_a_first_load_in_debug_stops_after_100_rows(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.configure(pipeline={"debug": True})
    lines = "".join(f'{number},"two\nlines"\n' for number in range(1000, 1150))
    assert town.load("nr,naam\n" + lines)[TABLE]["read"] == 100
    assert town.rows(f"select count(distinct nr), min(naam) from {TABLE}") == [(100, "two\nlines")]

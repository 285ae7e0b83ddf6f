"""Rows that are rejected: by their key, or by a validation. They stay visible, they free themselves when mended."""

from __future__ import annotations

from pathlib import Path

from databases import Database
from pyelt_provider.model.staging import Delivery
from staging.deliveries import TABLE, Town, rule

REPEATED = "key occurs more than once in the delivery"


def test_a_null_key_rejects_that_row_only_and_deletes_are_still_seen(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    numbers = town.load("nr,naam\n1,Anna\n,Geen\n", day=2)
    assert town.active() == [("1", "Anna")]
    assert town.rejected() == [(None, "Geen", False, "key is null", "2.00")]
    assert numbers[TABLE] == {"read": 2, "deleted": 1, "closed": 1, "changed": 1, "inserted": 0, "rejected": 1}


def test_every_row_of_a_key_that_occurs_twice_is_rejected_and_the_key_stays_as_it_was(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    town.load("nr,naam\n1,An\n1,Anna\n2,Bob\n7,x\n7,y\n7,y\n", day=2)
    assert town.active() == [("1", "An"), ("2", "Bob")]
    assert town.rejected() == [
        ("1", "An", False, REPEATED, "2.00"),
        ("1", "Anna", False, REPEATED, "2.00"),
        ("7", "x", False, REPEATED, "2.00"),
        ("7", "y", False, REPEATED, "2.00"),
    ]


def test_two_equal_rows_of_a_known_key_are_seen_although_neither_differs(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    town.load("nr,naam\n1,An\n1,An\n2,Bo\n", day=2)
    assert town.active() == [("1", "An"), ("2", "Bo")]
    assert town.rejected() == [("1", "An", False, REPEATED, "2.00")]


def test_a_first_delivery_with_repeated_and_missing_keys(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, key=("nr", "soort"))
    numbers = town.load("nr,soort,naam\n1,a,An\n2,b,x\n2,b,y\n3,,z\n2,c,Bo\n")
    assert town.active("nr, soort, naam") == [("1", "a", "An"), ("2", "c", "Bo")]
    assert town.rejected() == [
        ("2", "x", False, REPEATED, "1.00"),
        ("2", "y", False, REPEATED, "1.00"),
        ("3", "z", False, "key is null", "1.00"),
    ]
    assert numbers[TABLE]["rejected"] == 3
    assert town.load("nr,soort,naam\n1,a,An\n2,b,x\n2,b,y\n3,,z\n2,c,Bo\n", day=2)[TABLE] == {
        "read": 5,
        "inserted": 0,
        "rejected": 0,
    }


def test_repeated_keys_in_a_first_delivery_without_null_keys(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,x\n2,y\n3,Cor\n")
    assert town.active() == [("1", "An"), ("3", "Cor")]
    assert [row[:2] for row in town.rejected()] == [("2", "x"), ("2", "y")]


def test_a_rejected_row_is_stored_once_while_it_is_delivered_again(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    for day in (1, 2, 3):
        town.load("nr,naam\n1,An\n,Geen\n2,x\n2,y\n", day=day)
    assert [row[:2] for row in town.rejected()] == [(None, "Geen"), ("2", "x"), ("2", "y")]
    assert sorted(town.exceptions()) == [
        ('{"nr": "2"}', '{"naam": "x"}', REPEATED, "1.00", "3.00"),
        ('{"nr": "2"}', '{"naam": "y"}', REPEATED, "1.00", "3.00"),
        ('{"nr": null}', '{"naam": "Geen"}', "key is null", "1.00", "3.00"),
    ]


def test_a_mended_source_frees_a_repeated_key(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,x\n2,y\n")
    town.load("nr,naam\n1,An\n2,y\n", day=2)
    assert town.active() == [("1", "An"), ("2", "y")]
    town.load("nr,naam\n1,An\n2,z\n", day=3)
    assert town.active() == [("1", "An"), ("2", "z")]
    assert {row[4] for row in town.exceptions()} == {"1.00"}


def test_a_repeated_key_in_a_delta_delivery(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, delivery=Delivery.DELTA)
    town.load("nr,naam\n1,An\n")
    town.load("nr,naam\n1,An\n1,An\n2,Bo\n", day=2)
    assert town.active() == [("1", "An"), ("2", "Bo")]
    assert town.rejected() == [("1", "An", False, REPEATED, "2.00")]


def test_a_row_that_fails_a_validation_is_active_and_invalid_with_its_message(
    warehouse: Database, tmp_path: Path
) -> None:
    rules = (rule("too long", when="length(s.naam) > 5"), rule("100% wrong", when="naam like '%x%'"))
    town = Town(warehouse, tmp_path, pipe={"validations": rules})
    numbers = town.load("nr,naam\n1,An\n2,Robbert\n3,x\n4,xxxxxxx\n")
    assert town.rejected() == [
        ("2", "Robbert", True, "too long", "1.00"),
        ("3", "x", True, "100% wrong", "1.00"),
        ("4", "xxxxxxx", True, "too long; 100% wrong", "1.00"),
    ]
    assert numbers[TABLE]["rejected"] == 3
    assert town.exceptions() == sorted(
        [
            ('{"nr": "2"}', '{"naam": "Robbert"}', "too long", "1.00", "1.00"),
            ('{"nr": "3"}', '{"naam": "x"}', "100% wrong", "1.00", "1.00"),
            ('{"nr": "4"}', '{"naam": "xxxxxxx"}', "too long; 100% wrong", "1.00", "1.00"),
        ]
    )


def test_a_validation_whose_condition_is_unknown_does_not_reject(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (rule(when="naam > 'B'"),)})
    town.load("nr,naam\n1,\n2,Cor\n")
    assert [row[0] for row in town.rejected()] == ["2"]


def test_a_mended_row_is_valid_and_a_spoilt_one_invalid(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (rule(when="naam = 'x'"),)})
    town.load("nr,naam\n1,x\n2,Bo\n")
    town.load("nr,naam\n1,An\n2,x\n", day=2)
    assert town.rows(f"select nr, naam, _active, _valid from {TABLE} order by nr, _id") == [
        ("1", "x", False, False),
        ("1", "An", True, True),
        ("2", "Bo", False, True),
        ("2", "x", True, False),
    ]
    assert [(row[0], row[3], row[4]) for row in town.exceptions()] == [
        ('{"nr": "1"}', "1.00", "1.00"),
        ('{"nr": "2"}', "2.00", "2.00"),
    ]


def test_a_rejected_row_that_stays_is_written_down_once_with_first_and_last_run(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (rule(when="naam = 'x'"),)})
    for day in (1, 2, 3):
        town.load("nr,naam\n1,x\n2,Bo\n", day=day)
    assert town.exceptions() == [('{"nr": "1"}', '{"naam": "x"}', "bad", "1.00", "3.00")]
    town.load("nr,naam\n1,x\n2,Bo\n", day=3)
    assert town.exceptions() == [('{"nr": "1"}', '{"naam": "x"}', "bad", "1.00", "3.00")]


def test_a_mended_rule_frees_the_rows_that_it_rejected_and_says_so_in_the_journal(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (rule(when="naam > 'B'"),)})
    town.load("nr,naam\n1,An\n2,Bo\n3,Cor\n")
    town.configure(pipe={"validations": (rule(when="naam > 'C'"),)})
    numbers = town.load("nr,naam\n1,An\n2,Bo\n3,Cor\n", day=2)
    assert [row[0] for row in town.rejected()] == ["3"]
    assert numbers[TABLE] == {"read": 3, "rejected": 0, "freed": 1}
    assert town.rows("select tablename, before from sys.journal where before ? '_valid'") == [
        ("patient_hstage", {"_valid": False, "_validation_msg": "bad"})
    ]
    town.configure(pipe={"validations": ()})
    assert town.load("nr,naam\n1,An\n2,Bo\n3,Cor\n", day=3)[TABLE]["freed"] == 1
    assert town.rejected() == []


def test_a_new_rule_judges_the_rows_that_are_there(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n2,Bo\n")
    town.configure(pipe={"validations": (rule(when="naam = 'Bo'"),)})
    town.load("nr,naam\n1,An\n2,Bo\n", day=2)
    assert town.rejected() == [("2", "Bo", True, "bad", "1.00")]


def test_values_that_must_be_unique(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (rule("double", unique=("bsn",)),)})
    town.load("nr,naam,bsn\n1,An,11\n2,Bo,22\n3,Cor,\n4,Dirk,\n")
    assert town.rejected() == []
    town.load("nr,naam,bsn\n1,An,11\n2,Bo,22\n3,Cor,\n4,Dirk,\n5,Eva,11\n", day=2)
    assert [(row[0], row[3]) for row in town.rejected()] == [("1", "double"), ("5", "double")]
    town.load("nr,naam,bsn\n1,An,11\n2,Bo,22\n3,Cor,\n4,Dirk,\n", day=3)
    assert town.rows(f"select nr from {TABLE} where _active and not _valid") == []
    town.load("nr,naam,bsn\n1,An,11\n2,Bo,11\n3,Cor,\n4,Dirk,\n", day=4)
    assert [row[0] for row in town.rows(f"select nr from {TABLE} where _active and not _valid order by 1")] == [
        "1",
        "2",
    ]
    town.load("nr,naam,bsn\n1,An,11\n2,Bo,33\n3,Cor,\n4,Dirk,\n", day=5)
    assert town.rows(f"select nr from {TABLE} where _active and not _valid") == []


def test_taking_back_a_verdict_on_earlier_rows(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (rule("double", unique=("bsn",)),)})
    town.load("nr,naam,bsn\n1,An,11\n")
    town.load("nr,naam,bsn\n1,An,11\n5,Eva,11\n", day=2)
    assert len(town.rejected()) == 2
    town.load("nr,naam,bsn\n1,An,11\n5,Eva,55\n", day=2)
    assert town.rejected() == []
    assert town.exceptions() == []


def test_a_validation_with_wrong_sql_fails_the_load_and_changes_nothing(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n")
    town.configure(pipe={"validations": (rule(when="nonsense("),)})
    message = town.refuses("nr,naam\n1,Anna\n")
    assert "'nonsense(' does not work: 42601 syntax error" in message


def test_a_row_that_a_validation_cannot_be_evaluated_for_is_rejected_and_the_others_are_judged(
    warehouse: Database, tmp_path: Path
) -> None:
    rules = (rule("too old", when="s.naam::int > 5 and '100%' = '100%'"), rule("double", unique=("bsn",)))
    town = Town(warehouse, tmp_path, pipe={"validations": rules})
    town.load("nr,naam,bsn\n1,3,a\n2,9,b\n3,Geheim,c\n4,,d\n5,1,d\n")
    assert [(row[0], row[3]) for row in town.rejected()] == [
        ("2", "too old"),
        ("3", "too old"),
        ("4", "double"),
        ("5", "double"),
    ]
    town.load("nr,naam,bsn\n1,x,a\n2,9,b\n3,4,c\n4,,d\n5,1,e\n", day=2)
    assert town.rows(f"select nr from {TABLE} where _active and not _valid order by 1") == [("1",), ("2",)]

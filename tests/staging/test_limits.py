"""Limits on deliveries and rejections: what is refused, with which numbers, and how it is let through for one run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.model.limits import Amount, Limits, share
from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.model.staging import Delivery
from staging.deliveries import TABLE, Town, many, rule

ONE = Amount(Decimal(1))
NONE = Amount(Decimal(0))
BAD = rule("Nobody is no patient", when="naam = 'Nobody'")


def patients(good: int, *bad: str) -> str:
    return many(good) + "".join(f"{row}\n" for row in bad)


def test_a_delivery_with_fewer_rows_than_min_rows_is_refused_from_the_first_on(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, limits=Limits(min_rows=3, max_deleted=share(100)))
    message = town.refuses(many(2), day=1)
    assert f"{TABLE}: the delivery has 2 rows, fewer than the 3 of min_rows" in message
    assert "allow_deletions" in message
    town.load(many(3))
    assert "has 2 rows, fewer than the 3" in town.refuses(many(2), day=2)
    assert "has 0 rows, fewer than the 3" in town.refuses(many(0), day=2)
    assert town.load(many(2), day=2, allow_deletions=True)[TABLE]["deleted"] == 1


def test_the_file_of_the_last_load_is_held_against_a_new_min_rows_too(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load(many(3))
    town.configure(limits=Limits(min_rows=4))
    assert "has 3 rows, fewer than the 4" in town.refuses(None, day=2)


def test_without_min_rows_zero_an_empty_delivery_is_refused_whatever_may_be_deleted(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, limits=Limits(max_deleted=share(100)))
    town.load(many(3))
    assert "has 0 rows while 3 rows are active" in town.refuses(many(0))
    town.configure(limits=Limits(min_rows=0, max_deleted=share(50)))
    assert "would delete 3 of 3 active rows, more than the 50% of max_deleted" in town.refuses(many(0))
    town.configure(limits=Limits(min_rows=0))
    assert town.load(many(0), day=2)[TABLE]["deleted"] == 3


def test_max_deleted_is_a_number_of_rows_or_a_share_and_goes_for_small_tables(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, limits=Limits(max_deleted=ONE))
    town.load(many(8))
    assert "would delete 2 of 8 active rows, more than the 1 of max_deleted" in town.refuses(many(6))
    assert town.load(many(7), day=2)[TABLE]["deleted"] == 1
    town.configure(limits=Limits(max_deleted=share("28.5")))
    assert "would delete 2 of 7 active rows, more than the 28.5% of max_deleted" in town.refuses(many(5), day=3)
    town.configure(limits=Limits(max_deleted=share(29)))
    assert town.load(many(5), day=3)[TABLE]["deleted"] == 2


def test_a_delta_that_says_what_was_deleted_is_held_to_max_deleted_and_may_be_short(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(
        warehouse, tmp_path, delivery=Delivery.DELTA, deleted_when="soort = 'D'", limits=Limits(max_deleted=ONE)
    )
    town.load("nr,naam,soort\n1,An,N\n2,Bo,N\n3,Cor,N\n")
    assert "would delete 2 of 3 active rows" in town.refuses("nr,naam,soort\n1,An,D\n2,Bo,D\n")
    assert town.load("nr,naam,soort\n1,An,D\n", day=2)[TABLE]["deleted"] == 1
    assert town.load("nr,naam,soort\n", day=3) == {TABLE: {"read": 0}}


def test_more_rejected_rows_than_the_limit_refuse_the_load_with_reasons_and_counts(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (BAD,)}, limits=Limits(max_rejected=share(10)))
    bad = ["501,Nobody", "502,Nobody", ",x", ",y", ",z", "503,twice", "503,again"]
    message = town.refuses(patients(20, *bad), day=1)
    assert (
        f"{TABLE}: 7 of the 27 rows that were looked at are rejected and were not before, more than the 10% of "
        "max_rejected: 3 x 'key is null', 2 x 'Nobody is no patient', "
        "2 x 'key occurs more than once in the delivery'. Nothing of it was loaded."
    ) in message
    assert "allow_rejections" in message
    assert "503" not in message and "again" not in message.split("start the task")[0]
    town.load(patients(20, *bad[:2]))
    assert town.rows(f"select count(*) from {TABLE} where _active and not _valid") == [(2,)]


def test_the_first_load_and_every_later_one_keep_to_the_limit(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (BAD,)}, limits=Limits(max_rejected=NONE))
    assert "1 of the 4 rows" in town.refuses(patients(3, ",x"), day=1)
    town.load(many(3))
    for row in ("501,Nobody", ",x"):
        assert "1 of the 4 rows" in town.refuses(patients(3, row))
    assert "2 of the 4 rows" in town.refuses(patients(3, "00001,naam 1"))
    assert town.exceptions() == []


def test_rows_that_were_let_through_do_not_count_again_until_they_were_gone(
    warehouse: Database, tmp_path: Path
) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (BAD,)}, limits=Limits(max_rejected=NONE))
    bad = patients(5, "501,Nobody", "502,x", "502,y", ",z", ",z")
    assert "5 of the 10 rows" in town.refuses(bad, day=1)
    town.load(bad, allow_rejections=True)
    town.load(bad, day=2)
    town.load(patients(6, "501,Nobody", "502,x", "502,changed", ",z", ",z"), day=3)
    assert "1 of the 11 rows that were looked at are rejected and were not before" in town.refuses(
        patients(6, "501,Nobody", "502,x", "502,y", ",z", ",another"), day=4
    )
    assert "1 of the 11 rows" in town.refuses(patients(6, "501,Nobody", "502,x", "502,y", ",z", "00007,Nobody"), day=4)
    town.load(many(6), day=4)
    assert "5 of the 10 rows" in town.refuses(bad, day=5)


def test_a_run_that_is_repeated_or_rewound_counts_as_if_it_had_not_been(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, pipe={"validations": (BAD,)}, limits=Limits(max_rejected=NONE))
    town.load(many(3))
    town.load(patients(3, "501,Nobody"), day=2, allow_rejections=True)
    assert "1 of the 4 rows" in town.refuses(patients(3, "501,Nobody"), day=2)
    town.load(patients(3, "501,Nobody"), day=2, allow_rejections=True)
    town.load(patients(3, "501,Nobody"), day=3)


def test_a_changed_rule_is_held_against_all_rows_that_it_judges(warehouse: Database, tmp_path: Path) -> None:
    limits = Limits(max_rejected=share(25))
    town = Town(warehouse, tmp_path, delivery=Delivery.DELTA, limits=limits)
    town.load("nr,naam\n1,Nobody\n2,Nobody\n3,Cor\n4,Dirk\n")
    town.configure(pipe={"validations": (BAD,)})
    assert "2 of the 5 rows" in town.refuses("nr,naam\n5,Eva\n")
    town.configure(limits=Limits(max_rejected=share(50)))
    town.load("nr,naam\n5,Eva\n", day=2)
    assert "1 of the 1 rows" in town.refuses("nr,naam\n6,Nobody\n", day=3)


@pytest.mark.parametrize(
    ("limits", "content"), [(Limits(min_rows=9), many(3)), (Limits(max_rejected=NONE), "nr,naam\n,x\n")]
)
def test_with_on_errors_log_only_the_refused_table_is_left_as_it_was(
    warehouse: Database, tmp_path: Path, limits: Limits, content: str
) -> None:
    town = Town(warehouse, tmp_path, limits=limits)
    town.configure(pipeline={"on_errors": OnErrors.LOG})
    town.deliver(content)
    outcome = town.loader.run()["his.sor.etl_sor"]
    assert [mapping for mapping, _ in outcome.failures] == ["patient_hstage"]
    assert town.rows(f"select count(*) from {TABLE}") == [(0,)]

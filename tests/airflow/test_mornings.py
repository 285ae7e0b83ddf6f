"""What docs/operations.md tells people to type in the morning: runs that are started by hand, with the parameters shown there."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_town import Town
from docs.mornings import conf, morning

FIRST, SECOND = "2026-01-05", "2026-01-06"


def told(row: list[str]) -> dict[str, Any]:
    """The parameters of the run; the town has a pipe `south` where the docs say `lab`."""
    (command,) = row
    found = conf(command)
    if "pipes" in found:
        found["pipes"] = ["south" if pipe == "lab" else pipe for pipe in found["pipes"]]
    return found


def deliver(town: Town, day: str, *rows: str) -> None:
    for pipe in ("north", "south"):
        town.deliver(pipe, day, *rows)


def state(town: Town, day: str, **parameters: Any) -> str:
    return town.run(day, **parameters)[0]


def test_a_source_that_came_too_late_is_loaded_alone(town: Town) -> None:
    town.write()
    town.deliver("north", FIRST, "1,p1,Ann,d1")
    assert state(town, FIRST) == "failed"
    town.deliver("south", SECOND, "2,p2,Bob,d2")

    assert state(town, SECOND, **told(morning("One source came too late"))) == "success"

    assert town.warehouse.rows("select bk from dv.patient_hub order by 1") == [("p1",), ("p2",)]
    assert town.warehouse.rows("select name from dm.dim_patient order by 1") == [("Ann",), ("Bob",)]


def test_a_layer_of_a_source_is_done_again(town: Town) -> None:
    town.write()
    town.deliver("south", FIRST, "2,p2,Bob,d2")

    done = told(morning("A layer of one source has to be done again"))
    assert state(town, FIRST, **done) == "success"

    assert done["parts"] == ["sor", "dv"]
    assert town.warehouse.rows("select bk from dv.patient_hub") == [("p2",)]
    assert town.warehouse.rows("select to_regclass('dm.dim_patient')") == [(None,)]


@pytest.mark.parametrize(
    ("row", "second", "kept"),
    [
        (morning("A delivery is refused because it has few rows or deletes many, and it is right"), (), 0),
        (
            morning("A load is refused because too many rows are rejected, and they may wait"),
            ("1,p1,Ann,d1", "1,p1,Anna,d1", "2,p2,Bob,d1", "2,p2,Rob,d1"),
            2,
        ),
    ],
    ids=["deletes", "rejects"],
)
def test_a_delivery_that_is_refused_is_let_through_on_purpose(
    town: Town, row: list[str], second: tuple[str, ...], kept: int
) -> None:
    town.write("max_rejected: 1\n")
    deliver(town, FIRST, "1,p1,Ann,d1", "2,p2,Bob,d1")
    deliver(town, SECOND, *second)
    assert state(town, FIRST) == "success"
    assert state(town, SECOND) == "failed"
    before = town.warehouse.rows("select id, _active from sor_north.visit_hstage order by 1")
    assert before == [("1", True), ("2", True)]
    # A run by hand has a day of its own; its delivery is the same.
    deliver(town, "2026-01-07", *second)

    assert state(town, "2026-01-07", **told(row)) == "success"

    assert town.warehouse.rows("select count(*) from sor_north.visit_hstage where _active") == [(kept,)]
    assert town.warehouse.rows("select count(*) from sor_north._exceptions") == [(len(second),)]


def test_a_change_of_tables_is_confirmed(town: Town) -> None:
    town.write("ask_confirm_on_db_changes: true\n")
    deliver(town, FIRST, "1,p1,Ann,d1")
    assert state(town, FIRST) == "failed"
    deliver(town, SECOND, "1,p1,Ann,d1")

    assert state(town, SECOND, **told(morning("A change of tables waits to be confirmed"))) == "success"

    assert town.warehouse.rows("select bk from dv.patient_hub") == [("p1",)]


def test_a_changed_business_key_is_accepted(town: Town) -> None:
    town.write()
    for day in (FIRST, SECOND, "2026-01-07"):
        deliver(town, day, "1,p1,Ann,d1")
    assert state(town, FIRST) == "success"
    for pipe in ("north", "south"):
        town.change(f"pipes/{pipe}.yaml", "    bk: patient\n", "    bk: patient || '_new'\n")
    assert state(town, SECOND) == "failed"

    assert state(town, "2026-01-07", **told(morning("A changed business key is refused, and it is meant"))) == "success"

    assert town.warehouse.rows("select bk from dv.patient_hub order by 1") == [("p1",), ("p1_new",)]

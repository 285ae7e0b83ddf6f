"""How many rows a link mapping may reject, by values that do not fit and by keys that are missing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from databases import Database
from links.visits import DAY_1, DAY_2, REMARKS, Clinic, link, pipe, remarks, visit
from pyelt_provider.model.limits import Amount, Limits
from pyelt_provider.model.mapping import LinkMapping, MissingReference

PEOPLE = {"his_patients": "P1 P2 P3", "his_doctors": "D1 D2"}
CASES = [
    (visit(missing_reference=MissingReference.REJECT), "2;P2;D9", "1 x 'no doctor of this key in dv.doctor_hub'"),
    (visit(fields=REMARKS), "2;P2;D2;;soon", "1 x 'cannot make Default.day (date) of this row (SQLSTATE 22007)'"),
]


@pytest.mark.parametrize(("mapping", "bad", "reason"), CASES)
def test_a_link_mapping_keeps_to_the_limit_of_its_table(
    warehouse: Database, tmp_path: Path, mapping: LinkMapping, bad: str, reason: str
) -> None:
    his = pipe(links=[mapping])
    strict = tuple(
        replace(t, limits=Limits(min_rows=0, max_rejected=Amount(Decimal(0)))) if t.name == "visit_hstage" else t
        for t in his.tables
    )
    clinic = Clinic(warehouse, tmp_path, replace(his, tables=strict), visits=link(satellites=(remarks(),)))
    clinic.deliver(DAY_1, **PEOPLE, his_visits="1;P1;D1")
    clinic.write(DAY_2, **PEOPLE, his_visits=f"1;P1;D1 3;P3;D1 {bad}")

    error = clinic.fails(DAY_2)
    assert "mapping visit_hstage -> Visit (sor_his.visit_hstage): 1 of the 3 rows" in error and reason in error
    assert (clinic.links, clinic.rows("select count(*) from dv._exceptions")) == ([("P1", "D1")], [(0,)])

    clinic.run(DAY_2, allow_rejections=True)
    assert clinic.links == [("P1", "D1"), ("P3", "D1")]

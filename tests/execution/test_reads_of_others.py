"""A mapping that reads tables of another pipe looks again when what it saw there was taken back."""

from __future__ import annotations

import logging
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from databases import Database
from loading import Loader
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.rewinding import rewind
from written_projects import deliver, loader

DOMAIN = """
hubs:
  Patient: {satellites: {Default: {ward: text}}}
"""
HIS = """
pipe: his
source_path: his
sor:
  patient_hstage: {csv: patients.csv, key: [nr], columns: [nr, ward]}
entities:
  - from:
      table: patient_hstage
      join: join sor_crm.ward_hstage w on w.nr = s.ward and w._active
      reads: [sor_crm.ward_hstage]
    to: Patient
    bk: s.nr
    fields: {Default.ward: w.name}
"""
CRM = """
pipe: crm
source_path: crm
sor:
  ward_hstage: {csv: wards.csv, key: [nr], columns: [nr, name]}
"""
DAY_1, DAY_2, DAY_3, DAY_4 = (date(2026, 1, number) for number in range(1, 5))
OWN = ["his.sor.etl_sor", "his.dv.etl_hubs"]
WARDS = "select h.bk, s.ward from dv.patient_hub h join dv.patient_sat s on s._id = h._id and s._active"


def wards(folder: Path, name: str) -> None:
    deliver(folder, f"nr,name\n1,{name}\n", "crm/wards.csv")


@pytest.fixture
def load(warehouse: Database, tmp_path: Path) -> Loader:
    """Two nights, the second with a wrong name of a ward, taken back and delivered right again by the pipe of wards alone."""
    load = loader(warehouse, tmp_path, DOMAIN, pipe=HIS, pipes__crm___yaml=CRM)
    deliver(tmp_path, "nr,ward\n7,1\n")
    wards(tmp_path, "Right")
    ids = [stage.id for stage in load.plan().stages]
    order = [*(one for one in ids if one not in OWN and one != "close"), *OWN, "close"]
    load.run(DAY_1, stages=order[: -len(OWN) - 1])
    load.run(DAY_1, stages=[*OWN, "close"])
    wards(tmp_path, "Wrong")
    load.run(DAY_2, stages=order[: -len(OWN) - 1])
    load.run(DAY_2, stages=[*OWN, "close"])
    assert load.rows(WARDS) == [("7", "Wrong")]
    rewind(
        load.pipeline,
        Decimal("1.00"),
        LocalEnvironment(),
        now=datetime(2026, 1, 2, 12),
        log=logging.getLogger(__name__),
        pipe="crm",
    )
    wards(tmp_path, "Right")
    load.run(DAY_2, stages=[one for one in ids if one.startswith(("prepare", "ddl", "crm"))])
    return load


def test_the_next_night_looks_again(load: Loader) -> None:
    load.run(DAY_3)
    assert load.rows(WARDS) == [("7", "Right")]


def test_so_does_a_stage_that_is_cleared_after_it_has_looked_again(load: Loader) -> None:
    load.run(DAY_3)
    load.run(DAY_3, stages=["his.dv.etl_hubs"])
    assert load.rows(WARDS) == [("7", "Right")]


def test_it_looks_again_once(load: Loader) -> None:
    load.run(DAY_3)
    outcome = load.run(DAY_4)["his.dv.etl_hubs"]
    assert "collect rows" not in [step.label for step in outcome.steps]

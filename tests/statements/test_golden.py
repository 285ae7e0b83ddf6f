"""Every statement of the sample project stands in tests/golden for a DBA to review; the sample's tests run each of them.

``PYELT_WRITE_GOLDEN=1 pytest tests/statements/test_golden.py`` writes the files anew: look at their diff.
"""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.planning.plan import Plan, build_plans
from pyelt_provider.planning.run import Run
from pyelt_provider.statements.printing import printed_stage

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
RUN = Run(
    number=Decimal("2.00"),
    dag_id="clinic",
    dag_run_id="scheduled__2026-01-30",
    interval_start=datetime(2026, 1, 29),
    interval_end=datetime(2026, 1, 30),
    load_time=datetime(2026, 1, 30, 2),
)


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYELT_DATA_ROOT", "/data")
        return {plan.dag_id: plan for plan in build_plans(read_pipeline(ROOT / "configs" / "clinic"))}


def test_every_stage_prints_the_reviewed_statements(plans: dict[str, Plan]) -> None:
    printed = {
        f"{plan.dag_id}/{stage.id}.sql": printed_stage(stage, RUN) for plan in plans.values() for stage in plan.stages
    }
    if os.environ.get("PYELT_WRITE_GOLDEN"):
        for old in GOLDEN.rglob("*.sql"):
            old.unlink()
        for name, text in printed.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_text(text)
    reviewed = {str(path.relative_to(GOLDEN)): path.read_text() for path in GOLDEN.rglob("*.sql")}
    assert sorted(printed) == sorted(reviewed)
    for name, text in printed.items():
        assert text == reviewed[name], f"{name} differs from what was reviewed"


def test_no_statement_asks_the_clock_of_the_server(plans: dict[str, Plan]) -> None:
    for plan in plans.values():
        for stage in plan.stages:
            text = printed_stage(stage, RUN).lower()
            for clock in ("now()", "current_timestamp", "clock_timestamp", "current_date", "localtimestamp"):
                assert clock not in text, f"{stage.id} uses {clock}"

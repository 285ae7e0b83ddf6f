"""Every row of "What to do in the morning" is typed by a test."""

from __future__ import annotations

from docs.documents import ROOT
from docs.mornings import mornings


def test_every_row_is_executed_by_a_test() -> None:
    tests = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "docs"
    )
    assert len(mornings()) == 18
    assert [symptom for symptom in mornings() if f'morning("{symptom}")' not in tests] == []

"""A task's log: groups per table or mapping that can be opened, warnings in sight, the numbers as a table."""

from __future__ import annotations

import logging

import pytest

from pyelt_provider.orchestration.stage_log import SectionedLog, number_lines


def test_lines_of_one_table_or_mapping_stand_in_a_group_and_warnings_outside(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = SectionedLog(logging.getLogger("stage"))
    log.info("%s: done", "take locks")
    log.info("add new rows: %s", 3, extra={"section": "visits -> Patient"})
    log.info("close changed rows: %s", 1, extra={"section": "visits -> Patient"})
    log.info("add new keys", extra={"section": "visits -> Doctor"})
    log.warning("a value is odd")
    log.info("add new rows", extra={"section": "visits -> Doctor"})
    log.end()
    assert [record.getMessage() for record in caplog.records] == [
        "take locks: done",
        "::group::visits -> Patient",
        "add new rows: 3",
        "close changed rows: 1",
        "::endgroup::",
        "::group::visits -> Doctor",
        "add new keys",
        "::endgroup::",
        "a value is odd",
        "::group::visits -> Doctor",
        "add new rows",
        "::endgroup::",
    ]


def test_numbers_are_a_table_of_the_counts_that_occur() -> None:
    assert number_lines(
        {
            "sor_his.patient_hstage": {"read": 1200, "inserted": 12, "closed": 0},
            "dv.patient_hub": {"inserted": 3, "taken_back": 1},
        }
    ) == [
        "table                   read  inserted  taken back",
        "sor_his.patient_hstage  1200        12           -",
        "dv.patient_hub             -         3           1",
    ]
    assert number_lines({"dv.patient_hub": {"inserted": 0}}) == ["no rows read, no rows changed"]
    assert number_lines({}) == []

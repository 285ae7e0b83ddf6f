"""A project of Python dicts in PyELT's keys is checked and loaded by the same commands as one of YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line.commands import pyelt
from databases import Database

CONFIG = """
general_config = {
    "conn_dwh": "${WAREHOUSE_URL}",
    "data_root": "data",
    "schedule_interval": "@daily",
    "on_errors": "log",
    "create_views": True,
    "debug": False,
}
his_config = {
    "sor_schema": "sor_his",
    "active": True,
    "sor": {"patient_hstage": {"csv": "patients.csv", "key": ["number"]}},
    "entities": [
        {"from": "patient_hstage", "to": "Patient", "bk": "number || '_his'", "fields": {"Default.born": "born"}},
        {"from": "patient_hstage", "to": "Doctor", "bk": "doctor"},
    ],
    "links": [
        {
            "from": "patient_hstage",
            "to": "PatientDoctor",
            "references": {"patient": {"entity": "Patient"}, "doctor": {"entity": "Doctor"}},
        },
    ],
}
domain = {
    "hubs": {"Patient": {"satellites": {"Default": {"born": "date"}}}, "Doctor": {}},
    "links": {"PatientDoctor": {"references": {"patient": "Patient", "doctor": "Doctor"}}},
}
"""


def test_a_python_project_is_checked_and_loaded(
    tmp_path: Path, warehouse: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", warehouse.url)
    project = tmp_path / "configs" / "old"
    (project / "data").mkdir(parents=True)
    (project / "config.py").write_text(CONFIG)
    (project / "data" / "patients.csv").write_text("number,born,doctor\n1,2000-01-01,d1\n2,1990-05-05,d1\n")

    assert pyelt(capsys, "check", str(project), "--database").out.startswith("old: fine; every expression works")
    said = pyelt(capsys, "run", str(project), "--date", "2026-01-01")
    assert (said.code, said.err) == (0, "")
    assert warehouse.rows("select bk, default_born::text from dv.patient_view order by bk") == [
        ("1_his", "2000-01-01"),
        ("2_his", "1990-05-05"),
    ]
    # As in PyELT, staging knows the _id of each hub that its rows became.
    assert warehouse.rows(
        "select s.number, p.bk, d.bk from sor_his.patient_hstage s join dv.patient_hub p on p._id = s.fk_patient_hub "
        "join dv.doctor_hub d on d._id = s.fk_doctor_hub order by 1"
    ) == [("1", "1_his", "d1"), ("2", "2_his", "d1")]

"""What docs/operations.md tells people to type in the morning, typed on the sample's warehouse: `pyelt` and SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from command_line.commands import pyelt
from docs.mornings import morning, words
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.errors import OrderRefused
from sample.clinic import CLINIC, NIGHTS, Clinic, clinic

ROOT = Path(__file__).parents[2]


@pytest.fixture
def loaded(server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """The sample after its first three nights; `pyelt` knows its connections, and the shell stands in the checkout."""
    with clinic(server, tmp_path, monkeypatch) as made:
        monkeypatch.setenv("AIRFLOW_CONN_DWH", made.warehouse.url)
        monkeypatch.chdir(ROOT)
        for night in NIGHTS[:3]:
            made.night(night)
        yield made


def test_a_wrong_delivery_under_later_nights_is_rewound(loaded: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    typed = morning("A delivery was wrong, and later nights were loaded")
    assert morning("A night is refused: a later run has loaded its pipe") == []
    (first,) = loaded.warehouse.rows("select min(runid)::text from sys.runs")[0]
    before = loaded.warehouse.rows("select bk from dv.patient_hub order by 1")
    with pytest.raises(OrderRefused, match="pyelt rewind"):
        loaded.loader.run(NIGHTS[1], stages=["his.sor.etl_sor"])

    shown = pyelt(capsys, *words(typed[0], **{"4.00": first})[1:])
    assert (shown.code, "nothing was changed" in shown.out) == (0, True)
    assert loaded.warehouse.rows("select bk from dv.patient_hub order by 1") == before
    done = pyelt(capsys, *words(typed[1], **{"4.00": first})[1:])

    assert (done.code, f"clinic stands at run {first}" in done.out) == (0, True)
    assert [line for line in done.out.splitlines()[:-1] if line in shown.out.splitlines()] == done.out.splitlines()[:-1]
    for night in NIGHTS[1:3]:
        loaded.night(night)
    assert loaded.warehouse.rows("select bk from dv.patient_hub order by 1") == before


def test_what_is_rejected_and_what_waits_is_said(loaded: Clinic) -> None:
    (rejected,) = morning("Rows are missing in the vault")
    (waiting,) = morning("Links are missing")
    assert ("patient_hstage", "Invalid postcode") in {(row[0], row[2]) for row in loaded.warehouse.rows(rejected)}
    assert {(row[0], row[2]) for row in loaded.warehouse.rows(waiting)} == {
        ("lab", "dv.analyte_hub"),
        ("lab", "dv.patient_hub"),
    }


def test_what_ran_and_what_runs_is_said(loaded: Clinic) -> None:
    (last,) = morning("What happened last night?")
    stages = loaded.warehouse.rows(last)
    assert [row[0] for row in stages][:: len(stages) - 1] == ["prepare", "close"]
    assert {row[1] for row in stages} == {"done"}
    (running,) = morning("A task hangs")
    assert loaded.warehouse.rows(running) == []
    loaded.warehouse.execute(
        "update sys.attempts set state = 'running', doing = 'x' where stage = 'close' and runid = 1"
    )
    assert [(row[0], row[3]) for row in loaded.warehouse.rows(running)] == [("close", "x")]


def test_a_config_is_checked(
    loaded: Clinic, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (check,) = morning("A DAG has an import error")
    (with_database,) = morning("A mapping fails")
    assert pyelt(capsys, *words(check)[1:]).code == 0
    assert pyelt(capsys, *words(with_database)[1:]).code == 0
    shutil.copytree(CLINIC, tmp_path / "configs" / "clinic")
    monkeypatch.chdir(tmp_path)
    his = Path("configs/clinic/pipes/his.yaml")
    text = his.read_text()
    his.write_text(text.replace("Name.last_name: last_name", "Name.last_name: lastname"))
    said = pyelt(capsys, *words(with_database)[1:])
    assert (said.code, "lastname" in said.out + said.err) == (1, True)
    his.write_text(text.replace("bk:", "bkk:", 1))
    said = pyelt(capsys, *words(check)[1:])
    assert (said.code, "pipes/his.yaml:" in said.out + said.err) == (1, True)


def test_a_night_is_loaded_without_airflow(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = morning("Airflow is away, and the night has to be loaded")
    with clinic(server, tmp_path, monkeypatch) as made:
        monkeypatch.setenv("AIRFLOW_CONN_DWH", made.warehouse.url)
        monkeypatch.chdir(ROOT)
        assert NIGHTS[0] == date(2026, 1, 29)
        assert pyelt(capsys, *words(run)[1:]).code == 0
        by_hand = made.warehouse.rows("select bk from dv.patient_hub order by 1")
    with clinic(server, tmp_path, monkeypatch) as made:
        made.night(NIGHTS[0])
        assert made.warehouse.rows("select bk from dv.patient_hub order by 1") == by_hand != []

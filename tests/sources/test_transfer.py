"""With datatransfer_path, a delivery from another database is brought to the worker first, where nobody else can open it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from pyelt_provider.execution import delivery_steps
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.source import DatabaseSource
from pyelt_provider.model.staging import SourceTable
from staging.deliveries import Town


@pytest.fixture
def town(warehouse: Database, tmp_path: Path) -> Town:
    path = tmp_path / "source.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "create table patients (nr int, naam text); insert into patients values (1, 'Ann'), (2, 'Bo')"
    )
    connection.close()
    pipe = {"source": DatabaseSource(connection=ConnectionRef(f"sqlite://{path}"))}
    return Town(warehouse, tmp_path, pipe=pipe, source=SourceTable(name="patients"))


def test_the_file_is_the_workers_alone_while_it_is_loaded_and_gone_afterwards(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, int, list[Path]]] = []
    transferred = delivery_steps.transferred

    def watched(*arguments: Any) -> Any:
        file = transferred(*arguments)
        status = os.fstat(file.fileno())
        seen.append((status.st_mode & 0o777, status.st_nlink, status.st_size, [*(tmp_path / "transfer").iterdir()]))
        return file

    monkeypatch.setattr(delivery_steps, "transferred", watched)
    town.configure(pipeline={"transfer_path": "transfer"})
    town.load()
    assert town.active() == [("1", "Ann"), ("2", "Bo")]
    assert seen == [(0o600, 0, len("1\tAnn\n2\tBo\n"), [])]
    assert list((tmp_path / "transfer").iterdir()) == []
    assert (tmp_path / "transfer").stat().st_mode & 0o777 == 0o700


def test_without_the_key_nothing_is_written_on_the_worker(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    town.load()
    assert town.active() == [("1", "Ann"), ("2", "Bo")]


def test_a_folder_that_cannot_be_written_refuses_the_delivery_and_says_the_way_out(town: Town) -> None:
    town.configure(pipeline={"transfer_path": "/proc/nowhere"})
    said = town.refuses(None, day=1)
    assert (
        said.startswith("his.sor.etl_sor: sor_his.patient_hstage, table patients of sqlite://")
        or "datatransfer_path" in said
    )
    assert "cannot be brought into datatransfer_path /proc/nowhere: No such file or directory" in said


def test_a_disk_that_is_full_refuses_the_delivery(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        return Path("/dev/full").open("r+b", buffering=0)

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    town.configure(pipeline={"transfer_path": "transfer"})
    assert "cannot be brought into datatransfer_path" in town.refuses(None, day=1)

"""Deliveries in object storage, through Airflow's ObjectStoragePath: local stores of fsspec stand for S3 and its like."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import fsspec
import pytest
from airflow.sdk import DAG, macros
from airflow.sdk.io import attach

from airflow_town import WAITING, Town
from databases import Database
from loading import Loader
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import DeliveryMissing, DeliveryRefused
from pyelt_provider.orchestration.airflow_environment import AirflowEnvironment
from town_files import write_town

HEADED = "    columns: [id, patient, patient_name, doctor]\n"


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """A store in memory, which only object storage paths can reach."""
    system = fsspec.filesystem("memory")
    attach("memory", fs=system)
    yield system
    system.rm("/", recursive=True)


def loader_of(warehouse: Database, folder: Path) -> Loader:
    project = write_town(folder, warehouse.url, "data_root: memory://town/deliveries\n")
    text = (project / "pipeline.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("data_root: /")]
    (project / "pipeline.yaml").write_text("\n".join(lines) + "\n")
    north = project / "pipes" / "north.yaml"
    north.write_text(north.read_text().replace(HEADED, "").replace("key: [id]", "key: [id]\n    wait_for: 10m"))
    (project / "pipes" / "south.yaml").unlink()
    environment = AirflowEnvironment({"dag": DAG("town"), "macros": macros})
    return Loader(warehouse, read_pipeline(project), environment)


def test_a_csv_file_is_streamed_from_the_store_and_its_header_gives_the_columns(
    warehouse: Database, tmp_path: Path, store: fsspec.AbstractFileSystem
) -> None:
    loader = loader_of(warehouse, tmp_path)
    rows = "".join(f"{n},p{n % 100},Zoë {n % 100},d{n % 7}\n" for n in range(50_000))
    store.pipe("/town/deliveries/north/2026-01-01/visits.csv", f"id,patient,patient_name,doctor\n{rows}".encode())
    loader.run(date(2026, 1, 1))
    assert loader.rows("select count(*), count(distinct patient), max(patient_name) from sor_north.visit_hstage") == [
        (50_000, 100, "Zoë 99")
    ]
    store.pipe("/town/deliveries/north/2026-01-02/visits.csv", f"id,doctor,patient_name,patient\n{rows}".encode())
    loader.run(date(2026, 1, 2))
    assert loader.rows("select doctor, patient from sor_north.visit_hstage where id = '8' and _active") == [
        ("p8", "d1")
    ]


def test_with_a_folder_for_transfers_a_file_of_the_store_is_loaded_from_there(
    warehouse: Database, tmp_path: Path, store: fsspec.AbstractFileSystem
) -> None:
    loader = loader_of(warehouse, tmp_path)
    loader.pipeline = replace(loader.pipeline, transfer_path=str(tmp_path / "transfer"))
    store.pipe("/town/deliveries/north/2026-01-01/visits.csv", b"id,patient,patient_name,doctor\n1,p1,Ann,d1\n")
    loader.run(date(2026, 1, 1))
    assert loader.rows("select patient from sor_north.visit_hstage") == [("p1",)]
    assert list((tmp_path / "transfer").iterdir()) == []


def test_a_file_that_is_not_in_the_store_yet_is_missing_with_its_patience_and_loaded_when_it_is_there(
    warehouse: Database, tmp_path: Path, store: fsspec.AbstractFileSystem
) -> None:
    loader = loader_of(warehouse, tmp_path)
    with pytest.raises(
        DeliveryMissing, match=r"no file memory://town/deliveries/north/2026-01-01/visits\.csv"
    ) as caught:
        loader.run(date(2026, 1, 1))
    assert caught.value.wait_for == timedelta(minutes=10)
    store.pipe("/town/deliveries/north/2026-01-01/visits.csv", b"id,patient,patient_name,doctor\n1,p1,Ann,d1\n")
    loader.run(date(2026, 1, 1))
    assert loader.rows("select patient from sor_north.visit_hstage") == [("p1",)]


def test_a_file_in_the_store_that_cannot_be_read_as_declared_is_refused_with_its_line(
    warehouse: Database, tmp_path: Path, store: fsspec.AbstractFileSystem
) -> None:
    loader = loader_of(warehouse, tmp_path)
    store.pipe("/town/deliveries/north/2026-01-01/visits.csv", b"id,patient,patient_name,doctor\n1,p1,Ann,d1\n2,p2\n")
    with pytest.raises(DeliveryRefused, match=r"file memory://.*visits\.csv, line 3: the row has too few columns"):
        loader.run(date(2026, 1, 1))


def test_a_task_waits_for_a_file_of_a_store_that_is_late(town: Town) -> None:
    folder = town.write(f"data_root: file://{town.home}/store/{town.name}\n")
    settings = folder / "pipeline.yaml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("data_root: /")]
    settings.write_text("\n".join(lines) + "\n")
    south = folder / "pipes" / "south.yaml"
    south.write_text(south.read_text().replace("    key: [id]\n", "    key: [id]\n    wait_for: 2m\n"))
    file = town.home / "store" / town.name / "south" / "2026-01-05" / "visits.csv"

    def deliver_when_it_is_missed() -> None:
        deadline = time.monotonic() + 30
        while not town.metadata(WAITING, town.name) and time.monotonic() < deadline:
            time.sleep(0.2)
        file.parent.mkdir(parents=True)
        file.write_text("id,patient,patient_name,doctor\n1,p9,Zoë,d1\n")

    source = threading.Thread(target=deliver_when_it_is_missed)
    source.start()
    state, states = town.run("2026-01-05", pipes=["south"], parts=["sor"])
    source.join()
    assert (state, states["south.sor.etl_sor"]) == ("success", "success")
    assert town.warehouse.rows("select patient from sor_south.visit_hstage") == [("p9",)]

"""Data of a delivery never lies on the worker's disk, unless `datatransfer_path` asks for it; then nobody else can open it."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.orchestration.project_cache import cached_plans
from town_files import write_town

PIPELINE = """
pipeline: disk
conn_dwh: dwh
data_root: data
{settings}
"""
DOMAIN = "hubs: {Patient: {satellites: {Default: {name: text}}}}\n"
PIPE = """
pipe: {name}
{source}
sor_schema: sor_{name}
sor:
  patient_hstage: {{{reads}, key: [nr]}}
entities:
  - {{from: patient_hstage, to: Patient, bk: nr, fields: {{Default.name: name}}}}
"""
ROWS = 1000


class Disk:
    """A project with a pipe of files, one of PostgreSQL and one of SQLite, loaded by a process of its own."""

    def __init__(self, folder: Path, warehouse: Database, source: Database) -> None:
        self.folder = folder
        self.transfer = folder / "transfer"
        self.warehouse = warehouse
        self.environment = {**os.environ, "AIRFLOW_CONN_DWH": warehouse.url, "PYTHONDONTWRITEBYTECODE": "1"}
        (folder / "pipes").mkdir()
        (folder / "domain.yaml").write_text(DOMAIN)
        for name, how, reads in (
            ("files", "source_path: .", "csv: patients.csv"),
            ("postgres", f"source_connection: {source.url}", "table: patients"),
            ("sqlite", f"source_connection: sqlite:///{folder}/source.db", "table: patients"),
        ):
            (folder / "pipes" / f"{name}.yaml").write_text(PIPE.format(name=name, source=how, reads=reads))
        self.configure("")
        (folder / "data").mkdir()
        rows = "".join(f"f{number},Ann\n" for number in range(ROWS))
        (folder / "data" / "patients.csv").write_text("nr,name\n" + rows)
        source.execute(
            f"create table patients as select 'p' || n as nr, 'Bo' as name from generate_series(1, {ROWS}) n"
        )
        self.fill_sqlite(ROWS)

    def configure(self, settings: str) -> None:
        (self.folder / "pipeline.yaml").write_text(PIPELINE.format(settings=settings))

    def fill_sqlite(self, rows: int) -> None:
        with closing(sqlite3.connect(self.folder / "source.db")) as database, database:
            database.execute("drop table if exists patients")
            database.execute("create table patients (nr text, name text)")
            database.executemany("insert into patients values (?, 'Cid')", ((f"s{number}",) for number in range(rows)))

    def start(self, *, file_size: int = -1) -> subprocess.Popen[str]:
        """Load in a process which may write no file above this size."""
        return subprocess.Popen(
            [sys.executable, "-m", "pyelt_provider.command_line.main", "run", str(self.folder), "--date", "2026-01-01"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size)),
        )

    def loaded(self) -> list[tuple[object, ...]]:
        return self.warehouse.rows("select left(bk, 1), count(*) from dv.patient_hub group by 1 order by 1")


@pytest.fixture
def disk(tmp_path: Path, warehouse: Database, source_database: Database) -> Disk:
    return Disk(tmp_path, warehouse, source_database)


def test_a_process_that_may_not_write_one_byte_into_a_file_loads_from_every_kind_of_source(disk: Disk) -> None:
    process = disk.start(file_size=0)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert disk.loaded() == [("f", ROWS), ("p", ROWS), ("s", ROWS)]

    # The same limit does stop what datatransfer_path asks for, so it would have stopped anything else.
    disk.configure("datatransfer_path: transfer")
    process = disk.start(file_size=0)
    said, _ = process.communicate()
    assert process.returncode == 1
    assert "sqlite.sor.etl_sor: failed" in said and "datatransfer_path" in said and "File too large" in said
    assert list(disk.transfer.iterdir()) == []


def test_a_transferred_delivery_is_gone_after_a_load_that_fails(disk: Disk) -> None:
    disk.configure("datatransfer_path: transfer")
    with closing(sqlite3.connect(disk.folder / "source.db")) as database, database:
        database.execute("insert into patients values ('s', 'a' || char(0))")
    process = disk.start()
    said, _ = process.communicate()
    assert process.returncode == 1 and "sqlite.sor.etl_sor: failed" in said and "NUL" in said, said
    assert list(disk.transfer.iterdir()) == []


def test_a_worker_that_is_killed_leaves_no_transferred_delivery_behind_and_nobody_else_could_open_it(
    disk: Disk,
) -> None:
    disk.configure("datatransfer_path: transfer")
    disk.fill_sqlite(400_000)
    process = disk.start()
    seen = None
    while seen is None and process.poll() is None:
        seen = transferred(process.pid, disk.transfer)
        time.sleep(0.002)
    assert seen is not None, process.communicate()[0]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (stat.S_IMODE(seen.st_mode), seen.st_nlink) == (0o600, 0)
    assert stat.S_IMODE(disk.transfer.stat().st_mode) == 0o700
    assert list(disk.transfer.iterdir()) == []

    process = disk.start()
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert disk.loaded()[-1] == ("s", 400_000)


def transferred(pid: int, folder: Path) -> os.stat_result | None:
    """The file with data that a process has open in the folder."""
    try:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            if str(handle.readlink()).startswith(str(folder)) and handle.stat().st_size > 0:
                return handle.stat()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass  # it was closed, or the process ended, while we looked
    return None


def test_logs_and_cache_can_be_read_by_their_owner_only_and_no_project_with_a_password_is_kept(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.configure("log_path: logs\nddl_log_path: logs\nsql_log_path: logs")
    process = disk.start()
    assert process.wait() == 0
    logs = [*tmp_path.rglob("*.log")]
    assert {path.name.rpartition("_")[2] for path in logs} == {"log.log", "ddl.log", "sql.log"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs} == {0o600}

    cache = tmp_path / "home" / "cache"
    cached_plans(write_town(tmp_path / "configs", "dwh"), cache)
    (kept,) = cache.iterdir()
    assert (stat.S_IMODE(kept.stat().st_mode), stat.S_IMODE(cache.stat().st_mode)) == (0o600, 0o700)
    monkeypatch.setenv("DWH_PASSWORD", "Top5ecret")
    project = write_town(tmp_path / "configs", "postgresql://loader:${DWH_PASSWORD}@db/dwh")
    assert cached_plans(project, cache)[0].pipeline.secrets == {"Top5ecret"}
    assert [*cache.iterdir()] == []

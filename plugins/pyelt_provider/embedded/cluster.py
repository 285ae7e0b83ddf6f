"""The files of the server: made by initdb, complete or not at all, and never used by another major version."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyelt_provider.embedded.account import Account
from pyelt_provider.embedded.binaries import Binaries
from pyelt_provider.embedded.failure import EmbeddedServerError
from pyelt_provider.embedded.settings import USER, configuration

CONFIGURATION = "pyelt.conf"
FIRST_WITH_BUILTIN_LOCALE = 17


def make_cluster(cluster: Path, binaries: Binaries, account: Account, *, password: str, log: Path, sync: bool) -> None:
    """Make the server's files in the folder `cluster`, owned by the account; a killed attempt leaves no half of them.

    The caller holds the lock. initdb works in a folder beside it, which gets its name when all is done; leftovers of
    an attempt that was killed are removed first. The user has a scram password, pages have checksums, texts are UTF-8
    and sort by code point.
    """
    partial = cluster.with_name(f"{cluster.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    locale = ["--locale=C.UTF-8"]
    if binaries.major >= FIRST_WITH_BUILTIN_LOCALE:
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    with _password_file(cluster.parent, account, password) as password_file:
        account.run(
            [
                binaries.program("initdb"),
                f"--pgdata={partial}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                *locale,
                "--data-checksums",
                "--no-instructions",
                *([] if sync else ["--no-sync"]),
            ],
            folder=cluster.parent,
            log=log,
            what="making the server's files (initdb)",
        )
    with (partial / "postgresql.conf").open("a", encoding="utf-8") as output:
        output.write(f"\ninclude_if_exists = '{CONFIGURATION}'\n")
    (partial / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8")
    partial.rename(cluster)


def check_version(cluster: Path, binaries: Binaries) -> None:
    """Refuse a folder that another major version of PostgreSQL made; PostgreSQL cannot read it."""
    made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != str(binaries.major):
        raise EmbeddedServerError(
            f"{cluster} was made by PostgreSQL {made_by}, but {binaries.origin} is version {binaries.major}; "
            f"remove that folder (what was loaded goes with it), or make PostgreSQL {made_by} available again"
        )


def write_configuration(cluster: Path, account: Account, *, port: int, extra: Mapping[str, str]) -> None:
    """Write the settings that the server reads at its next start."""
    _write_new(cluster / CONFIGURATION, account, configuration(port, extra))


@contextlib.contextmanager
def _password_file(folder: Path, account: Account, password: str) -> Iterator[Path]:
    file = folder / "initdb.password"
    try:
        _write_new(file, account, f"{password}\n")
        yield file
    finally:
        file.unlink(missing_ok=True)


def _write_new(file: Path, account: Account, text: str) -> None:
    # A new file each time: root writes here, in a folder of a lesser account, and follows no link that stands there.
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    account.own(file)

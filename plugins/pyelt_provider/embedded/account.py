"""Under which account PostgreSQL runs: our own, or an unprivileged one when we are root, which PostgreSQL refuses."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyelt_provider.embedded.failure import EmbeddedServerError, last_lines

CANDIDATES = ("postgres", "nobody")
"""Accounts that a root process may lend to PostgreSQL; nothing is created, since the machine is not ours."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs PostgreSQL's programs and owns its files; `switch` is true when that is not the caller."""

    name: str
    uid: int
    gid: int
    switch: bool

    def may_enter(self, folder: Path) -> bool:
        """Tell whether the account can walk into the folder; the kernel is asked, so ACLs and mounts count too."""
        if not self.switch:
            return os.access(folder, os.X_OK)
        return self._succeeds("-x", folder)

    def may_run(self, program: Path) -> bool:
        """Tell whether the account can execute the program where it stands."""
        if not self.switch:
            return os.access(program, os.X_OK)
        return self._succeeds("-x", program)

    def own(self, path: Path) -> None:
        """Give a file or folder to the account; nothing happens when it is the caller's own already."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str | Path], *, folder: Path, log: Path, what: str) -> None:
        """Run a program as the account, in the folder, its output appended to the log; raises when it fails.

        Output goes to a file and never to a pipe: a server that is started inherits it, and a pipe would then keep
        the caller waiting for as long as the server lives.
        """
        with log.open("ab") as output:
            self.own(log)
            code = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=clean_environment(os.environ, home=folder),
                check=False,
                **self._identity(),
            ).returncode
        if code != 0:
            raise EmbeddedServerError(
                f"{what} ended with exit code {code}, run as {self.name}; the end of {log} says:\n{last_lines(log)}"
            )

    def _identity(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def _succeeds(self, question: str, path: Path) -> bool:
        command = ["/bin/sh", "-c", f'test {question} "$1"', "sh", str(path)]
        return subprocess.run(command, cwd="/", check=False, **self._identity()).returncode == 0


def clean_environment(environment: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """Return what PostgreSQL's programs may see: no PG* variable of the caller (PGPORT, PGDATA...) and no locale."""
    return {"PATH": environment.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}


def server_account() -> Account:
    """Return the account for PostgreSQL: the caller, or when that is root the first of CANDIDATES which exists."""
    uid = os.geteuid()
    if uid != 0:
        return Account(name=_name_of(uid), uid=uid, gid=os.getegid(), switch=False)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, switch=True)
    raise EmbeddedServerError(
        f"PostgreSQL refuses to run as root and none of the accounts {', '.join(CANDIDATES)} exists; "
        "run this as an ordinary user, or add one of these accounts"
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise EmbeddedServerError(
            f"the user id {uid} has no entry in the password database, which PostgreSQL's initdb needs; "
            "add one, or run under an account that has a name"
        ) from None

"""PyELT's own log files: a file per run, pipe and kind (log, ddl, sql), for whoever reads logs outside Airflow."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pyelt_provider.execution.environment import Environment
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.shown_text import visible
from pyelt_provider.statements.step import Statement

_DDL_WORDS = ("create", "alter", "drop", "comment", "truncate", "grant", "revoke")


class LogFiles:
    """Appends what a stage does to the files that `log_path`, `ddl_log_path` and `sql_log_path` ask for.

    A file is ``<path>/<run id>_<pipe or pipeline>_<kind>.log``, below the data root when the path is relative, and
    readable for its owner only. Statements stand there with the places of their parameters, never with values.
    """

    def __init__(self, stage: Stage, run: Run, environment: Environment) -> None:
        self._heading = visible(f"{stage.id}, attempt {run.attempt}, {run.dag_id} {run.dag_run_id}")
        paths = {"log": stage.pipeline.logs.log, "ddl": stage.pipeline.logs.ddl, "sql": stage.pipeline.logs.sql}
        self._paths = {
            kind: Path(stage.pipeline.project_folder)
            / stage.pipeline.data_root
            / environment.render(path, run)
            / f"{run.number}_{stage.pipe_name or stage.pipeline.name}_{kind}.log"
            for kind, path in paths.items()
            if path is not None
        }
        self._files: dict[str, TextIO] = {}

    def line(self, text: str) -> None:
        """Write a line to the log file, under the time of this moment (UTC); further lines of the text are indented."""
        lines = visible(text, keep="\n").replace("\n", "\n    ")
        self._write("log", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {lines}")

    def statement(self, statement: Statement) -> None:
        """Write a statement under its label to the sql file, and to the ddl file when it changes a table."""
        heading = visible(f"-- {statement.label}" + (f": {statement.table}" if statement.table else ""))
        text = f"{heading}\n{statement.sql.strip()};\n"
        self._write("sql", text)
        if statement.sql.lstrip().lower().startswith(_DDL_WORDS):
            self._write("ddl", text)

    def close(self) -> None:
        """Close the files that were written."""
        for file in self._files.values():
            file.close()

    def _write(self, kind: str, text: str) -> None:
        path = self._paths.get(kind)
        if path is None:
            return
        if kind not in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[kind] = open(path, "a", encoding="utf-8", opener=_private)  # noqa: SIM115
            self._files[kind].write(f"-- {self._heading}\n")
        self._files[kind].write(text + "\n")
        self._files[kind].flush()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

"""Finds and opens the files of a delivery: local paths and object storage, below the pipe's folder."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import BinaryIO

from pyelt_provider.errors import DeliveryMissing, DeliveryRefused
from pyelt_provider.execution.environment import Environment
from pyelt_provider.model.connection import masked
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.shown_text import visible


def delivery_path(stage: Stage, staging: StagingTable, path: str, environment: Environment, run: Run) -> str:
    """Return where this run's file is: project folder, data_root, the pipe's folder and the path, templates filled.

    A part that is absolute, or a URL, starts anew. Raises DeliveryRefused when the pipe's source is a database.
    """
    source = stage.the_pipe.source_of(staging)
    if not isinstance(source, FileSource):
        raise DeliveryRefused(
            f"{staging.table} reads a file, but pipe {stage.pipe_name} has a database as its source; give it a source_path"
        )
    whole = stage.pipeline.project_folder
    for part in (stage.pipeline.data_root, source.path, path):
        whole = _joined(whole, environment.render(part, run))
    return whole


def open_delivery(stage: Stage, staging: StagingTable, path: str, environment: Environment) -> BinaryIO:
    """Open a delivered file for reading bytes; raises DeliveryMissing when it is not there (yet)."""
    source = stage.the_pipe.source_of(staging)
    conn_id = source.conn_id if isinstance(source, FileSource) else None
    shown = visible(masked(path))
    try:
        return environment.open_file(path, conn_id)
    except FileNotFoundError:
        raise DeliveryMissing(
            f"{stage.id}: there is no file {shown}; it was not delivered yet, or source_path, data_root or the file's "
            "own path in the config point elsewhere"
        ) from None
    except (IsADirectoryError, PermissionError) as error:
        reason = "is a folder" if isinstance(error, IsADirectoryError) else "may not be read by this user"
        raise DeliveryRefused(f"{stage.id}: {shown} {reason}; put the file there, or give the worker access") from None


def _joined(before: str, part: str) -> str:
    if not part or part == ".":
        return before
    if "://" in part or part.startswith("/") or not before:
        return part
    if "://" in before:
        return f"{before.rstrip('/')}/{part}"
    return str(PurePosixPath(before) / part)

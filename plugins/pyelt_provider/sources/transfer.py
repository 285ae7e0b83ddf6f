"""Brings a delivery from elsewhere into a folder of the worker before it is loaded, where the project names one."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from pyelt_provider.errors import DeliveryRefused
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.sources.encodings import BLOCK, Readable


def transferred(source: Readable, pipeline: Pipeline, where: str) -> BinaryIO:
    """Return a file of the worker with all that `source` gives, at its begin; it has no name and goes when it is closed.

    Nobody else can open it, and a worker that is killed leaves nothing behind. Raises DeliveryRefused when the folder
    cannot be made or has no room; an error of the source is raised as it is.
    """
    folder = Path(pipeline.project_folder) / (pipeline.transfer_path or "")
    file: BinaryIO | None = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise _refused(error, folder, where) from None
    try:
        while block := source.read(BLOCK):
            try:
                file.write(block)
            except OSError as error:
                raise _refused(error, folder, where) from None
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def from_store(file: BinaryIO, path: str, pipeline: Pipeline, where: str) -> BinaryIO:
    """Return the file itself, or its transferred copy when it is in object storage and the project names a folder."""
    if pipeline.transfer_path is None or "://" not in path:
        return file
    with closing(file):
        return transferred(file, pipeline, where)


def _refused(error: OSError, folder: Path, where: str) -> DeliveryRefused:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return DeliveryRefused(
        f"{where}: it cannot be brought into datatransfer_path {folder}: {reason}. Make room or give the worker access, or "
        "leave datatransfer_path out: then it is streamed"
    )

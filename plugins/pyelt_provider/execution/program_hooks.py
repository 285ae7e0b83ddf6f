"""Functions that a PyELT program registered on a pipe, called inside a task as PyELT called them: with the pipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyelt_provider.config.python_project import program_of
from pyelt_provider.errors import PyeltError
from pyelt_provider.model.pipe import PROGRAM_HOOK, Hook


def program_hook(hook: Hook, project_folder: str) -> Callable[[Any], None]:
    """Return a function that loads the program and calls its function with the pipe, on the task's own connection.

    Raises PyeltError when the program has no such function any more, and when the function logged errors.
    """

    def call(context: Any) -> None:
        program = program_of(Path(project_folder), os.environ)
        place, _, _ = hook.target.removeprefix(PROGRAM_HOOK).partition(":")
        name, kind, number = place.rsplit(".", 2)
        pipe = program.pipeline.pipes.get(name)
        functions: list[Callable[[Any], Any]] = getattr(pipe, f"run_{kind}", [])
        if pipe is None or int(number) >= len(functions):
            raise PyeltError(f"{hook.place}: the program registers no {hook.target.rpartition(':')[2]} on {name} any more")
        pipeline = program.pipeline
        pipeline.dwh.connection = context.connection
        pipeline.runid = float(context.run.number)
        program.call(functions[int(number)], pipe)
        if pipeline.logger.errors:
            raise PyeltError(f"hook {hook.target}: {'; '.join(pipeline.logger.errors)}")

    return call

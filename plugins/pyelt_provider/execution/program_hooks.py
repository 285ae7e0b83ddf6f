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
    """Return a function that loads the project's program and calls its function, as `hook_of` says."""

    def call(context: Any) -> None:
        program = program_of(Path(project_folder), os.environ)
        hook_of(hook, program.pipeline, program.call)(context)

    return call


def hook_of(hook: Hook, pipeline: Any, caller: Callable[..., Any]) -> Callable[[Any], None]:
    """Return a function that calls what a program's pipeline has registered, with the pipe, by way of `caller`.

    Its warehouse is the task's own connection meanwhile, its run id that of the run. Raises PyeltError when the program
    registers no such function any more, and when the function logged errors.
    """

    def call(context: Any) -> None:
        place, _, function_name = hook.target.removeprefix(PROGRAM_HOOK).partition(":")
        name, kind, number = place.rsplit(".", 2)
        pipe = pipeline.pipes.get(name)
        functions: list[Callable[[Any], Any]] = getattr(pipe, f"run_{kind}", [])
        if int(number) >= len(functions):
            raise PyeltError(f"{hook.place}: the program registers no {function_name} on the pipe {name} any more")
        pipeline.runid = float(context.run.number)
        pipeline.dwh.connection = context.connection
        try:
            caller(functions[int(number)], pipe)
        finally:
            pipeline.dwh.connection = None
        errors, pipeline.logger.errors = pipeline.logger.errors, []
        if errors:
            raise PyeltError(f"{hook.place}: {function_name}: {'; '.join(errors)}")

    return call

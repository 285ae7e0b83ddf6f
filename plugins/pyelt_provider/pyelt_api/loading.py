"""Loads a program: runs it until it has registered everything, without a database, a delivery or a run."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from pyelt_provider.errors import ConfigError, Problem, PyeltError
from pyelt_provider.model.connection import masked
from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.binding import bound
from pyelt_provider.pyelt_api.pipelines import Pipeline
from pyelt_provider.pyelt_api.session import PyeltException, RunReached, Session, entered
from pyelt_provider.pyelt_api.written import is_of_program


@dataclass(slots=True)
class Program:
    """A program that was loaded: its pipeline, and what is needed to call its functions later."""

    session: Session
    pipeline: Pipeline
    roots: tuple[Path, ...]
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the program as it would be called inside it: with its modules, and `pyelt`, there."""
        with bound(self.roots, self.modules), entered(self.session):
            return function(*arguments)


def load_program(target: str, roots: tuple[Path, ...], general_config: dict[str, Any], asked_at: Place) -> Program:
    """Run ``package.module:function``, or the script ``package.module``, and return what it registered.

    The function is given the pipeline when it takes one. A script runs as the main program; at its first
    `pipeline.run()` it ends. Raises ConfigError when the program fails, with the line at which it does.
    """
    session = Session(roots=roots, general_config=general_config, is_loading=True)
    program = Program(session, None, roots)  # type: ignore[arg-type]
    # What it prints is no answer of ours: `pyelt sql` and the like write that to standard output.
    with bound(roots, program.modules), entered(session), redirect_stdout(sys.stderr):
        try:
            _execute(target)
        except RunReached:
            pass
        except (Exception, SystemExit) as error:
            if session.pipeline is not None and isinstance(error, SystemExit) and not error.code:
                return _loaded(program, session)
            raise ConfigError((_failure(error, target, session, asked_at),)) from error
    if session.pipeline is None:
        what = f"the program {target} makes no Pipeline"
        mend = "let the function take a pipeline, or write Pipeline(config) in it"
        raise ConfigError((Problem(asked_at.file, asked_at.line, "python", what, mend),))
    return _loaded(program, session)


def _loaded(program: Program, session: Session) -> Program:
    program.pipeline = session.pipeline
    return program


def _execute(target: str) -> None:
    module_name, colon, name = target.partition(":")
    if not colon:
        run_script(module_name)
        return
    module = importlib.import_module(module_name)
    function = module
    for part in name.split("."):
        function = getattr(function, part)
    given = _call(function)
    if isinstance(given, Pipeline):
        Pipeline._instance = given


def _call(function: Any) -> Any:
    needed = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        names = ", ".join(parameter.name for parameter in needed)
        raise PyeltException(f"the function wants {names}; name one that takes a pipeline, or nothing")
    return function(Pipeline()) if needed else function()


def run_script(name: str, path: Path | None = None) -> None:
    """Run a module of the search path (or a file) as the main program."""
    origin = path or _script_of(name)
    if origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    code = compile(origin.read_bytes(), str(origin), "exec")
    main = ModuleType("__main__")
    main.__file__ = str(origin)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = main
    sys.argv[:1] = [str(origin)]
    try:
        exec(code, vars(main))
    finally:
        sys.modules["__main__"] = before


def _script_of(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{name}.__main__")
    return Path(spec.origin) if spec is not None and spec.origin else None


def _failure(error: BaseException, target: str, session: Session, asked_at: Place) -> Problem:
    """Return the problem that an exception of the program is, at the program's innermost line."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if is_of_program(frame.filename, session.roots)
    ]
    at = session.shown(Place(frames[-1].filename, frames[-1].lineno or 1)) if frames else asked_at
    if isinstance(error, SyntaxError) and error.filename:
        at = session.shown(Place(error.filename, error.lineno or 1))
    if isinstance(error, ModuleNotFoundError) and error.name and target.partition(":")[0].startswith(error.name):
        folders = " and ".join(str(root) for root in session.roots)
        mend = f"it is looked for in {folders}: set python_path to the folder that has it"
        return Problem(asked_at.file, asked_at.line, "python", f"there is no module {error.name!r}", mend)
    if isinstance(error, SystemExit):
        what = f"the program ends itself (exit {error.code}) before it has registered anything"
        return Problem(at.file, at.line, "", what, "name a function: package.module:function")
    if isinstance(error, PyeltError):
        what, _, mend = masked(str(error)).partition("; ")
        return Problem(at.file, at.line, "", what, mend)
    what = masked(f"the program fails: {type(error).__name__}: {error}")
    return Problem(at.file, at.line, "", what, _near(error))


def _near(error: BaseException) -> str:
    if isinstance(error, AttributeError) and error.name:
        names = [name for name in dir(error.obj) if not name.startswith("_")]
        close = get_close_matches(error.name, names, n=1)
        return f"did you mean {close[0]!r}?" if close else ""
    return ""

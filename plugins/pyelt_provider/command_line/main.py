"""The command `pyelt`: finds the subcommand, runs it, and turns every error into one clear message and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from difflib import get_close_matches
from typing import Any, TextIO

from pyelt_provider import __version__
from pyelt_provider.command_line.exit_codes import ExitCode, UsageError, exit_code
from pyelt_provider.errors import PyeltError
from pyelt_provider.model.connection import masked
from pyelt_provider.shown_text import visible

COMMANDS = {
    "check": "read projects and list every problem in them",
    "plan": "print the stages and edges of a project",
    "sql": "print every statement that a stage would run",
    "run": "run a stage, a layer, a pipe or the whole pipeline here and now",
    "python": "run a PyELT program here and now, with its pyelt there",
    "convert": "write a PyELT program as YAML files",
    "rewind": "take back the runs after a run id",
    "repair": "mend what an old PyELT left broken in the warehouse",
    "dags": "write the file in dags/ that each project needs",
    "schema": "print the JSON Schemas of the config files, for editors",
    "demo-data": "make the deliveries of the sample project",
    "demo": "start PostgreSQL and Airflow, load the sample, and show it",
}
"""The subcommands and what `pyelt --help` says of them. Their modules are imported only when they are asked for."""

_DESCRIPTION = "From PyELT configs to a loaded Data Vault."
_EPILOG = """examples:
  pyelt check                             check all projects in configs/
  pyelt plan configs/clinic               what a run of it does, in which order
  pyelt run configs/clinic --pipe his     load one pipe, without Airflow

`pyelt COMMAND --help` tells more. Exit codes: 0 fine, 1 problems or failed, 2 wrong usage, 3 refused, 4 not there yet."""


def main(argv: list[str] | None = None) -> int:
    """Run `pyelt` with these arguments (the process's own by default) and return its exit code; never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    if _command(arguments) == "demo":
        return _main(arguments, debug)  # it draws on the screen, and shows only what is our own
    with redirect_stdout(_Visible(sys.stdout)), redirect_stderr(_Visible(sys.stderr)):
        return _main(arguments, debug)


class _Visible:
    """Writes to a terminal or file, but nothing that a terminal would obey: names and errors may come from anywhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(visible(text, keep="\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _main(arguments: list[str], debug: bool) -> int:
    try:
        code = _run([argument for argument in arguments if argument != "--debug"])
        sys.stdout.flush()
        return int(code)
    except KeyboardInterrupt:
        return _end(ExitCode.INTERRUPTED, "stopped", debug=False)
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit; there is nobody left to read it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.PIPE_CLOSED
    except PyeltError as error:
        return _end(exit_code(error), str(error), debug)
    except Exception as error:
        if _is_outside(error):
            return _end(ExitCode.FAILED, f"{' '.join(str(error).split())}", debug)
        what = f"an error inside pyelt: {type(error).__name__}: {error}"
        return _end(ExitCode.INTERNAL, what + ("" if debug else "\n`pyelt --debug ...` shows where it happened"), debug)


def _run(arguments: list[str]) -> int:
    command = _command(arguments)
    if command == "demo":
        return _demo(arguments[arguments.index("demo") + 1 :])
    try:
        options = _parser(command).parse_args(arguments)
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else ExitCode.USAGE
    if not hasattr(options, "run"):
        _parser(None).print_help()
        return ExitCode.USAGE
    return int(options.run(options))


def _command(arguments: list[str]) -> str | None:
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def _parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser with the options of the command that is asked for; the others have only their names in it."""
    parser = _Parser(
        prog="pyelt", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"pyelt {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=argparse.ArgumentParser)
    for name, summary in COMMANDS.items():
        if name == command:
            _module(name).register(subparsers)
        else:
            subparsers.add_parser(name, help=summary, add_help=False)
    return parser


class _Parser(argparse.ArgumentParser):
    """Tells the nearest command when there is none of the name that was typed."""

    def error(self, message: str) -> None:  # type: ignore[override]
        if "invalid choice" in message:
            typed = message.split("'")[1]
            near = get_close_matches(typed, list(COMMANDS), n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(COMMANDS)}"
            message = f"there is no command {typed!r}; {mend}"
        super().error(message)


def _module(command: str):  # type: ignore[no-untyped-def]
    name = f"pyelt_provider.command_line.{command.replace('-', '_')}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pyelt_provider"):
            raise UsageError(f"this installation has no command {command!r}: {error}") from error
        raise PyeltError(f"`pyelt {command}` needs the package {error.name!r}; install it in {sys.prefix}") from error


def _demo(arguments: list[str]) -> int:
    try:
        from pyelt_provider.demo.command import run
    except ModuleNotFoundError as error:
        raise PyeltError(
            f"`pyelt demo` needs the package {error.name!r}; install airflow-provider-pyelt[demo]"
        ) from error
    try:
        return run(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.USAGE


def _is_outside(error: Exception) -> bool:
    """Say whether the error comes from a database or the file system: its text is enough, a traceback says no more."""
    return isinstance(error, OSError) or any(base.__module__.startswith("psycopg2") for base in type(error).__mro__)


def _end(code: ExitCode, message: str, debug: bool) -> ExitCode:
    if debug:
        import traceback

        print(masked(traceback.format_exc()), file=sys.stderr)
    try:
        print(f"pyelt: {masked(message)}", file=sys.stderr)
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())

"""The frame of `pyelt`: help, errors and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line.commands import pyelt
from config.projects import write_project
from pyelt_provider.command_line import main as frame
from pyelt_provider.command_line.exit_codes import exit_code
from pyelt_provider.errors import (
    ConfigError,
    DdlRefused,
    DeliveryMissing,
    DeliveryRefused,
    OlderRunOpen,
    OrderRefused,
    PyeltError,
    StageFailed,
)

ROOT = Path(__file__).parents[2]
COMMANDS = [name for name in frame.COMMANDS if name != "demo"]


def process(*arguments: str, python: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *python, "-m", "pyelt_provider.command_line.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = pyelt(capsys, "--help")
    assert (said.code, said.err) == (0, "")
    for name, summary in frame.COMMANDS.items():
        assert name in said.out
        assert summary.split()[0] in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_is_complete_and_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = pyelt(capsys, command, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"usage: pyelt {command}" in said.out
    assert f"pyelt {command}" in said.out.partition("\n\n")[2], "an example"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_summary_of_a_command_is_the_same_in_both_places(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = frame._parser(command)
    (actions,) = [action for action in parser._actions if hasattr(action, "_choices_actions")]
    helps = {choice.dest: choice.help for choice in actions._choices_actions}
    assert helps[command] == frame.COMMANDS[command]


def test_nothing_of_airflow_is_imported_for_help_check_or_plan(tmp_path: Path) -> None:
    folder = str(write_project(tmp_path / "small", {}))
    for arguments in (["--help"], ["check", folder], ["plan", folder], ["sql", folder]):
        script = (
            "import sys; from pyelt_provider.command_line.main import main; code = main(sys.argv[1:]); "
            "found = [name for name in sys.modules if name.split('.')[0] == 'airflow']; "
            "assert not found, found; sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_no_command_prints_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    said = pyelt(capsys)
    assert said.code == 2
    assert said.out.startswith("usage: pyelt")


def test_an_unknown_command_is_wrong_usage_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    said = pyelt(capsys, "chek")
    assert said.code == 2
    assert "there is no command 'chek'; did you mean 'check'?" in said.err


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    said = pyelt(capsys, "check", "--databse")
    assert said.code == 2
    assert "--databse" in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PyeltError("x"), 1),
        (ConfigError(()), 1),
        (StageFailed("x"), 1),
        (DeliveryRefused("x"), 3),
        (DdlRefused("x"), 3),
        (OrderRefused("x"), 3),
        (DeliveryMissing("x"), 4),
        (OlderRunOpen("x"), 4),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: PyeltError, code: int) -> None:
    assert exit_code(error) == code


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(frame, "_run", fail)


def test_an_error_is_one_clear_message_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(PyeltError("cannot reach postgresql://dwh:geheim@host/db"), monkeypatch)
    said = pyelt(capsys, "run")
    assert (said.code, said.out) == (1, "")
    assert said.err == "pyelt: cannot reach postgresql://dwh:***@host/db\n"


def test_an_error_of_ours_shows_its_traceback_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(ZeroDivisionError("password=geheim"), monkeypatch)
    said = pyelt(capsys, "run")
    assert said.code == 70
    assert said.err.splitlines() == [
        "pyelt: an error inside pyelt: ZeroDivisionError: password=***",
        "`pyelt --debug ...` shows where it happened",
    ]
    said = pyelt(capsys, "run", "--debug")
    assert said.code == 70
    assert "Traceback" in said.err
    assert "geheim" not in said.err


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(KeyboardInterrupt(), monkeypatch)
    said = pyelt(capsys, "run")
    assert (said.code, said.err) == (130, "pyelt: stopped\n")


def test_a_reader_that_goes_away_is_no_error_to_talk_about(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "small", {})
    running = process("sql", str(folder))
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    errors = running.stderr.read()
    assert (running.wait(), errors) == (141, "")


def test_ctrl_c_in_a_real_process_ends_it_with_130_and_without_traceback(tmp_path: Path) -> None:
    # A config module that waits stands for anything that takes long.
    (tmp_path / "config.py").write_text("import sys, time\nprint('here', flush=True)\ntime.sleep(60)\n")
    running = process("check", str(tmp_path))
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline() == "here\n"
    running.send_signal(signal.SIGINT)
    errors = running.stderr.read()
    assert (running.wait(), errors) == (130, "pyelt: stopped\n")

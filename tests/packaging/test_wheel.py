"""The package as others get it: built, installed in an environment of its own, or dropped into an Airflow home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OURS = ("airflow_provider_pyelt", "_editable_impl_airflow_provider_pyelt", "pyelt_provider")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def environment_without_us(folder: Path) -> Path:
    """Make a virtual environment with everything that this one has installed, but for this project; return its Python.

    The packages are links, so it takes no network and no time; what is tested is our own installation.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(OURS) and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    return python


def install(python: Path, wheel: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    uv = ["uv", "pip", "install", "--python", str(python)]
    has_pip = (
        subprocess.run([sys.executable, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
    )
    subprocess.run([*(pip if has_pip else uv), "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)


def airflow(python: Path, home: Path, *arguments: str) -> str:
    """Return what an Airflow command prints in an environment and an Airflow home of its own."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON", "PYELT"))
    }
    settings = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, "-m", "airflow", *arguments],
        env=inherited | settings,
        cwd=home,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def rows_of(output: str) -> list[dict[str, str]]:
    """Return the JSON list that a command prints after its log lines."""
    start = output.index("[{")
    rows: list[dict[str, str]] = json.JSONDecoder().raw_decode(output[start:])[0]
    return rows


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    package = PROJECT / "plugins" / "pyelt_provider"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "plugins/pyelt_provider"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    wanted = {str(Path(name).relative_to("plugins")) for name in tracked if name and (PROJECT / name).is_file()}

    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        entry_points = archive.read(metadata["entry_points.txt"]).decode()

    assert package.is_dir()
    assert names == wanted
    assert "LICENSE" in metadata
    assert entry_points.split("\n\n")[0] == ("[console_scripts]\npyelt = pyelt_provider.command_line.main:main")
    assert "[airflow.plugins]\npyelt = pyelt_provider.pyelt_plugin:PyeltPlugin" in entry_points
    assert "[apache_airflow_provider]\nprovider_info = pyelt_provider.provider_info:get_provider_info" in entry_points


def test_an_installed_wheel_shows_the_plugin_and_the_provider_once(wheel: Path, tmp_path: Path) -> None:
    python = environment_without_us(tmp_path / "environment")
    home = tmp_path / "airflow"
    (home / "plugins").mkdir(parents=True)
    install(python, wheel)

    plugins = rows_of(airflow(python, home, "plugins", "--output", "json"))
    providers = rows_of(airflow(python, home, "providers", "list", "--output", "json"))

    assert [(row["name"], row["source"]) for row in plugins if row["name"] == "pyelt"] == [
        (
            "pyelt",
            "airflow-provider-pyelt==0.1.0: EntryPoint(name='pyelt', "
            "value='pyelt_provider.pyelt_plugin:PyeltPlugin', group='airflow.plugins')",
        )
    ]
    assert [(row["package_name"], row["version"]) for row in providers if "pyelt" in row["package_name"]] == [
        ("airflow-provider-pyelt", "0.1.0")
    ]
    assert (python.parent / "pyelt").exists()


def test_a_plugins_folder_that_is_dropped_in_shows_the_plugin_once(tmp_path: Path) -> None:
    python = environment_without_us(tmp_path / "environment")
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copytree(PROJECT / "plugins", home / "plugins", ignore=shutil.ignore_patterns("__pycache__"))

    plugins = rows_of(airflow(python, home, "plugins", "--output", "json"))

    assert [(row["name"], row["source"]) for row in plugins if row["name"] == "pyelt"] == [
        ("pyelt", "$PLUGINS_FOLDER/pyelt_provider/pyelt_plugin.py")
    ]


def test_airflow_executes_no_file_of_a_dropped_in_folder_but_the_plugin(tmp_path: Path) -> None:
    python = environment_without_us(tmp_path / "environment")
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copytree(PROJECT / "plugins", home / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("types.py", "errors.py"):
        (home / "plugins" / "pyelt_provider" / name).write_text("raise RuntimeError('executed')\n")
    (home / "plugins" / "pyelt_provider" / "pyelt_plugin.py").write_text(
        "from airflow.plugins_manager import AirflowPlugin\n\n\nclass PyeltPlugin(AirflowPlugin):\n    name = 'pyelt'\n"
    )
    question = (
        "from airflow import plugins_manager as m; import types; "
        "print([p.name for p in m._get_plugins()[0] if p.name == 'pyelt'], m.get_import_errors(), types.__file__)"
    )

    answer = subprocess.run(
        [python, "-c", question],
        env={"AIRFLOW_HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=home,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()[-1]

    assert answer.startswith("['pyelt'] {} ")
    assert answer.endswith("/types.py") and str(home) not in answer

"""`pyelt check`: problems with places that an editor can open, or a summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line.commands import pyelt
from config.projects import write_project


def test_a_project_that_is_fine_gives_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = pyelt(capsys, "check", str(write_project(tmp_path / "small", {})))
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "small: fine\n  1 pipe, 1 staging table, 2 hubs, 2 links, 1 valueset, 1 mapping, 0 datamarts; DAG small\n"
    )


def test_problems_go_to_stderr_with_places_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path / "configs" / "broken", {"pipeline.yaml": "conn_dwh: dwh\nonerrors: log\nretries: x\n"})
    write_project(tmp_path / "configs" / "good", {})
    said = pyelt(capsys, "check")
    assert said.code == 1
    assert said.out.startswith("small: fine\n")
    assert said.err == (
        "configs/broken: 2 problems\n"
        "configs/broken/pipeline.yaml:2: the key 'onerrors' is not known here; did you mean 'on_errors'?\n"
        "configs/broken/pipeline.yaml:3: retries: this is the text 'x', not a whole number\n"
    )


def test_a_path_may_be_a_file_of_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path / "small", {})
    assert pyelt(capsys, "check", str(tmp_path / "small" / "pipes" / "his.yaml")).out.startswith("small: fine")


@pytest.mark.parametrize(
    ("path", "told"),
    [("nowhere", "pyelt: there is no nowhere"), (".", "pyelt: there is no project in .; a project's folder has a ")],
)
def test_a_path_without_a_project_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = pyelt(capsys, "check", path)
    assert said.code == 2
    assert said.err.startswith(told)


def test_view_columns_that_would_clash_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    domain = """
        hubs:
          Patient:
            satellites:
              A: {b_c: text}
              A_B: {c: text}
              Name: {last_name: text}
        """
    said = pyelt(capsys, "check", str(write_project(tmp_path / "small", {"domain.yaml": domain})))
    assert said.code == 1
    assert "a_b_c" in said.err


def test_missing_and_stale_dag_files_are_noted_and_count_when_strict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path / "configs" / "small", {})
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "gone.py").write_text('globals().update(build_dags("gone"))\n')
    said = pyelt(capsys, "check")
    assert said.code == 0
    assert said.err == (
        "note: dags/small.py is missing, so Airflow does not see small; run: pyelt dags configs/small\n"
        "note: dags/gone.py builds the DAGs of 'gone', which is no project; remove it\n"
    )
    assert pyelt(capsys, "check", "--strict").code == 1
    assert pyelt(capsys, "dags").out == "dags/small.py written\n"
    (tmp_path / "dags" / "gone.py").unlink()
    assert pyelt(capsys, "check", "--strict").code == 0
    (tmp_path / "dags" / "small.py").write_text("# nothing\n")
    assert pyelt(capsys, "check", "--strict").err == (
        "note: dags/small.py does not build the DAGs of small; run: pyelt dags configs/small\n"
    )


def test_dag_files_have_the_words_that_airflow_looks_for_and_are_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "configs" / "small", {})
    assert pyelt(capsys, "dags", str(project)).out.endswith("dags/small.py written\n")
    text = (tmp_path / "dags" / "small.py").read_text()
    assert "airflow" in text.lower()
    assert "dag" in text.lower()
    assert text.splitlines()[-1] == 'globals().update(build_dags("small"))'
    assert pyelt(capsys, "dags", str(project)).out.endswith("dags/small.py is up to date\n")


def test_the_dag_file_of_the_sample_is_what_the_command_writes() -> None:
    from pyelt_provider.command_line.dags import dag_file_text

    root = Path(__file__).parents[2]
    assert (root / "dags" / "clinic.py").read_text() == dag_file_text(root / "configs" / "clinic")


def test_schemas_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert json.loads(pyelt(capsys, "schema", "pipe").out)["title"] == "pipes/*.yaml"
    assert list(json.loads(pyelt(capsys, "schema").out)) == ["pipeline", "domain", "pipe"]
    said = pyelt(capsys, "schema", "--output", str(tmp_path / "schemas"))
    assert said.code == 0
    names = sorted(path.name for path in (tmp_path / "schemas").iterdir())
    assert names == ["domain.schema.json", "pipe.schema.json", "pipeline.schema.json"]

"""A PyELT program becomes YAML files that give the identical plan: all of it, or a pipe at a time."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyelt_provider.command_line.main import main
from pyelt_provider.config.project_files import find_projects
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.config.spots import Problems, Spot
from pyelt_provider.config.yaml_text import parse_yaml
from pyelt_provider.config.yaml_writing import yaml_text
from pyelt_provider.planning.plan import build_plans
from python_api.programs import PIPELINE, PROGRAM, write_program

PROJECTS = {
    path.parent.name: path.parent
    for path in sorted(Path(__file__).parent.glob("*/pipeline.yaml"))
    if "python:" in path.read_text()
}
ONE_OF_TWO = """
def build(pipeline):
    fill(pipeline, "his")
    fill(pipeline, "crm")


def fill(pipeline, name):
"""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAKTIJK_DATA", "/data")
    monkeypatch.setenv("PYELT_DATA_ROOT", "/data")


def fingerprints(folder: Path) -> dict[str, str]:
    return {plan.dag_id: plan.fingerprint for plan in build_plans(read_pipeline(folder))}


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def two_pipes(folder: Path, **more: str) -> Path:
    _, _, body = PROGRAM.partition("def build(pipeline):\n")
    imports = PROGRAM.partition("def build")[0]
    program = (
        imports + ONE_OF_TWO + body.replace("    pipeline.register_domain(domain)\n", "").replace('"his"', "name", 1)
    )
    program = program.replace("def build(pipeline):\n", "def build(pipeline):\n    pipeline.register_domain(domain)\n")
    return write_program(folder, {"program.py": program, **more})


@pytest.mark.parametrize("name", PROJECTS)
def test_every_program_gives_the_identical_plan_as_yaml(name: str, tmp_path: Path) -> None:
    target = tmp_path / "converted"
    assert main(["convert", str(PROJECTS[name]), "--to", str(target)]) == 0

    assert fingerprints(target) == fingerprints(PROJECTS[name])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["converted"]
    assert {Path(file).suffix for file in files(target)} <= {".yaml", ".sql"}


def test_it_never_writes_over_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = write_program(tmp_path / "small")
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 0
    before = files(tmp_path / "new")
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert files(tmp_path / "new") == before


def test_a_module_of_the_path_is_converted_without_a_project_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "etl")
    (tmp_path / "etl" / "pipeline.yaml").unlink()
    program = PROGRAM.replace(
        "def build(pipeline):\n", "def build(pipeline):\n    pipeline.config['conn_dwh'] = 'dwh'\n"
    )
    (tmp_path / "etl" / "program.py").write_text(program)
    monkeypatch.chdir(tmp_path / "etl")
    assert main(["convert", "program:build", "--to", "../configs/clinic"]) == 0
    read = read_pipeline(tmp_path / "configs" / "clinic")
    assert (read.name, [pipe.name for pipe in read.pipes]) == ("clinic", ["his"])
    assert (tmp_path / "configs" / "clinic" / read.data_root).resolve() == tmp_path / "etl"


def test_comments_go_along(tmp_path: Path) -> None:
    program = PROGRAM.replace('    mapping.map_bk("number")\n', "").replace(
        '    mapping = SorToEntityMapping("patient_hstage", Patient, pipe.sor)\n',
        """\
    # Everybody who is registered,
    # dead or alive
    mapping = SorToEntityMapping("patient_hstage", Patient, pipe.sor)
    mapping.map_bk("number")
    # As in the passport
""",
    )
    domain = """
    from pyelt.datalayers.database import Columns
    from pyelt.datalayers.dv import HubEntity, Sat


    # Whoever was ever treated here
    class Patient(HubEntity):
        class Name(Sat):
            last_name = Columns.TextColumn()  # without prefixes
            first_name = Columns.TextColumn()  # noqa: F401
    """
    project = write_program(tmp_path / "small", {"program.py": program, "domain.py": domain})
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 0
    assert "# Everybody who is registered,\n  # dead or alive\n  - from: patient_hstage\n" in _pipe(tmp_path / "new")
    assert "      # As in the passport\n      Name.last_name: name\n" in _pipe(tmp_path / "new")
    written = (tmp_path / "new" / "domain.yaml").read_text()
    assert "  # Whoever was ever treated here\n  Patient:\n" in written
    assert "last_name: text  # without prefixes\n" in written
    assert "noqa" not in written


def _pipe(folder: Path, name: str = "his") -> str:
    return (folder / "pipes" / f"{name}.yaml").read_text()


def test_one_pipe_moves_over_and_the_others_stay_in_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = two_pipes(tmp_path / "small")
    before, plan = files(project), fingerprints(project)
    assert main(["convert", str(project), "--pipe", "his"]) == 0
    after = files(project)
    assert sorted(after.keys() - before.keys()) == ["pipes/his.yaml"]
    assert {name: text for name, text in after.items() if name in before} == before
    assert fingerprints(project) == plan
    assert main(["convert", str(project), "--pipe", "his"]) == 1
    assert "stands in pipes/his.yaml already" in capsys.readouterr().err
    assert main(["convert", str(project), "--pipe", "crm"]) == 0
    assert fingerprints(project) == plan
    # What the file says counts, not the program.
    text = _pipe(project).replace("csv: patients.csv", "csv: others.csv")
    (project / "pipes" / "his.yaml").write_text(text)
    [table] = read_pipeline(project).pipe("his").tables
    assert table.source.path == "others.csv"  # type: ignore[union-attr]


def test_functions_stay_in_the_program_and_are_called_beside_the_file_of_their_pipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = PROGRAM + "    pipe.register_extra_func_after_sor(lambda pipe: None)\n"
    project = write_program(tmp_path / "small", {"program.py": program})
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 0
    assert "<lambda> (after_sor of his) stays in the program" in capsys.readouterr().out
    read = read_pipeline(tmp_path / "new")
    assert [hook.target for hook in read.pipe("his").after_sor] == ["program:his.after_sor.0:<lambda>"]
    assert yaml.safe_load((tmp_path / "new" / "pipeline.yaml").read_text())["python_path"] == "../small"


def test_a_password_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://etl:geheim-77@dwh.example/dwh"
    project = write_program(tmp_path / "small", {"pipeline.yaml": PIPELINE.replace("dwh: dwh", f"dwh: {url}")})
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 0
    shown = capsys.readouterr()
    assert "set the environment variable PYELT_SMALL_CONN_DWH" in shown.out
    assert not any("geheim" in text for text in (*files(tmp_path / "new").values(), shown.out, shown.err))
    monkeypatch.setenv("PYELT_SMALL_CONN_DWH", url)
    assert fingerprints(tmp_path / "new") == fingerprints(project)


def test_passwords_in_paths_are_not_written_either_and_other_urls_with_one_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PIPELINE + "data_root: s3://key:geheim-78@bucket/x\n"
    project = write_program(tmp_path / "small", {"pipeline.yaml": text})
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 0
    assert "data_root: ${PYELT_SMALL_DATA_ROOT}" in (tmp_path / "new" / "pipeline.yaml").read_text()

    program = PROGRAM.replace('"source_path": "his"', '"source_path": "his", "description": "ftp://me:geheim-79@host"')
    project = write_program(tmp_path / "other", {"program.py": program})
    assert main(["convert", str(project), "--to", str(tmp_path / "refused")]) == 1
    told = capsys.readouterr()
    assert "description has a URL with a password" in told.err
    assert "geheim" not in told.out + told.err + "".join(files(tmp_path / "new").values())
    assert not (tmp_path / "refused").exists()


def test_a_draft_that_a_killed_conversion_left_is_no_project(tmp_path: Path) -> None:
    write_program(tmp_path / ".pyelt-convert-x")
    assert find_projects(write_program(tmp_path / "small").parent) == [tmp_path / "small"]


def test_texts_that_yaml_would_misread_survive(tmp_path: Path) -> None:
    odd = [
        "no",
        "1",
        "null",
        "a: b",
        "# x",
        "{{ ds }}",
        "100%",
        "'quoted'",
        '"',
        " lead",
        "a\nb\n\nc",
        "é\u2028x",
        "- y",
        "~",
    ]
    lines = "".join(
        f"""
        rule = SorValidation("patient_hstage", pipe.sor)
        rule.sql_condition = "number <> {index}"
        rule.msg = {text!r}
        pipe.validations.append(rule)"""
        for index, text in enumerate(odd)
    )
    program = (
        "from pyelt.mappings.validations import SorValidation\n"
        + PROGRAM
        + textwrap.dedent(lines).replace("\n", "\n    ")
    )
    project = write_program(tmp_path / "small", {"program.py": program + "\n"})
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 0
    assert [rule.message for rule in read_pipeline(tmp_path / "new").pipe("his").validations] == [
        rule.message for rule in read_pipeline(project).pipe("his").validations
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["small"], "add --to FOLDER"),
        (["small", "--to", "x", "--pipe", "his"], "without --to"),
        (["small", "--pipe", "hsi"], "it has: his"),
        (["nowhere/small", "--to", "x"], "there is no folder"),
        (["no_such_module:build", "--to", "x"], "no_such_module"),
        (["yaml", "--to", "x"], "YAML already"),
    ],
)
def test_what_cannot_be_converted_is_told_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    write_program(tmp_path / "small")
    main(["convert", str(tmp_path / "small"), "--to", str(tmp_path / "yaml")])
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    assert main(["convert", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert files(tmp_path) == before


def test_a_conversion_that_is_broken_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write_program(tmp_path / "small")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    assert main(["convert", str(project), "--to", str(tmp_path / "new")]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS.filter(bool), inner, max_size=3)),
    max_leaves=12,
)


@given(data=st.dictionaries(TEXTS.filter(lambda key: key not in ("", "<<")), VALUES, max_size=4))
def test_whatever_is_written_is_read_back(data: dict[str, object]) -> None:
    problems = Problems()
    read = parse_yaml(yaml_text(data, Spot(1), ""), "", problems) if data else None
    assert (
        read is None
        if not data
        else read is not None
        and (list(read.data.items()), list(problems.sorted()))
        == (
            list(data.items()),
            [],
        )
    )

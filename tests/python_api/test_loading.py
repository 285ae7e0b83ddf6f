"""A program is loaded without anything being done, and the process is afterwards as it was before."""

from __future__ import annotations

import importlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.model.pipeline import CronSchedule
from pyelt_provider.planning.describe import delivery_text, source_text
from pyelt_provider.planning.plan import build_plans
from python_api.programs import DOMAIN, PIPELINE, PROGRAM, problems_of, write_program


def test_search_path_modules_folder_and_arguments_are_as_they_were(tmp_path: Path) -> None:
    messy = """
        import os, sys
        os.chdir("/")
        sys.path.append("/nowhere")
        sys.argv.append("--more")
        """
    folder = write_program(tmp_path / "project", {"program.py": messy + PROGRAM.replace("\n", "\n        ")})
    read_pipeline(write_program(tmp_path / "other"), {})  # what we import ourselves, once
    before = (list(sys.path), Path.cwd(), list(sys.argv), set(sys.modules))
    read_pipeline(folder, {})
    assert (list(sys.path), Path.cwd(), list(sys.argv)) == before[:3]
    assert set(sys.modules) == before[3]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pyelt.pipeline")


def test_a_program_that_fails_leaves_nothing_behind_either(tmp_path: Path) -> None:
    folder = write_program(tmp_path, {"program.py": "import os\nos.chdir('/')\nraise ValueError('no')\n"})
    before = (list(sys.path), Path.cwd())
    assert problems_of(folder) == ["program.py:3: the program fails: ValueError: no"]
    assert (list(sys.path), Path.cwd()) == before
    assert {"program", "pyelt"}.isdisjoint(sys.modules)


def test_modules_of_the_same_name_that_others_imported_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "domain.py").write_text("WHO = 'another project'\n")
    monkeypatch.syspath_prepend(str(other))
    mine = importlib.import_module("domain")
    try:
        pipeline = read_pipeline(write_program(tmp_path / "project"), {})
        assert list(pipeline.hubs) == ["Patient", "Track"]
        assert sys.modules["domain"] is mine and mine.WHO == "another project"
    finally:
        del sys.modules["domain"]


def test_projects_with_equal_names_of_modules_are_loaded_side_by_side(tmp_path: Path) -> None:
    one = write_program(tmp_path / "one")
    two = write_program(
        tmp_path / "two",
        {"domain.py": DOMAIN.replace("last_name", "surname"), "program.py": PROGRAM.replace("last_name", "surname")},
    )
    alone = {folder: _look(folder) for folder in (one, two)}
    assert alone[one] != alone[two]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(_look, [one, two] * 6))
    assert together == [alone[one], alone[two]] * 6


def _look(folder: Path) -> tuple[str, ...]:
    return tuple(plan.fingerprint for plan in build_plans(read_pipeline(folder, {})))


def test_loading_makes_nothing_and_reads_no_delivery(tmp_path: Path) -> None:
    folder = write_program(tmp_path / "project")
    before = sorted(path.name for path in folder.iterdir())
    pipeline = read_pipeline(folder, {})
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before
    (table,) = pipeline.pipe("his").tables
    assert (table.columns, table.key) == ((), ("number",))  # ddl_sor looks at the header


def test_columns_of_a_delivery_are_not_there_while_loading(tmp_path: Path) -> None:
    asking = PROGRAM.replace('file.set_primary_key(["number"])', "file.set_primary_key([c.name for c in file.columns])")
    assert problems_of(write_program(tmp_path, {"program.py": asking})) == [
        "program.py:12: the program fails: LookupError: the columns of patients.csv are known when a run reads it, not "
        "while the project is loaded; map them by auto_map=True, with ignore_fields for those that are not wanted"
    ]


def test_a_warehouse_that_is_asked_while_loading_answers_why_not(tmp_path: Path) -> None:
    asking = PROGRAM + '    pipeline.dwh.execute("select 1")\n'
    (problem,) = problems_of(write_program(tmp_path, {"program.py": asking}))
    assert problem.startswith("program.py:18: the program asks the warehouse something")


def test_a_script_ends_at_its_first_run(tmp_path: Path) -> None:
    script = (
        "from pyelt.pipeline import Pipeline\n"
        + PROGRAM
        + """
if __name__ == "__main__":
    pipeline = Pipeline({"conn_dwh": "dwh", "schedule_interval": "@daily"})
    build(pipeline)
    try:
        pipeline.run(["sor"])
    except Exception:
        pass
    raise AssertionError("a run is the end of loading")
"""
    )
    folder = write_program(tmp_path, {"program.py": script, "pipeline.yaml": "pipeline: small\npython: program\n"})
    pipeline = read_pipeline(folder, {})
    assert (pipeline.schedule, [pipe.name for pipe in pipeline.pipes]) == (CronSchedule(cron="@daily"), ["his"])


def test_what_the_file_says_counts_before_the_program(tmp_path: Path) -> None:
    program = PROGRAM.replace("def build(pipeline):", "def build():") .replace(
        "    pipeline.register_domain(domain)",
        "    pipeline = Pipeline({'conn_dwh': 'theirs', 'on_errors': 'log', 'schedule_interval': '@daily', 'own': 1})\n"
        "    pipeline.register_domain(domain)",
    )  # fmt: skip
    files = {
        "program.py": "from pyelt.pipeline import Pipeline\n" + program,
        "pipeline.yaml": PIPELINE + "schedule: '@weekly'\n",
    }
    pipeline = read_pipeline(write_program(tmp_path, files), {})
    assert (pipeline.warehouse.text, pipeline.on_errors, pipeline.schedule) == (
        "dwh",
        "log",
        CronSchedule(cron="@weekly"),
    )


def test_pipes_in_files_stand_beside_those_of_the_program(tmp_path: Path) -> None:
    pipe = """
        sor: {track_hstage: {csv: tracks.csv, key: [number]}}
        entities: [{from: track_hstage, to: Track, bk: number}]
        """
    pipeline = read_pipeline(write_program(tmp_path, {"pipes/tracks.yaml": pipe}), {})
    assert [(pipe.name, pipe.tables[0].fk_columns) for pipe in pipeline.pipes] == [
        ("his", (("fk_patient_hub", "Patient"),)),
        ("tracks", ()),  # a file names the fk columns that it wants
    ]


def test_a_program_may_stand_in_another_folder(tmp_path: Path) -> None:
    write_program(tmp_path / "etl" / "clinic")
    folder = tmp_path / "configs" / "clinic"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE.lstrip() + "python_path: ${ETL:-../../etl}/clinic\n")
    assert [pipe.name for pipe in read_pipeline(folder, {}).pipes] == ["his"]
    assert problems_of(folder) == []
    (folder / "pipeline.yaml").write_text(PIPELINE.lstrip() + "python_path: ../nowhere\n")
    assert problems_of(folder) == [
        "pipeline.yaml:4: python_path: there is no folder ../nowhere; name the folder that has the program's packages"
    ]


def test_pyelt_itself_is_not_replaced(tmp_path: Path) -> None:
    folder = write_program(tmp_path, {"pyelt/__init__.py": "", "pyelt/pipeline.py": "WHO = 'PyELT'\n"})
    (problem,) = problems_of(folder)
    assert problem == (
        f"pipeline.yaml:2: python: PyELT itself is installed in {folder / 'pyelt'}; a project is loaded through our own "
        "implementation of its API, which takes its name only where PyELT is absent: uninstall it, or leave its folder out of "
        "python_path"
    )


def test_a_loaded_program_has_pyelt_when_its_functions_are_called(tmp_path: Path) -> None:
    from pyelt_provider.config.python_project import program_of

    later = PROGRAM + "\n\ndef later(x):\n    from pyelt.mappings.base import ConstantValue\n    import domain\n"
    later += "    return str(ConstantValue(x)), domain.__name__, domain is globals()['domain']\n"
    program = program_of(write_program(tmp_path, {"program.py": later}), os.environ)
    assert program.call(program.modules["program"].later, "a") == ("'a'", "domain", True)
    assert "pyelt" not in sys.modules and "domain" not in sys.modules


def test_what_a_program_takes_from_an_installation_inside_its_folder_stays_loaded(tmp_path: Path) -> None:
    site = tmp_path / "venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "a_library_of_others.py").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "own_module.py").write_text("")
    program = f"""
import sys
sys.path.append({str(site)!r})
sys.path.append({str(tmp_path / "more")!r})
import a_library_of_others, own_module
"""
    try:
        read_pipeline(write_program(tmp_path, {"program.py": program + PROGRAM}), {})
        assert "own_module" not in sys.modules
        assert "a_library_of_others" in sys.modules
    finally:
        sys.modules.pop("a_library_of_others", None)


def test_the_program_sees_what_the_file_says_with_its_variables_filled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = PROGRAM + "    print('data in', pipeline.config['data_root'])\n"
    files = {"program.py": program, "pipeline.yaml": PIPELINE + "data_root: ${DATA:-/data}/all\n"}
    assert read_pipeline(write_program(tmp_path, files), {"DATA": "/mine"}).data_root == "/mine/all"
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "data in /mine/all\n")


def test_each_table_of_a_program_says_its_database_and_schema(tmp_path: Path) -> None:
    program = """
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.sources.databases import SourceDatabase, SourceQuery, SourceTable
from pyelt.sources.files import CsvFile


def build(pipeline):
    pipe = pipeline.get_or_create_pipe("his", {"source_connection": "his_db", "default_schema": "care"})
    same = SourceDatabase("his_db", "billing")
    other = SourceDatabase("lab_db", "results")
    sources = [
        SourceTable("a", pipe.source_db.default_schema, pipe.source_db),
        SourceTable("b", same.default_schema, same),
        SourceTable("c", other.default_schema, other),
        SourceTable("d", "raw", other),
        SourceQuery(other, "select 1 as nr", "e"),
        CsvFile("f.csv"),
    ]
    for name, source in zip("abcdef", sources):
        source.set_primary_key(["nr"])
        pipe.mappings.append(SourceToSorMapping(source, f"{name}_hstage"))
"""
    (pipe,) = read_pipeline(write_program(tmp_path, {"program.py": program}), {}).pipes
    assert (
        source_text(pipe)
        == "database his_db, schema care; database lab_db, schema results; database lab_db; files in ."
    )
    assert [delivery_text(table) for table in pipe.tables] == [
        "table a",
        "table billing.b",
        "table c; database lab_db, schema results",
        "table raw.d; database lab_db, schema results",
        "query select 1 as nr; database lab_db",
        "CSV f.csv, delimiter ';', utf-8; files in .",
    ]

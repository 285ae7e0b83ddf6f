"""A hostile value in every place of a project: refused with file and line, or it goes through every stage as data.

What `pyelt` prints and what its log files hold is looked at too: nothing in them acts on a terminal or forges a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from command_line.commands import Said, pyelt
from databases import Database
from pyelt_provider.command_line.check import check_views
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError
from pyelt_provider.identifiers import hub_table, link_table, reference_column, satellite_table, snake_case
from pyelt_provider.planning.plan import build_plans
from security.hostile import NAME_PLACES, NAMES, TEXT_PLACES, Hostile, accepted

WAS_HERE = Path("/tmp/pyelt-was-here")
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ALWAYS = "pipeline pipe schedule connection mail-address"
NAMED = "staging-table hub satellite link role valueset-table"
PATHS = "file folder log-path"
REFUSED = {
    "quotes": "null",
    "sql": "satellite null",
    "percent": "",
    "template": PATHS,
    "shell": "valueset-name tag",
    "newline": f"tag {PATHS} {NAMED} valueset-name mail-subject null",
    "long": f"tag owner {PATHS} {NAMED} sor-schema header key column type link-column datamart alias valueset-name",
    "right to left": f"{PATHS} {NAMED}",
    "html": "valueset-name tag",
    "backslash": "",
    "terminal": f"{PATHS} {NAMED} column type link-column mail-subject",
}
"""The places that do not take a kind of value; the names of these would not fit, or mean something else there."""


def reads(folder: Path, chosen: Mapping[str, str]) -> bool:
    """Whether a project with these texts is read; a refusal has its place, and nothing in it acts."""
    try:
        Hostile(chosen).write(folder)
    except (OSError, ValueError):
        return False  # the file system itself refuses such a name
    try:
        pipeline = read_pipeline(folder, {})
        check_views(pipeline)
        build_plans(pipeline)
    except ConfigError as error:
        assert all(problem.file and problem.line for problem in error.problems)
        return False
    finally:
        for file in (folder / "datamarts").glob("*"):
            file.unlink()
    return True


def test_a_nul_character_is_refused_everywhere_but_in_data(tmp_path: Path) -> None:
    assert reads(tmp_path, {})
    assert set(accepted("nul", lambda chosen: reads(tmp_path, chosen))) == {"data"}


@pytest.mark.parametrize("value", [value for value in NAMES if value != "nul"])
def test_a_hostile_value_is_refused_with_its_place_or_goes_through_every_stage_as_data(
    value: str, warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = accepted(value, lambda one: reads(tmp_path / "trial", one))
    refused = {place.replace(" ", "-") for place in (*NAME_PLACES, *TEXT_PLACES) if place not in chosen}
    tolerated = {*ALWAYS.split(), *REFUSED[value].split()}
    assert refused <= tolerated
    for place in tolerated:
        chosen.pop(place.replace("-", " "), None)
    warehouse.execute("create schema own; create table own.canary as select 1 as alive")
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    project = tmp_path / "project"
    hostile = Hostile(chosen)
    hostile.write(project)
    hostile.deliver(project, "2026-01-01")
    hostile.deliver(project, "2026-01-02", rows=3)

    at = str(project)
    check = pyelt(capsys, "check", at, "--database", "--date", "2026-01-01")
    assert check.code == 0, check.err
    said = [check, pyelt(capsys, "plan", at, "--details"), pyelt(capsys, "sql", at)]
    for day in ("2026-01-01", "2026-01-01", "2026-01-02"):
        said.append(pyelt(capsys, "run", at, "--date", day, "--verbose"))
        assert said[-1].code == 0, said[-1].err[-3000:]
    went_through(warehouse, hostile, rows=3)
    said.append(pyelt(capsys, "rewind", at, "--to", "1.00", "--yes"))
    assert said[-1].code == 0, said[-1].err
    went_through(warehouse, hostile, rows=2)

    assert warehouse.rows("select alive from own.canary") == [(1,)]
    assert not WAS_HERE.exists()
    for one in said:
        nothing_acts(one)
    logs_are_whole(project)


def went_through(warehouse: Database, hostile: Hostile, rows: int) -> None:
    """Names are tables and columns of these names, values are in every layer what they were."""
    data, constant = hostile["data"], hostile["constant"]
    keys = sorted(f"{number}{data}{hostile['bk']}" for number in range(rows) if number != 1)
    hub, ward = hub_table(hostile["hub"]), f"w{data}"
    column, alias = hostile["column"], hostile["alias"]

    def ask(schema: str, table: str, *columns: str, where: str = "true") -> list[tuple[object, ...]]:
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        relation = ".".join('"' + name.replace('"', '""') + '"' for name in (schema, table))
        return sorted(warehouse.rows(f"select {quoted} from {relation} where {where}"))

    assert ask("dv", hub, "bk") == [(key,) for key in keys]
    satellite = satellite_table(hostile["hub"], hostile["satellite"])
    assert ask("dv", satellite, column, "constant", where="_active") == [(data, constant)] * len(keys)
    contact = satellite_table(hostile["hub"], "Contact")
    assert ask("dv", contact, "type", "number", where="_active") == [(hostile["type"], data)] * len(keys)
    assert ask("dv", "ward_hub", "bk") == [(ward,)]
    link, role = link_table(hostile["link"]), reference_column(hostile["role"], hostile["hub"])
    assert len(ask("dv", link, role)) == len(keys)
    link_satellite = satellite_table(hostile["link"], "Default")
    assert ask("dv", link_satellite, hostile["link column"], where="_active") == [(constant,)] * len(keys)
    codes = ask(
        "valset", snake_case(hostile["valueset table"]), "valueset_naam", "code", "omschrijving", where="_active"
    )
    assert codes == [(hostile["valueset name"], data, constant)]
    assert ask("dm", hostile["datamart"], alias, "constant") == [(ward, constant)]
    schema = hostile["sor schema"]
    staged = ask(
        schema, hostile["staging table"], hostile["key"], hostile["header"], "_validation_msg", where="_active"
    )
    assert staged == sorted(
        (f"{number}{data}", data, hostile["message"] if number == 1 else None) for number in range(rows)
    )
    assert ask(schema, "_exceptions", "message") == [(hostile["message"],)]
    comments = {row[0] for row in warehouse.rows("select description from pg_description where objoid > 16384")}
    for place in ("hub description", "column description", "link description"):
        assert any(comment.startswith(hostile[place].split("\n")[0][:100]) for comment in comments), place


def nothing_acts(said: Said) -> None:
    for text in (said.out, said.err):
        assert ACTING.findall(text) == []
        # Statements are shown as they are written, with the line ends in their literals; what happened is told in lines of ours.
        if "======== " not in text and "├──" not in text:
            assert "forged: line" not in [line.partition(" 00:00:00 ")[2] for line in text.splitlines()]


def logs_are_whole(project: Path) -> None:
    """Each line of a log begins with its time, is indented below such a line, or is our own heading of a stage."""
    logs = [*project.rglob("*_log.log")]
    assert logs
    for log in logs:
        text = log.read_text(encoding="utf-8")
        assert ACTING.findall(text) == []
        for line in text.splitlines():
            assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d |    |-- .*, attempt \d+, ", line), line
        assert not re.search("^2026-01-01 00:00:00 forged", text, re.MULTILINE)

"""The sample project written in PyELT's Python gives the pipeline, and the warehouse, that its YAML files give."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyelt_provider.command_line.main import main
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.model.domain import Satellite
from pyelt_provider.model.mapping import LinkMapping
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.staging import CsvFile
from pyelt_provider.planning.fingerprint import canonical
from pyelt_provider.planning.plan import build_plans
from pyelt_provider.sample.expected import problems
from python_api.programs import differing_rows, in_order_of
from sample.clinic import CLINIC, Clinic, clinic

PROJECT = Path(__file__).parent / "clinic"


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> tuple[Pipeline, Pipeline]:
    monkeypatch.setenv("PYELT_DATA_ROOT", "/data")
    return read_pipeline(CLINIC), read_pipeline(PROJECT)


def test_the_program_and_the_files_describe_the_same_pipeline(pipelines: tuple[Pipeline, Pipeline]) -> None:
    from_yaml, from_python = (_without_what_pyelt_adds(pipeline) for pipeline in pipelines)
    assert _texts(from_python) == _texts(from_yaml)


def test_the_program_and_the_files_give_the_same_dags_and_stages(pipelines: tuple[Pipeline, Pipeline]) -> None:
    from_yaml, from_python = (
        {
            plan.dag_id: ([stage.id for stage in plan.stages], plan.edges, plan.schedule)
            for plan in build_plans(pipeline)
        }
        for pipeline in pipelines
    )
    assert from_python == from_yaml


def test_problems_and_pages_point_at_the_lines_of_the_program(pipelines: tuple[Pipeline, Pipeline]) -> None:
    pipeline = pipelines[1]
    lines = (PROJECT / "domain" / "vault.py").read_text().splitlines()
    place = pipeline.hubs["Patient"].satellites[1].columns[0].place
    assert (place.file, lines[place.line - 1].strip()) == ("domain/vault.py", "last_name = Columns.TextColumn()")
    lines = (PROJECT / "mappings" / "his.py").read_text().splitlines()
    place = pipeline.pipe("his").entities[0].fields[2].place
    assert (place.file, lines[place.line - 1].strip()) == (
        "mappings/his.py",
        'mapping.map_field("last_name", Patient.Name.last_name)',
    )


@pytest.fixture(scope="module")
def told(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("clinic")
    with pytest.MonkeyPatch.context() as monkeypatch, clinic(server, folder, monkeypatch, project=PROJECT) as told:
        told.whole_story()
        yield told


def test_after_all_days_the_warehouse_holds_what_the_story_says(told: Clinic) -> None:
    # PyELT names the satellite of a subtype after the hub that it shares; nothing else has another name.
    told.warehouse.execute("create view dv.clinic_sat_clinic as select * from dv.organisation_sat_clinic")
    assert problems(told.warehouse.url) == []


def test_the_keys_of_an_entity_have_pyelts_type(told: Clinic) -> None:
    found = told.warehouse.rows("select distinct type from dv.care_track_hub")
    assert found == [("caretrack",)]


def test_staging_has_pyelts_fk_columns(told: Clinic) -> None:
    found = told.warehouse.rows(
        "select count(*), count(h._id) from sor_his.care_track_hstage s "
        "left join dv.care_track_hub h on h._id = s.fk_care_track_hub where s._active and s._valid"
    )
    assert found[0][0] == found[0][1] > 0


def test_functions_of_the_program_wrote_with_the_tasks_own_connection(told: Clinic) -> None:
    pages = told.warehouse.rows("select runid::text, delivered_for::text from sor_his.logbook order by runid")
    assert pages == [
        ("1.00", "2026-01-29"),
        ("2.00", "2026-01-30"),
        ("3.00", "2026-01-31"),
        ("4.00", "2026-02-01"),
        ("5.00", "2026-02-02"),
        ("6.00", "2026-02-03"),
    ]
    assert told.warehouse.rows("select count(*) from sor_his.logbook where patients > 0 and rejected >= 0") == [(6,)]


def _without_what_pyelt_adds(pipeline: Pipeline) -> Pipeline:
    """Leave out what is PyELT's own: fk columns, names of types and of subtypes' tables, functions and hooks in Python.

    A column's description is left out too: PyELT had none.
    """
    domains = tuple(
        dataclasses.replace(
            domain,
            hubs=tuple(
                dataclasses.replace(
                    hub,
                    type_name=None,
                    satellites=tuple(_without_names_and_texts(satellite) for satellite in hub.satellites),
                )
                for hub in domain.hubs
            ),
        )
        for domain in pipeline.domains
    )
    pipes = []
    for pipe in sorted(pipeline.pipes, key=lambda pipe: pipe.name):
        tables = []
        for table in pipe.tables:
            source = table.source
            if isinstance(source, CsvFile):
                source = dataclasses.replace(source, clean_names=False)
            tables.append(dataclasses.replace(table, fk_columns=(), source=source))
        pipes.append(
            dataclasses.replace(pipe, tables=tuple(tables), functions=(), before_sor=(), after_sor=(), extra_sql=())
        )
    return dataclasses.replace(pipeline, domains=domains, pipes=tuple(pipes), python=None)


def _without_names_and_texts(satellite: Satellite) -> Satellite:
    columns = tuple(dataclasses.replace(column, description="") for column in satellite.columns)
    return dataclasses.replace(satellite, table_name=None, columns=columns)


def _texts(pipeline: Pipeline) -> list[str]:
    """Return a line per part of the pipeline, so that a difference is seen at once."""
    lines = [repr(dataclasses.replace(pipeline, domains=(), pipes=(), project_folder="", place=pipeline.place))]
    for domain in pipeline.domains:
        for part in (*domain.hubs, *domain.links, *domain.valuesets, *domain.validations):
            lines.append(_text(part))
    for pipe in pipeline.pipes:
        lines.append(_text(dataclasses.replace(pipe, tables=(), validations=(), entities=(), links=(), valuesets=())))
        for part in (*pipe.tables, *pipe.validations, *pipe.entities, *pipe.links, *pipe.valuesets):
            lines.append(_text(part))
    return lines


def _text(part: object) -> str:
    if isinstance(part, LinkMapping) and part.source.join is not None:
        return part.name  # the two forms join in different words
    # PyELT's alias of the source row goes where no join needs one; lines of queries begin where they like.
    text = canonical(part).replace("\\n", " ").replace("s.bk", "bk").replace("s.postcode", "postcode")
    return " ".join(text.split()).replace(' "),', '"),')


def test_converted_to_yaml_it_gives_the_same_warehouse(
    told: Clinic, server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["convert", str(PROJECT), "--to", str(tmp_path / "clinic")]) == 0
    with clinic(server, tmp_path, monkeypatch, project=tmp_path / "clinic") as converted:
        in_order_of(converted.loader, told.pipeline)
        converted.whole_story()
        assert differing_rows(told.warehouse, converted.warehouse) == []

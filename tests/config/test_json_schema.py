"""The JSON Schemas take what the reader takes, and refuse what it refuses by shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pyelt_provider.config.json_schema import FILES, json_schema, schema_text

CLINIC = Path(__file__).parents[2] / "configs" / "clinic"


class _TextDates(yaml.SafeLoader):
    """Reads days as texts and keys as they are written, as editors do."""


_TextDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool"))]
    if first in "yYnNoO"
    else [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def validator(name: str) -> Any:
    return jsonschema.Draft202012Validator(json_schema(name))


def data_of(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=_TextDates)


@pytest.mark.parametrize("name", list(FILES))
def test_the_schemas_are_valid_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(name))


@pytest.mark.parametrize("name", list(FILES))
def test_the_text_of_a_schema_is_always_the_same(name: str) -> None:
    assert schema_text(name) == schema_text(name)
    assert json.loads(schema_text(name)) == json_schema(name)


def test_the_sample_project_is_valid() -> None:
    validator("pipeline").validate(data_of(CLINIC / "pipeline.yaml"))
    validator("domain").validate(data_of(CLINIC / "domain.yaml"))
    for path in sorted((CLINIC / "pipes").glob("*.yaml")):
        validator("pipe").validate(data_of(path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline", "{conn_dwh: dwh, retry_delay: 5m, schedule: {assets: [a]}, email_settings: {to: [a@b]}}"),
        ("pipeline", "{conn_dwh: dwh, schedule_interval: '@daily', schedules: {m: {cron: '@monthly'}}}"),
        ("domain", "{hubs: {A: , B: {satellites: {S: record_status, T: {types: [x], columns: {c: text}}}}}}"),
        ("pipe", "{data_path: x, sor: {a: {csv: a.csv, key: [id]}}, validations: [{table: a, when: x, message: m}]}"),
    ],
)
def test_what_the_reader_accepts_is_valid(name: str, text: str) -> None:
    validator(name).validate(yaml.load(text, Loader=_TextDates))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline", "{}"),
        ("pipeline", "{conn_dwh: 5}"),
        ("pipeline", "{conn_dwh: dwh, on_errors: skip}"),
        ("pipeline", "{conn_dwh: dwh, shedule: x}"),
        ("pipeline", "{conn_dwh: dwh, retry_delay: soon}"),
        ("pipeline", "{conn_dwh: dwh, start_date: 01-02-2026}"),
        ("domain", "{hubs: {A: {satelites: {}}}}"),
        ("domain", "{links: {L: {references: {a: A}}}}"),
        ("pipe", "{sor: {a: {csv: a.csv}}}"),
        ("pipe", "{sor: {a: {key: [id]}}}"),
        ("pipe", "{sor: {a: {csv: a.csv, query: select 1, key: [id]}}}"),
        ("pipe", "{entities: [{from: {tabel: x}, to: A, bk: x}]}"),
        ("pipe", "{validations: [{table: a, message: m}]}"),
    ],
)
def test_what_the_reader_refuses_by_shape_is_not_valid(name: str, text: str) -> None:
    assert not validator(name).is_valid(yaml.load(text, Loader=_TextDates))


SCHEMAS = CLINIC.parent / "schemas"


@pytest.mark.parametrize("name", list(FILES))
def test_the_schemas_beside_the_projects_are_those_of_the_models(name: str) -> None:
    written = (SCHEMAS / f"{name}.schema.json").read_text()
    assert written == schema_text(name), "run: pyelt schema --output configs/schemas"


@pytest.mark.parametrize("file", sorted(CLINIC.rglob("*.yaml")), ids=lambda path: path.name)
def test_an_editor_finds_the_schema_of_each_file_of_the_sample(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    path = (file.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve()
    kind = "pipe" if file.parent.name == "pipes" else file.stem
    assert path == SCHEMAS / f"{kind}.schema.json"
    jsonschema.Draft202012Validator(json.loads(path.read_text())).validate(data_of(file))

"""docs/configuration.md says every key there is, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter

from pyelt_provider.config import domain_file, pipe_file, pipeline_file
from pyelt_provider.config.datamarts import HEADER_KEYS
from pyelt_provider.config.keys import Keys, key_names, other_names
from pyelt_provider.config.reference import reference_page

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
MODELS = [
    model
    for module in (pipeline_file, domain_file, pipe_file)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Keys) and model not in (Keys, pipe_file.MappingKeys)
]


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text() == reference_page(), "run: python -m pyelt_provider.config.reference"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_stands_on_the_page(model: type[BaseModel]) -> None:
    page = PAGE.read_text()
    missing = [key for key in key_names(model) if f"| `{key}` |" not in page]
    missing += [key for key in other_names(model) if f"`{key}`" not in page]
    assert missing == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
    assert model.__doc__


def test_the_keys_of_datamarts_stand_on_the_page() -> None:
    assert [key for key in HEADER_KEYS if f"| `{key}` |" not in PAGE.read_text()] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_example_is_accepted_by_the_key_that_it_is_of(model: type[BaseModel]) -> None:
    for field in model.model_fields.values():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        if extra["example"] is not None:
            kind = Annotated[field.annotation, "the key", *field.metadata]  # type: ignore[valid-type]
            TypeAdapter(kind).validate_python(extra["example"], strict=True)


def test_the_python_example_of_the_page_is_a_project(tmp_path: Path) -> None:
    from pyelt_provider.config.reading import read_pipeline

    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "config.py").write_text(code)
    pipeline = read_pipeline(folder, {})
    assert (pipeline.name, [pipe.name for pipe in pipeline.pipes]) == ("shop", ["till"])

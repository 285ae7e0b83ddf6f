"""JSON Schemas of the config files, from the models that check them: for editors, and for whoever makes configs."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from pyelt_provider.config.domain_file import DomainFile
from pyelt_provider.config.pipe_file import PipeFile
from pyelt_provider.config.pipeline_file import PipelineFile

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FILES: dict[str, tuple[type[BaseModel], str]] = {
    "pipeline": (PipelineFile, "pipeline.yaml"),
    "domain": (DomainFile, "domain.yaml, domain_<schema>.yaml"),
    "pipe": (PipeFile, "pipes/*.yaml"),
}
"""The schemas by name: their model, and the files of a project that they describe."""

_OURS = ("pyelt", "also", "example", "environment")


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema named ``pipeline``, ``domain`` or ``pipe``."""
    model, files = FILES[name]
    schema = model.model_json_schema(schema_generator=_Schema)
    return {"$schema": DRAFT, **schema, "title": files}


def schema_text(name: str) -> str:
    """Return the JSON Schema as text, always the same for the same models."""
    return json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"


class _Schema(GenerateJsonSchema):
    """pydantic's schemas, with the other names of keys, and `examples` instead of our own notes."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        found = super().model_schema(schema)
        properties: dict[str, Any] = found.get("properties", {})
        for key, content in list(properties.items()):
            also = content.get("also") or []
            if content.get("example") is not None:
                content["examples"] = [content["example"]]
            for note in _OURS:
                content.pop(note, None)
            content.pop("title", None)
            for other in also:
                properties[other] = {**content, "description": f"PyELT's name of `{key}`.", "deprecated": True}
        found.pop("title", None)
        return found

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        return {key: value for key, value in super().dict_schema(schema).items() if key != "title"}

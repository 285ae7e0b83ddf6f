"""docs/configuration.md, written from the models that check config files: run as a module, it writes the page."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pyelt_provider.config import domain_file, pipe_file, pipeline_file
from pyelt_provider.config.datamarts import HEADER_KEYS
from pyelt_provider.config.shapes import union_members
from pyelt_provider.model.limits import Amount

PAGE = Path("docs/configuration.md")

_INTRODUCTION = """\
# Configuration

This page is written from the models that check the files (`python -m pyelt_provider.config.reference`), so it is
complete: a key that is not here is refused. `pyelt check` lists every problem with file and line; `pyelt schema` gives
the same models as JSON Schemas, for editors.

A project is a folder:

| file | holds |
|---|---|
| `pipeline.yaml` | the warehouse, the schedule, what goes for all pipes |
| `domain.yaml` | hubs, satellites, links and valuesets; `domain_<schema>.yaml` is a further vault in its own schema |
| `pipes/*.yaml` | a source system each: its sources, staging tables and mappings |
| `datamarts/*.sql` | a dimension, fact or view each: comment lines with its settings, then one select |
| `functions/*.sql` | a database function each (`create or replace function ...`) |
| `*.py` | functions that `before_sor` and `after_sor` name |

Instead of YAML, the folder may have a `config.py` with dicts in PyELT's keys; see [Python dicts](#python-dicts).

- *Durations* are seconds (`300`) or texts such as `"30s"`, `"5m"`, `"1h30m"`, `"2d"`.
- *Rows or share* is a whole number of rows (`250`) or a share of them with a percent sign (`1%`, `0.5%`).
- *Templates* are the paths and queries of sources: `{{ ds }}`, `{{ data_interval_start }}` and Airflow's other macros.
- In keys marked *env*, `${NAME}` is replaced by the environment variable, `${NAME:-default}` by a default when it is not
  set. A variable that is not set and has no default is a problem.
- SQL expressions are written over the columns of the table they read, whose alias is `s`.
- SQL in a config is trusted like code: it runs as it is written, with the rights of the role that loads. Review it so; see
  [security](../SECURITY.md).
- The column *PyELT* names the key of PyELT's dicts that a key stands for; other names that are accepted stand in
  brackets.
"""

_PYTHON = """\
## Python dicts

The same keys, and PyELT's own names of them, are accepted from Python. `config.py` in a project folder has the dict
`general_config`, the dict `pipes` (or one dict `<name>_config` per pipe) and the dict `domain` (or a `domain.yaml` beside
it). It is checked like YAML files, with the line in `config.py` at each problem.

```python
# configs/shop/config.py
general_config = {
    "conn_dwh": "dwh",
    "schedule_interval": "@daily",
    "data_root": "/data",
    "on_errors": "log",
    "email_settings": {"send_log_mail_after_run": True, "from": "dwh@shop.example", "to": "night@shop.example"},
}
till_config = {
    "source_path": "till",
    "sor_schema": "sor_till",
    "active": True,
    "sor": {"customer_hstage": {"csv": "customers.csv", "key": ["number"]}},
    "entities": [{"from": "customer_hstage", "to": "Customer", "bk": "number", "fields": {"Default.name": "name"}}],
}
domain = {"hubs": {"Customer": {"satellites": {"Default": {"name": "text"}}}}}
```

`pyelt_provider.config.dictionaries.pipeline_from_dicts(general_config, pipes, domain)` does the same from code. The dicts
are copied, so pipes share nothing. A pipe's own `schedule_interval` becomes a schedule of the pipeline: a preset under
its word (`@monthly` is `monthly`), another cron text under the pipe's name.
"""


def reference_page() -> str:
    """Return the whole page."""
    files: list[tuple[str, type[BaseModel]]] = [
        ("pipeline.yaml", pipeline_file.PipelineFile),
        ("domain.yaml", domain_file.DomainFile),
        ("pipes/*.yaml", pipe_file.PipeFile),
    ]
    parts = [_INTRODUCTION]
    for title, model in files:
        parts += [f"## {title}\n", *_sections(model)]
    rows = [_row("key", "effect"), _row("---", "---"), *(_row(f"`{key}`", what) for key, what in HEADER_KEYS.items())]
    header = "Comment lines at the top of the file, `-- key: value`; the model has the file's name.\n\n"
    parts += ["## datamarts/*.sql\n", header + "\n".join(rows) + "\n", _PYTHON]
    return "\n".join(parts)


def _sections(model: type[BaseModel]) -> list[str]:
    """Return the table of a model, and behind it one of each model in it, with the paths at which it stands."""
    parts = [_table(model)]
    paths: dict[type[BaseModel], list[str]] = {}
    _collect(model, "", paths)
    for inner, found in paths.items():
        also = f" Also at {', '.join(f'`{path}`' for path in found[1:])}." if len(found) > 1 else ""
        words = " ".join((inner.__doc__ or "").split())
        parts += [f"### `{found[0]}`\n", words + also + "\n", _table(inner)]
    return parts


def _collect(model: type[BaseModel], path: str, paths: dict[type[BaseModel], list[str]]) -> None:
    for name, field in model.model_fields.items():
        inner = _models_in(field.annotation)
        for found, suffix in inner:
            here = f"{path}.{field.alias or name}".lstrip(".") + suffix
            if len(inner) > 1:
                here += f" {{{next(iter(found.model_fields))}: ...}}"
            first = found not in paths
            paths.setdefault(found, []).append(here)
            if first:
                _collect(found, here, paths)


def _models_in(annotation: Any, suffix: str = "") -> list[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, suffix)]
    if members := union_members(annotation):
        return [item for member in members for item in _models_in(member, suffix)]
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _models_in(get_args(annotation)[0], suffix)
        case origin if origin is dict:
            return _models_in(get_args(annotation)[1], f"{suffix}.<name>")
        case origin if origin is list:
            return _models_in(get_args(annotation)[0], f"{suffix}[]")
        case _:
            return []


def _table(model: type[BaseModel]) -> str:
    rows = [_row("key", "type", "default", "PyELT", "effect"), _row("---", "---", "---", "---", "---")]
    for name, field in model.model_fields.items():
        rows.append(_field_row(field.alias or name, field))
    return "\n".join(rows) + "\n"


def _field_row(name: str, field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra or {}
    also = [other for other in extra.get("also", []) if other != extra.get("pyelt")]
    pyelt = " ".join([f"`{extra['pyelt']}`"] * bool(extra.get("pyelt")) + [f"(`{other}`)" for other in also])
    example = f" Example: `{_inline(extra['example'])}`" if extra.get("example") is not None else ""
    kind = _type_of(field.annotation) + (", env" if extra.get("environment") else "")
    if field.is_required():
        default = "required"
    else:
        value = field.get_default(call_default_factory=True)
        default = "" if value is None or value == "" or value == [] or value == {} else f"`{_inline(value)}`"
    return _row(f"`{name}`", kind, default, pyelt, (field.description or "").replace("<", "&lt;") + example)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _inline(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _type_of(annotation: Any) -> str:
    members = [member for member in union_members(annotation) if member is not type(None)]
    if members:
        return " or ".join(dict.fromkeys(_type_of(member) for member in members))
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_of(get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin is dict:
        return f"mapping of {_type_of(get_args(annotation)[1])}" if get_args(annotation)[1] is not Any else "mapping"
    if origin is list:
        return f"list of {_type_of(get_args(annotation)[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    names: dict[Any, str] = {
        str: "text",
        bool: "true or false",
        int: "whole number",
        float: "number",
        date: "day",
        timedelta: "duration",
        Amount: "rows or share",
    }
    return names.get(annotation, "any")


def main() -> int:
    """Write the page into the current project; returns 0."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(reference_page())
    print(f"{PAGE} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())

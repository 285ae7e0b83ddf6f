"""Projects for tests as a user writes them: YAML texts, read by the real reader, loaded by the real runner."""

from __future__ import annotations

import textwrap
from pathlib import Path

from databases import Database
from loading import Loader
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.execution.outcome import StageOutcome

PIPELINE = """
pipeline: clinic
conn_dwh: dwh
start_date: 2026-01-01
data_root: data
"""

PIPE = """
pipe: his
source_path: his
sor_schema: sor_his
sor:
  patient_hstage:
    csv: patients.csv
    columns: [nr, name, born, town, sex]
    key: [nr]
entities:
  - {from: patient_hstage, to: Patient, bk: nr}
"""


def loader(warehouse: Database, folder: Path, domain: str, *, pipe: str = PIPE, **files: str) -> Loader:
    """Write a project and return what loads it. Further files by name with / as two underscores, and the extension
    behind a third one: ``datamarts__dim___sql``; `pipeline` is added to pipeline.yaml."""
    texts = {
        "pipeline.yaml": PIPELINE.replace("data_root: data", f"data_root: {folder / 'data'}")
        + textwrap.dedent(files.pop("pipeline", "")),
        "domain.yaml": textwrap.dedent(domain),
        "pipes/his.yaml": textwrap.dedent(pipe),
    }
    for name, text in files.items():
        path, _, extension = name.partition("___")
        texts[f"{path.replace('__', '/')}.{extension}"] = textwrap.dedent(text)
    project = folder / "project"
    for name, text in texts.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return Loader(warehouse, read_pipeline(project, {}))


def deliver(folder: Path, text: str, name: str = "his/patients.csv") -> None:
    """Write a delivery below the project's data."""
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip())


def labels(outcome: StageOutcome) -> list[str]:
    """What a stage did, step by step, without the tables."""
    return [step.label for step in outcome.steps]


def done(outcome: StageOutcome) -> list[str]:
    """What a stage did to which table, step by step."""
    return [f"{step.label}: {step.table}" for step in outcome.steps if step.table is not None]

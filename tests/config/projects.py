"""Writes project folders for tests from texts, and reads what is wrong with them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError

PIPELINE = """
pipeline: small
conn_dwh: dwh
"""
DOMAIN = """
hubs:
  Patient:
    satellites:
      Default: {born: date}
      Name: {last_name: text, first_name: text}
      Contact: {types: [phone, mobile], columns: {number: text}}
      RecordStatus: record_status
  Track: {satellites: {Default: {started: date}}}
links:
  PatientTrack:
    references: {patient: Patient, track: Track}
    satellites: {Default: {since: date}}
  Doctor: {references: {patient: Patient, track: Track}, types: [own, other]}
valuesets:
  Valueset: {}
"""
PIPE = """
pipe: his
sor:
  patient_hstage: {csv: patients.csv, key: [number]}
entities:
  - {from: patient_hstage, to: Patient, bk: number, fields: {Name.last_name: name}}
"""


def write_project(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files below the folder; a project has pipeline.yaml, domain.yaml and pipes/his.yaml unless given."""
    for name, text in {"pipeline.yaml": PIPELINE, "domain.yaml": DOMAIN, "pipes/his.yaml": PIPE, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


def problems_of(folder: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the problems of the project as texts; empty when it is fine."""
    try:
        read_pipeline(folder, environment or {})
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []

"""Writes PyELT programs for tests from texts, and reads what is wrong with them."""

from __future__ import annotations

import contextlib
import json
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from crash.state import difference, state_of
from databases import Database
from loading import Loader
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.errors import ConfigError
from pyelt_provider.model.pipeline import Pipeline

PIPELINE = """
pipeline: small
python: program:build
conn_dwh: dwh
"""
DOMAIN = """
from pyelt.datalayers.database import Columns
from pyelt.datalayers.dv import HubEntity, HybridSat, Link, LinkEntity, LinkReference, Sat


class Patient(HubEntity):
    class Default(Sat):
        born = Columns.DateColumn()

    class Name(Sat):
        last_name = Columns.TextColumn()


class Track(HubEntity):
    class Default(Sat):
        started = Columns.DateColumn()


class PatientTrackLink(LinkEntity):
    class Link(Link):
        patient = LinkReference(Patient)
        track = LinkReference(Track)
"""
PROGRAM = """
import domain
from domain import Patient
from pyelt.mappings.sor_to_dv_mappings import SorToEntityMapping
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.sources.files import CsvFile


def build(pipeline):
    pipeline.register_domain(domain)
    pipe = pipeline.get_or_create_pipe("his", {"source_path": "his"})
    file = CsvFile("patients.csv")
    file.set_primary_key(["number"])
    pipe.mappings.append(SourceToSorMapping(file, "patient_hstage"))
    mapping = SorToEntityMapping("patient_hstage", Patient, pipe.sor)
    mapping.map_bk("number")
    mapping.map_field("name", Patient.Name.last_name)
    pipe.mappings.append(mapping)
"""


def write_program(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Write the files below the folder; a project has pipeline.yaml, domain.py and program.py unless given."""
    everything = {"pipeline.yaml": PIPELINE, "domain.py": DOMAIN, "program.py": PROGRAM, **(files or {})}
    for name, text in everything.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


def problems_of(folder: Path) -> list[str]:
    """Return the problems of the project as texts; empty when it is fine."""
    try:
        read_pipeline(folder, {})
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def in_order_of(loader: Loader, other: Pipeline) -> None:
    """Let the pipes be loaded in the order of another pipeline: who comes first is named in hubs and links."""
    names = [pipe.name for pipe in other.pipes]
    pipes = tuple(sorted(loader.pipeline.pipes, key=lambda pipe: names.index(pipe.name)))
    loader.pipeline = replace(loader.pipeline, pipes=pipes)


def differing_rows(one: Database, other: Database) -> list[str]:
    """Return where two warehouses hold other rows, bookkeeping included; fingerprints tell their names, too."""
    states = []
    for database in (one, other):
        with contextlib.closing(database.connect()) as connection:
            found = {name: rows for name, rows in state_of(connection).items() if name != "shape"}
        for name in ("sys.runs", "sys.stages"):
            rows = [json.loads(row) for row in found[name]]
            found[name] = sorted(json.dumps({**row, "fingerprint": None}, sort_keys=True) for row in rows)
        states.append(found)
    return difference(states[0], states[1])

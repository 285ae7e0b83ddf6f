"""Writes the project `town` as files: two pipes with a CSV file each, two hubs, a link and a datamart."""

from __future__ import annotations

import textwrap
from pathlib import Path

PIPE = """\
pipe: {name}
description: Visits as {name} knows them
active: {active}
source_path: {name}
sor_schema: sor_{name}
sor:
  visit_hstage:
    csv: "{{{{ ds }}}}/visits.csv"
    columns: [id, patient, patient_name, doctor]
    key: [id]
entities:
  - from: visit_hstage
    to: Patient
    bk: patient
    fields: {{Default.name: patient_name}}
  - {{from: visit_hstage, to: Doctor, bk: doctor}}
links:
  - from: visit_hstage
    to: Treated
    references: {{patient: patient, doctor: doctor}}
"""

DOMAIN = """\
hubs:
  Patient: {satellites: {Default: {name: text}}}
  Doctor: {}
links:
  Treated: {references: {patient: Patient, doctor: Doctor}}
"""

DATAMART = "-- materialized: table\nselect default_name as name from dv.patient_view\n"


def write_town(
    configs: Path, conn_dwh: str, settings: str = "", *, south_active: bool = True, name: str = "town"
) -> Path:
    """Write the project below `configs` and return its folder; `settings` are more lines of pipeline.yaml."""
    folder = configs / name
    files = {
        "pipeline.yaml": f"pipeline: {name}\nconn_dwh: {conn_dwh}\nstart_date: 2026-01-01\n"
        f"data_root: {configs.parent / 'data' / name}\n{textwrap.dedent(settings)}",
        "domain.yaml": DOMAIN,
        "pipes/north.yaml": PIPE.format(name="north", active="true"),
        "pipes/south.yaml": PIPE.format(name="south", active=str(south_active).lower()),
        "datamarts/dim_patient.sql": DATAMART,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def deliver(configs: Path, pipe: str, day: str, *rows: str) -> None:
    """Put the delivery of a pipe and day in its place; rows are ``id,patient,patient_name,doctor``."""
    file = configs.parent / "data" / pipe / day / "visits.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["id,patient,patient_name,doctor", *rows, ""]))

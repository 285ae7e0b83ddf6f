"""A small pipeline made of model classes: two pipes that share a hub, a link, a valueset and a datamart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.datamart import DatamartModel
from pyelt_provider.model.domain import Column, Domain, Hub, Link, Reference, Satellite, Valueset
from pyelt_provider.model.mapping import (
    EntityMapping,
    FieldMapping,
    LinkMapping,
    MappingSource,
    ReferenceMapping,
    ValuesetMapping,
)
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import CronSchedule, Pipeline
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import CsvFile, StagingTable

PATIENT = Hub(
    schema="dv",
    name="Patient",
    root="Patient",
    satellites=(Satellite(schema="dv", owner="Patient", name="Default", columns=(Column(name="name", type="text"),)),),
)
DOCTOR = Hub(schema="dv", name="Doctor", root="Doctor")
TREATED = Link(
    schema="dv",
    name="Treated",
    references=(
        Reference(role="patient", hub="Patient", root="Patient"),
        Reference(role="doctor", hub="Doctor", root="Doctor"),
    ),
)


def pipe(name: str, **changes: Any) -> Pipe:
    """A pipe with one CSV file, mapped onto both hubs and the link."""
    source = MappingSource(staging="visit_hstage")
    staging = StagingTable(schema=f"sor_{name}", name="visit_hstage", source=CsvFile(path="visits.csv"), key=("id",))
    return replace(
        Pipe(
            name=name,
            description=f"Visits as {name} knows them",
            sor_schema=f"sor_{name}",
            source=FileSource(path=name),
            tables=(staging,),
            entities=(
                EntityMapping(
                    name="visit_hstage -> Patient",
                    source=source,
                    hub="Patient",
                    bk="patient",
                    fields=(FieldMapping(satellite="Default", column="name", expression="patient_name"),),
                ),
                EntityMapping(name="visit_hstage -> Doctor", source=source, hub="Doctor", bk="doctor"),
            ),
            links=(
                LinkMapping(
                    name="visit_hstage -> Treated",
                    source=source,
                    link="Treated",
                    references=(
                        ReferenceMapping(role="patient", bk="patient"),
                        ReferenceMapping(role="doctor", bk="doctor"),
                    ),
                ),
            ),
        ),
        **changes,
    )


def pipeline(**changes: Any) -> Pipeline:
    """The pipeline `town` with the pipes `north` (which also brings codes) and `south`."""
    codes = ValuesetMapping(
        name="visit_hstage -> Valueset",
        source=MappingSource(staging="visit_hstage"),
        valueset="Valueset",
        fields=(FieldMapping(satellite="", column="code", expression="kind"),),
    )
    return replace(
        Pipeline(
            name="town",
            warehouse=ConnectionRef("dwh"),
            description="Visits to the town's doctors",
            schedule=CronSchedule(cron="0 2 * * *"),
            timezone="Europe/Amsterdam",
            domains=(
                Domain(
                    schema="dv",
                    hubs=(DOCTOR, PATIENT),
                    links=(TREATED,),
                    valuesets=(Valueset(schema="valset", name="Valueset"),),
                ),
            ),
            pipes=(pipe("north", valuesets=(codes,)), pipe("south")),
            datamarts=(
                DatamartModel(
                    schema="dm",
                    name="dim_patient",
                    sql="select * from dv.patient_view",
                    file="datamarts/dim_patient.sql",
                    reads=(TableName("dv", "patient_view"),),
                ),
            ),
        ),
        **changes,
    )

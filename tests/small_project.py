"""A small project for tests of run semantics: two pipes with CSV files, two hubs, satellites and a link."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Column, Domain, Hub, Link, Reference, Satellite, SatelliteKind
from pyelt_provider.model.mapping import EntityMapping, FieldMapping, LinkMapping, MappingSource, ReferenceMapping
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import OnErrors, Pipeline
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import CsvFile, Delivery, StagingTable, Validation

DV = "dv"


def small_pipeline(
    data_root: Path, *, on_errors: OnErrors = OnErrors.THROW, delivery: Delivery = Delivery.FULL
) -> Pipeline:
    """Return a pipeline whose pipe `his` delivers patients.csv (nr;naam;plaats;arts), `crm` relations.csv (nr;telefoon)."""
    return Pipeline(
        name="small",
        warehouse=ConnectionRef("postgresql://nowhere/nothing"),
        data_root=str(data_root),
        on_errors=on_errors,
        domains=(_domain(),),
        pipes=(_his(delivery), _crm(delivery)),
    )


def deliver(data_root: Path, day: date, *, patients: str | None = None, relations: str | None = None) -> None:
    """Write a day's files; a text is the rows below the header, None leaves the file out."""
    folder = data_root / day.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    if patients is not None:
        (folder / "patients.csv").write_text("nr;naam;plaats;arts\n" + patients)
    if relations is not None:
        (folder / "relations.csv").write_text("nr;telefoon\n" + relations)


def _domain() -> Domain:
    patient = Hub(
        schema=DV,
        name="Patient",
        root="Patient",
        satellites=(
            Satellite(schema=DV, owner="Patient", name="Default", columns=(_text("naam"), _text("plaats"))),
            Satellite(schema=DV, owner="Patient", name="Contact", columns=(_text("telefoon"),)),
            Satellite(schema=DV, owner="Patient", name="RecordStatus", kind=SatelliteKind.RECORD_STATUS),
        ),
    )
    arts = Hub(schema=DV, name="Arts", root="Arts")
    link = Link(
        schema=DV,
        name="PatientArts",
        references=(
            Reference(role="Patient", hub="Patient", root="Patient"),
            Reference(role="Arts", hub="Arts", root="Arts"),
        ),
        status=True,
    )
    return Domain(schema=DV, hubs=(patient, arts), links=(link,))


def _his(delivery: Delivery) -> Pipe:
    source = MappingSource(staging="patients_hstage")
    return Pipe(
        name="his",
        sor_schema="sor_his",
        source=FileSource(path=""),
        tables=(
            StagingTable(
                schema="sor_his",
                name="patients_hstage",
                source=CsvFile(path="{{ ds }}/patients.csv", delimiter=";"),
                key=("nr",),
                delivery=delivery,
            ),
        ),
        validations=(Validation(table="patients_hstage", when="plaats = 'Nergens'", message="Unknown place"),),
        entities=(
            EntityMapping(
                name="patients_hstage -> Patient",
                source=source,
                hub="Patient",
                bk="nr",
                fields=(
                    FieldMapping(satellite="Default", column="naam", expression="naam"),
                    FieldMapping(satellite="Default", column="plaats", expression="plaats"),
                ),
            ),
            EntityMapping(name="patients_hstage -> Arts", source=source, hub="Arts", bk="arts"),
        ),
        links=(
            LinkMapping(
                name="patients_hstage -> PatientArts",
                source=source,
                link="PatientArts",
                references=(ReferenceMapping(role="Patient", bk="nr"), ReferenceMapping(role="Arts", bk="arts")),
            ),
        ),
    )


def _crm(delivery: Delivery) -> Pipe:
    return Pipe(
        name="crm",
        sor_schema="sor_crm",
        source=FileSource(path=""),
        tables=(
            StagingTable(
                schema="sor_crm",
                name="relations_hstage",
                source=CsvFile(path="{{ ds }}/relations.csv", delimiter=";"),
                key=("nr",),
                delivery=delivery,
            ),
        ),
        entities=(
            EntityMapping(
                name="relations_hstage -> Patient",
                source=MappingSource(staging="relations_hstage"),
                hub="Patient",
                bk="nr",
                fields=(FieldMapping(satellite="Contact", column="telefoon", expression="telefoon"),),
            ),
        ),
    )


def _text(name: str) -> Column:
    return Column(name=name, type="text")

"""The project of the old clinic as the PyELT program that it was."""

DOMAIN = """
from pyelt.datalayers.database import Columns
from pyelt.datalayers.dv import HubEntity, HybridSat, Link, LinkEntity, LinkReference, RecordStatusSat, Sat


class Patient(HubEntity):
    class Default(Sat):
        geboortedatum = Columns.DateColumn()

    class Personalia(Sat):
        achternaam = Columns.TextColumn()

    class Contact(HybridSat):
        class Types(HybridSat.Types):
            mobiel = "mobiel"
            thuis = "thuis"

        telnummer = Columns.TextColumn()

    class Status(RecordStatusSat):
        pass


class Traject(HubEntity):
    class Default(Sat):
        start = Columns.DateColumn()


class Arts(HubEntity):
    pass


class TrajectArts(LinkEntity):
    __status__ = True

    class Link(Link):
        traject = LinkReference(Traject)
        arts = LinkReference(Arts)

    class Default(Sat):
        rol = Columns.TextColumn()


class PatientTraject(LinkEntity):
    class Link(Link):
        patient = LinkReference(Patient)
        traject = LinkReference(Traject)
"""
VALSETS = """
from pyelt.datalayers.valset import DvValueset


class Valueset(DvValueset):
    pass
"""
PROGRAM = """
import domain
import valsets
from domain import Arts, Patient, PatientTraject, Traject, TrajectArts
from pyelt.mappings.sor_to_dv_mappings import SorToEntityMapping, SorToLinkMapping, SorToValueSetMapping
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.mappings.validations import SorValidation
from pyelt.sources.files import CsvFile


def read(pipe, name, keys):
    file = CsvFile(name + ".csv", delimiter=",", quote='"')
    file.reflect()
    file.set_primary_key(keys)
    pipe.mappings.append(SourceToSorMapping(file, name + "_hstage", auto_map=True))


def build(pipeline):
    pipeline.register_valset_domain(valsets)
    pipeline.register_domain(domain)
    pipe = pipeline.get_or_create_pipe("his", {"source_path": "his"})
    read(pipe, "patient", ["patientnummer"])
    read(pipe, "traject", ["trajectnummer"])
    read(pipe, "code", ["lijst", "code"])
    validation = SorValidation(tbl="patient_hstage", schema=pipe.sor)
    validation.msg = "Geen achternaam"
    validation.sql_condition = "coalesce(achternaam, '') = ''"
    pipe.validations.append(validation)

    mapping = SorToEntityMapping("patient_hstage", Patient, pipe.sor)
    mapping.map_bk("patientnummer")
    mapping.map_field("geboortedatum", Patient.Default.geboortedatum)
    mapping.map_field("achternaam", Patient.Personalia.achternaam)
    mapping.map_field("mobiel", Patient.Contact.telnummer, type=Patient.Contact.Types.mobiel)
    mapping.map_field("thuis", Patient.Contact.telnummer, type=Patient.Contact.Types.thuis)
    pipe.mappings.append(mapping)
    mapping = SorToEntityMapping("traject_hstage", Traject, pipe.sor)
    mapping.map_bk("trajectnummer")
    mapping.map_field("start", Traject.Default.start)
    pipe.mappings.append(mapping)
    mapping = SorToEntityMapping("traject_hstage", Arts, pipe.sor)
    mapping.map_bk("arts")
    pipe.mappings.append(mapping)

    link = SorToLinkMapping("traject_hstage", TrajectArts, pipe.sor)
    link.map_sor_fk("fk_traject_hub", TrajectArts.Link.traject)
    link.map_bk("arts", TrajectArts.Link.arts)
    link.map_field("rol", TrajectArts.Default.rol)
    pipe.mappings.append(link)
    link = SorToLinkMapping("traject_hstage", PatientTraject, pipe.sor)
    link.map_bk("patientnummer", PatientTraject.Link.patient)
    link.map_entity(PatientTraject.Link.traject)
    pipe.mappings.append(link)

    mapping = SorToValueSetMapping("code_hstage", valsets.Valueset)
    mapping.map_field("lijst", valsets.Valueset.valueset_naam)
    mapping.map_field("code", valsets.Valueset.code)
    mapping.map_field("naam", valsets.Valueset.omschrijving)
    pipe.mappings.append(mapping)

    lab = pipeline.get_or_create_pipe("lab", {"source_path": "lab"})
    read(lab, "bepaling", ["nummer"])
    mapping = SorToEntityMapping("bepaling_hstage", Patient, lab.sor)
    mapping.map_bk("patient")
    lab.mappings.append(mapping)
"""

from domain.valuesets import Tariff, Valueset
from domain.vault import *
from functions import CleanPhone
from pyelt.mappings.base import ConstantValue
from pyelt.mappings.sor_to_dv_mappings import (
    EntityViewToEntityMapping,
    EntityViewToLinkMapping,
    SorToEntityMapping,
    SorToLinkMapping,
    SorToValueSetMapping,
)
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.mappings.validations import SorValidation
from pyelt.sources.files import CsvFile

NO_FIXED_POSTCODE = "upper(replace(hstg.postcode, ' ', ''))"


def delivered(name, keys, target, description="", **kwargs):
    source = CsvFile("{{ ds }}/" + name, delimiter=";", quote='"', **kwargs)
    source.reflect()
    source.set_primary_key(keys)
    mapping = SourceToSorMapping(source, target, auto_map=True)
    mapping.description = description
    return mapping


def init_source_to_sor_mappings():
    mappings = [
        delivered(
            "patients.csv", ["patient_number"], "patient_hstage", "All patients that are registered, every night"
        ),
        delivered(
            "care_tracks.csv",
            ["patient_number", "track_number"],
            "care_track_hstage",
            "All care tracks of registered patients",
        ),
        delivered("practitioners.csv", ["staff_code"], "practitioner_hstage"),
        delivered("organisations.csv", ["code"], "organisation_hstage", encoding="iso-8859-1"),
        delivered("codes.csv", ["list", "code"], "code_hstage"),
        delivered("tariffs.csv", ["code", "valid_from"], "tariff_hstage"),
    ]
    mappings[2].wait_for = "30m"
    mappings[4].source.header = False
    mappings[4].source.names = ["list", "code", "description"]
    return mappings


def init_validations(sor):
    postcode = SorValidation(tbl="patient_hstage", schema=sor)
    postcode.msg = "Invalid postcode"
    postcode.sql_condition = "postcode like '0000%'"
    policy = SorValidation(tbl="patient_hstage", schema=sor)
    policy.msg = "Policy number of more than one patient"
    policy.set_check_for_duplicate_keys("policy_number")
    return [postcode, policy]


def init_sor_to_dv_mappings(sor):
    mappings = []
    mapping = SorToEntityMapping("patient_hstage", Patient, sor)
    mapping.map_field("patient_number", Patient.Hub.bk)
    mapping.map_field("birth_date", Patient.Default.birth_date)
    mapping.map_field("sex", Patient.Default.sex)
    mapping.map_field("last_name", Patient.Name.last_name)
    mapping.map_field("first_name", Patient.Name.first_name)
    mapping.map_field("street", Patient.Address.street)
    mapping.map_field("house_number", Patient.Address.house_number)
    mapping.map_field(NO_FIXED_POSTCODE, Patient.Address.postcode)
    mapping.map_field("city", Patient.Address.city)
    mapping.map_field(CleanPhone("phone"), Patient.Contact.number, type=Patient.Contact.Types.phone)
    mapping.map_field(CleanPhone("mobile"), Patient.Contact.number, type=Patient.Contact.Types.mobile)
    mapping.map_field("gp_code")  # not taken
    mappings.append(mapping)

    mapping = SorToEntityMapping("care_track_hstage", CareTrack, sor)
    mapping.map_bk("patient_number || '-' || track_number")
    mapping.map_field("specialism", CareTrack.Default.specialism)
    mapping.map_field("started", CareTrack.Default.started)
    mapping.map_field("ended", CareTrack.Default.ended)
    mappings.append(mapping)

    mapping = SorToEntityMapping("practitioner_hstage", Practitioner, sor)
    mapping.map_bk("staff_code")
    mapping.map_field("name", Practitioner.Default.name)
    mapping.map_field("specialism", Practitioner.Default.specialism)
    mappings.append(mapping)

    mapping = SorToEntityMapping("organisation_hstage", Organisation, sor)
    mapping.map_bk("code")
    mapping.map_field("name", Organisation.Default.name)
    mapping.map_field("city", Organisation.Default.city)
    mappings.append(mapping)

    mapping = SorToEntityMapping("organisation_hstage", Clinic, sor, filter="kind = 'clinic'")
    mapping.map_bk("code")
    mapping.map_field("beds", Clinic.Clinic.beds)
    mappings.append(mapping)

    mapping = EntityViewToEntityMapping(Patient, Household)
    mapping.map_bk("address_postcode || ' ' || address_house_number")
    mapping.map_field("address_city", Household.Default.city)
    mappings.append(mapping)

    link = SorToLinkMapping("care_track_hstage", PatientCareTrack, sor)
    link.map_bk("patient_number", PatientCareTrack.Link.patient)
    link.map_entity(PatientCareTrack.Link.care_track)
    link.map_field("referred_by", PatientCareTrack.Default.referred_by)
    link.map_field("referred_on", PatientCareTrack.Default.referred_on)
    mappings.append(link)

    link = SorToLinkMapping("care_track_hstage", CareTrackPractitioner, sor)
    link.map_sor_fk("fk_care_track_hub", CareTrackPractitioner.Link.care_track)
    link.map_entity(CareTrackPractitioner.Link.practitioner, bk="staff_code")
    mappings.append(link)

    link = SorToLinkMapping("care_track_hstage", CareTrackClinicLink, sor)
    link.map_entity(CareTrackClinicLink.Link.care_track)
    link.map_bk(
        "practitioner_hstage.organisation_code",
        CareTrackClinicLink.Link.clinic,
        join="practitioner_hstage.staff_code = hstg.staff_code",
    )
    mappings.append(link)

    for code, kind in (("gp_code", "gp"), ("attending_code", "attending")):
        link = SorToLinkMapping("patient_hstage", PatientPractitionerLink, sor, type=kind)
        link.map_entity(PatientPractitionerLink.Link.patient)
        link.map_bk(code, PatientPractitionerLink.Link.practitioner)
        link.missing_reference = "create_hub" if kind == "gp" else None
        mappings.append(link)

    link = EntityViewToLinkMapping(Patient, PatientHouseholdLink)
    link.map_bk("view.bk", PatientHouseholdLink.Link.patient)
    link.map_bk("address_postcode || ' ' || address_house_number", PatientHouseholdLink.Link.household)
    mappings.append(link)
    return mappings


def init_sor_to_valset_mappings():
    codes = SorToValueSetMapping("code_hstage", Valueset)
    codes.map_field("list", Valueset.valueset_naam)
    codes.map_field("code", Valueset.code)
    codes.map_field("description", Valueset.omschrijving)
    tariffs = SorToValueSetMapping("tariff_hstage", Tariff)
    tariffs.map_field(ConstantValue("tariff"), Tariff.valueset_naam)
    tariffs.map_field("code", Tariff.code)
    tariffs.map_field("description", Tariff.omschrijving)
    tariffs.map_field("valid_from", Tariff.ingangsdatum)
    tariffs.map_field("valid_to", Tariff.einddatum)
    tariffs.map_field("amount", Tariff.amount)
    return [codes, tariffs]

from domein import *
from main import get_root_path
from pyelt.datalayers.sor import SorQuery, SorTable
from pyelt.mappings.base import ConstantValue
from pyelt.mappings.sor_to_dv_mappings import *
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.mappings.transformations import FieldTransformation
from pyelt.mappings.validations import DvValidation, SorValidation, Validation
from pyelt.sources.files import CsvFile, FixedLengthFile
from ruwdomein import Meting
from transformaties import text_to_date_transform
from valsets import Specialismen, Valueset, Zorgproduct

import db_functions


def init_source_to_sor_mappings(pipe):
    mappings = []
    assert get_root_path().endswith("praktijk")
    path = pipe.pipeline.config["data_root"] + "/" + pipe.source_path + "/"

    source_file = CsvFile(path + "patienten.csv", delimiter=";", encoding="latin1")
    source_file.reflect()
    source_file.set_primary_key(["Patientnummer"])
    sor_mapping = SourceToSorMapping(source_file, "patient_hstage", auto_map=True, ignore_fields=["foto"])
    assert sor_mapping.file_name.endswith("patienten.csv") and source_file.quote == "|"
    mappings.append(sor_mapping)

    source_file = CsvFile(path + "trajecten.csv")
    source_file.delimiter = ","
    source_file.quote = '"'
    source_file.set_primary_key(["patientnummer", "trajectnummer"])
    sor_mapping = SourceToSorMapping(source_file, "traject_hstage", auto_map=False)
    for field in ("patientnummer", "trajectnummer", "order", "arts"):
        sor_mapping.map_field(field, field)
    sor_mapping.map_field("start", "start_datum")
    mappings.append(sor_mapping)

    source_file = FixedLengthFile(path + "artsen.txt", [("code", 4, True), ("naam", 10), ("zorgtype", 2), ("agb", 6)])
    source_file.encoding = "utf8"
    mappings.append(SourceToSorMapping(source_file, SorTable("arts_hstage", pipe.sor)))
    return mappings


def init_validations(pipe):
    sor_validation = SorValidation(tbl="patient_hstage", schema=pipe.sor)
    sor_validation.msg = "Ongeldige postcode"
    sor_validation.sql_condition = "postcode like '0000%'"
    dubbel = SorValidation(tbl=SorTable("patient_hstage", pipe.sor))
    dubbel.msg = "Dubbel pasnummer"
    dubbel.set_check_for_duplicate_keys(["pasnummer"])
    jong = DvValidation()
    jong.msg = "te jong"
    jong.set_condition((Patient.Default.geboortedatum >= "2020-01-01") & (Patient.Default.land == "NL"))
    fout = DvValidation()
    fout.msg = "X9 is ongeldig"
    fout.set_condition(Patient.Hub.bk, Validation.Operators.like, "'X9%'")
    assert str(fout) == "bk like 'X9%'"
    lang = DvValidation()
    lang.msg = "geen lengte van een mens"
    lengte = Patient.Default.lengte
    lang.set_condition(lengte.between(3, 9) | (lengte > 9) | (lengte <= 0) | ~(lengte < 99))
    buitenland = DvValidation()
    buitenland.msg = "woont niet hier"
    buitenland.set_condition(Patient.Default.land.is_in(["XX", "YY"]) & (Patient.Default.land != "NL"))
    return [sor_validation, dubbel, jong, fout, lang, buitenland]


def init_sor_to_dv_mappings(pipe):
    sor = pipe.sor
    mappings = []
    mapping = SorToEntityMapping("patient_hstage", Patient, sor, filter="coalesce(hstg.soort, '') <> 'kind'")
    mapping.map_bk(["patientnummer", "'praktijk'"])
    mapping.map_field(text_to_date_transform("geboortedatum"), Patient.Default.geboortedatum)
    mapping.map_field("geslacht", Patient.Default.geslacht_code, ref="geslachten")
    mapping.map_field("lengte::numeric", Patient.Default.lengte)
    mapping.map_field(ConstantValue(True), Patient.Default.is_nieuw)
    mapping.map_field("achternaam", Patient.Personalia.achternaam)
    mapping.map_field("voornaam", Patient.Personalia.voornaam, transform_func=FieldTransformation(sql="initcap({fld})"))
    mapping.map_field("postcode", Patient.Adres.postcode, type=Patient.Adres.Types.woon)
    mapping.map_field("huisnummer", Patient.Adres.huisnummer, type=Patient.Adres.Types.woon)
    mapping.map_field("postbus", Patient.Adres.postcode, type="vakantie")
    mapping.map_field("voornaam", Patient.Extra.gegevens)
    mapping.map_field("soort", Patient.Extra.gegevens)
    mapping.map_field("pasnummer", Patient.Sleutels.pasnummer)
    mapping.map_fixed_value("'t Hof", Patient.Extra.periode)
    mapping.map_field(Column("soort").join(Column("geslacht")), Patient.Extra.concept)
    mapping.map_field("opmerking")
    mappings.append(mapping)

    mapping = SorToEntityMapping("patient_hstage", Kind, sor)
    mapping.map_field("patientnummer || '.' || 'praktijk'", Kind.bk)
    mapping.map_field("voogd", Kind.Ouders.voogd)
    mapping.filter = "soort = 'kind'"
    mappings.append(mapping)

    mapping = SorToEntityMapping("traject_hstage", ZorgTraject, sor)
    mapping.map_bk("hstg.trajectnummer")
    mapping.map_field("order", ZorgTraject.Default.order)
    mappings.append(mapping)

    mapping = SorToEntityMapping("arts_hstage", Hulpverlener, sor)
    mapping.map_bk("code")
    mapping.map_field("naam", Hulpverlener.Default.naam)
    mapping.map_field(db_functions.MaakAgb("zorgtype", "agb"), Hulpverlener.Default.agb)
    mappings.append(mapping)

    woonplaatsen = "SELECT DISTINCT woonplaats, _active, _valid FROM sor_praktijk.patient_hstage"
    mapping = SorToEntityMapping(SorQuery(woonplaatsen, sor), Locatie, sor)
    mapping.map_bk("woonplaats")
    mapping.map_field("woonplaats", Locatie.Default.naam)
    mappings.append(mapping)

    mapping = EntityViewToEntityMapping("patient_view", Locatie, filter="view.default_land is not null")
    mapping.map_bk("default_land")
    mappings.append(mapping)

    link = SorToLinkMapping("traject_hstage", Patient_Traject_Link, sor)
    link.map_bk(["patientnummer", "'praktijk'"], Patient_Traject_Link.Link.patient)
    link.map_sor_fk("", Patient_Traject_Link.Link.traject)
    link.map_field("start_datum", Patient_Traject_Link.Default.sinds)
    mappings.append(link)

    link = SorToLinkMapping("patient_hstage", PatientHulpverlenerLink, sor, type="huisarts", filter="huisarts <> ''")
    link.map_entity(PatientHulpverlenerLink.Link.patient, bk=["patientnummer", "'praktijk'"])
    link.map_bk("huisarts", PatientHulpverlenerLink.Link.hulpverlener)
    mappings.append(link)

    link = SorToLinkMapping("patient_hstage", PatientBezoekLink, sor)
    link.map_entity(PatientBezoekLink.Link.patient, bk="patientnummer || '.' || 'praktijk'")
    link.map_entity(PatientBezoekLink.Link.bezocht, bk="huisarts", type=PatientBezoekLink.Link.Types.hulpverlener)
    mappings.append(link)

    link = SorToLinkMapping("traject_hstage", TrajectHulpverlenerLinkEntity, sor)
    link.map_entity(TrajectHulpverlenerLinkEntity.Link.traject)
    link.map_sor_fk(
        "fk_zorgverlener_hub",
        TrajectHulpverlenerLinkEntity.Link.behandelaar,
        join="arts_hstage.code = hstg.arts",
    )
    mappings.append(link)

    link = EntityViewToLinkMapping(Patient, PatientWoonplaatsLink)
    link.map_entity(PatientWoonplaatsLink.Link.patient)
    link.map_bk("default_land", PatientWoonplaatsLink.Link.woonplaats)
    mappings.append(link)
    return mappings


def init_sor_to_valset_mappings():
    mapping = SorToValueSetMapping("patient_hstage", Valueset)
    mapping.map_field(ConstantValue("geslachten"), Valueset.valueset_naam)
    mapping.map_field("geslacht", Valueset.code)
    mapping.map_field("initcap(geslacht)", Valueset.omschrijving)
    mapping.filter = "hstg.geslacht is not null"
    artsen = SorToValueSetMapping("arts_hstage", Specialismen)
    artsen.map_field("zorgtype", Specialismen.code)
    artsen.map_field("'soort ' || zorgtype", Specialismen.omschrijving)
    producten = SorToValueSetMapping(
        "SELECT DISTINCT trajectnummer, start_datum, _active, _valid FROM sor_praktijk.traject_hstage", Zorgproduct
    )
    producten.map_field("trajectnummer", Zorgproduct.code)
    producten.map_field("start_datum", Zorgproduct.ingangsdatum)
    redenen = SorToRefMapping({"K": "kind", "V": "'t verleden"}, "redenen")
    soorten = SorToRefMapping("patient_hstage", "soorten")
    soorten.map_code_field("patient_hstage.soort")
    soorten.map_descr_field("patient_hstage.soort")
    soorten.filter = "soort <> ''"
    return [mapping, artsen, producten, redenen, soorten]


def init_sleutel_mappings(pipe):
    """Metingen van het lab vinden de patient aan het pasnummer."""
    mapping = SorToEntityMapping("meting_hstage", Patient, pipe.sor)
    mapping.map_keys_in_sat(["pas"], [Patient.Sleutels.pasnummer])
    mapping.map_field("uitslag", Patient.Extra.codering)
    return mapping


def init_meting_mapping(pipe):
    mapping = SorToEntityMapping("meting_hstage", Meting, pipe.sor)
    mapping.map_bk("nummer")
    mapping.map_field("uitslag", Meting.Default.waarde)
    return mapping

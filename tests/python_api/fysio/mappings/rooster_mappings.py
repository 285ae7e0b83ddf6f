from domainmodel.main_domain import *
from domainmodel.valsets import Geslachten, Tarief
from main import get_root_path
from mappings import db_functions
from pyelt.mappings.base import ConstantValue
from pyelt.mappings.sor_to_dv_mappings import *
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.mappings.transformations import FieldTransformation
from pyelt.mappings.validations import DvValidation, SorValidation
from pyelt.sources.files import CsvFile


def text_to_date_transform(field_name):
    transform = FieldTransformation()
    transform.field_name = field_name
    transform.new_step("lpad({fld}, 8, '0')")
    transform.new_step("to_date({fld}, 'DDMMYYYY')")
    transform.new_step("CASE WHEN {fld} = '1901-01-01' OR {fld} = '0001-01-01 BC' THEN NULL ELSE {fld} END ")
    return transform


def init_source_to_sor_mappings():
    mappings = []
    source_file = CsvFile(get_root_path() + "/sample_data/medewerkers.csv", delimiter=";")
    source_file.reflect()
    source_file.set_primary_key(["nummer"])
    mappings.append(SourceToSorMapping(source_file, "medewerker_hstage", auto_map=True))

    source_file = CsvFile(get_root_path() + "/sample_data/contracten.csv", delimiter=";", quote='"')
    source_file.reflect()
    source_file.set_primary_key(["nummer", "Werkgever"])
    mappings.append(SourceToSorMapping(source_file, "contract_hstage", auto_map=True))
    return mappings


def init_sor_to_valset_mappings(sor):
    mapping = SorToValueSetMapping(
        """SELECT DISTINCT geslacht FROM sor_rooster.medewerker_hstage WHERE _active""", Geslachten, sor
    )
    mapping.map_field(ConstantValue("geslachten"), Geslachten.valueset_naam)
    mapping.map_field("geslacht", Geslachten.code)
    mapping.map_field("CASE geslacht WHEN 'v' THEN 'vrouw' ELSE 'man' END", Geslachten.omschrijving)
    tarief = SorToValueSetMapping("contract_hstage", Tarief, sor)
    tarief.map_field("functie", Tarief.code)
    tarief.map_field("vanaf", Tarief.ingangsdatum)
    tarief.map_field("LEFT(functie, 3)", Tarief.omschrijving_kort)
    return [mapping, tarief]


def init_sor_to_dv_mappings(sor):
    mappings = []
    mapping = SorToEntityMapping("medewerker_hstage", Medewerker, sor, filter="agb IS NULL")
    mapping.map_bk("'rooster_' || nummer")
    mapping.map_field(text_to_date_transform("geboorte_datum"), Medewerker.Default.geboortedatum)
    mapping.map_field("geslacht", Medewerker.Default.geslacht_code)
    mapping.map_field("initcap(hstg.voornaam)", Medewerker.Naamgegevens.voornaam)
    mapping.map_field("achternaam", Medewerker.Naamgegevens.achternaam)
    mapping.map_field("telefoon", Medewerker.Telefoonnummers.nummer, type=Medewerker.Telefoonnummers.Types.vast)
    mapping.map_field("mobiel", Medewerker.Telefoonnummers.nummer, type=Medewerker.Telefoonnummers.Types.mobiel)
    mapping.map_field("fax", Medewerker.Telefoonnummers.nummer, "fax nummer")
    mappings.append(mapping)

    mapping = SorToEntityMapping("medewerker_hstage", Therapeut, sor, filter="agb IS NOT NULL")
    mapping.map_field("'rooster_' || nummer", Therapeut.bk)
    mapping.map_field("achternaam", Therapeut.Naamgegevens.achternaam)
    mapping.map_field(db_functions.MaakAgb("soort", "agb"), Therapeut.Therapeutgegevens.agbcode)
    mappings.append(mapping)

    mapping = SorToEntityMapping("contract_hstage", Organisatie, sor)
    mapping.map_bk("werkgever")
    mapping.map_field("werkgever", Organisatie.Default.naam)
    mappings.append(mapping)

    for soort in ("woon", "post"):
        mapping = SorToEntityMapping("medewerker_hstage", Adres, sor, type=soort)
        mapping.map_bk("COALESCE(postcode_{0}, '') || COALESCE(huisnr_{0}, '')".format(soort[0]))
        mapping.map_field("postcode_" + soort[0], Adres.Default.postcode)
        mapping.map_field("huisnr_{}::integer".format(soort[0]), Adres.Default.huisnummer)
        mapping.filter = "postcode_{} IS NOT NULL".format(soort[0])
        mappings.append(mapping)

        link_mapping = SorToLinkMapping("medewerker_hstage", MedewerkerAdresLink, sor, type=soort)
        link_mapping.map_bk("'rooster_' || nummer", MedewerkerAdresLink.Link.medewerker)
        link_mapping.map_entity(MedewerkerAdresLink.Link.adres, type=soort)
        link_mapping.filter = "postcode_{} IS NOT NULL".format(soort[0])
        mappings.append(link_mapping)

    link_mapping = SorToLinkMapping("contract_hstage", MedewerkerWerkgeverLinkEntity, sor)
    link_mapping.map_bk("'rooster_' || nummer", MedewerkerWerkgeverLinkEntity.Link.medewerker)
    link_mapping.map_entity(MedewerkerWerkgeverLinkEntity.Link.werkgever)
    link_mapping.map_field("vanaf::date", MedewerkerWerkgeverLinkEntity.Geldigheid.vanaf)
    mappings.append(link_mapping)

    link_mapping = SorToLinkMapping(
        "medewerker_hstage", MedewerkerMedewerkerLinkEntity, sor, filter="manager IS NOT NULL"
    )
    link_mapping.map_bk("'rooster_' || manager", MedewerkerMedewerkerLinkEntity.Link.manager)
    link_mapping.map_bk("'rooster_' || nummer", MedewerkerMedewerkerLinkEntity.Link.werknemer)
    mappings.append(link_mapping)
    return mappings


def init_validations(sor):
    validations = []
    validation = SorValidation(tbl="medewerker_hstage", schema=sor)
    validation.msg = "Ongeldige postcode"
    validation.sql_condition = "postcode_w like '0000%'"
    validations.append(validation)
    validation = SorValidation(tbl="contract_hstage", schema=sor)
    validation.msg = "Dubbel contract"
    validation.set_check_for_duplicate_keys("contract")
    validations.append(validation)
    validation = DvValidation()
    validation.msg = "te jong"
    validation.set_condition(Medewerker.Default.geboortedatum >= "2010-01-01")
    validations.append(validation)
    return validations

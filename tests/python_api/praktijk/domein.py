from pyelt.datalayers.database import Column, Columns
from pyelt.datalayers.dv import *
from valsets import ValuesetsEnum


class Patient(HubEntity):
    """Alle personen in de rol van patient."""

    class Default(Sat):
        geboortedatum = Columns.DateColumn()
        geslacht_code = Columns.RefColumn(ValuesetsEnum.geslacht_codes)
        lengte = Columns.FloatColumn()
        gezien = Columns.DateTimeColumn()
        is_nieuw = Columns.BoolColumn()
        land = Columns.TextColumn(default_value="NL")

    class Personalia(Sat):
        achternaam = Columns.TextColumn("familienaam")
        voornaam = Columns.TextColumn()
        allergieen = Columns.TextArrayColumn()

    class Adres(HybridSat):
        class Types(HybridSat.Types):
            woon = "woon"
            post = "post"

        huisnummer = Columns.IntColumn()
        postcode = Columns.TextColumn()

    class Extra(Sat):
        gegevens = Columns.JsonColumn()
        periode = Columns.FHIR.PeriodColumn()
        codering = Columns.FHIR.CodingColumn()
        concept = Columns.FHIR.CodeableConceptColumn()

    class Sleutels(Sat):
        pasnummer = Columns.TextColumn()

    class RecordStatus(RecordStatusSat):
        pass


class Kind(Patient):
    class Ouders(Sat):
        voogd = Columns.TextColumn()


class Hulpverlener(HubEntity):
    __dbname__ = "zorgverlener"

    class Default(Sat):
        naam = Columns.TextColumn()
        agb = Columns.TextColumn()
        specialisme = Columns.RefColumn(ValuesetsEnum.specialisme_codes)


class Locatie(HubEntity):
    class Default(Sat):
        naam = Columns.TextColumn()


class ZorgTraject(HubEntity):
    class Default(Sat):
        order = Columns.TextColumn()
        aantal = Columns.IntColumn()


class Patient_Traject_Link(LinkEntity):
    class Link(Link):
        patient = LinkReference(Patient)
        traject = LinkReference(ZorgTraject, fk="fk_traject_zorg_traject_hub")

    class Default(Sat):
        sinds = Columns.DateColumn()

    class RecordStatus(RecordStatusSat):
        pass


class PatientHulpverlenerLink(LinkEntity):
    class Link(HybridLink):
        class Types:
            huisarts = "huisarts"
            waarnemer = "waarnemer"

        patient = LinkReference(Patient)
        hulpverlener = LinkReference(Hulpverlener)


class PatientBezoekLink(LinkEntity):
    class Link(HybridLink):
        class Types:
            hulpverlener = Hulpverlener
            locatie = Locatie

        patient = LinkReference(Patient)
        bezocht = DynamicLinkReference()


class TrajectHulpverlenerLinkEntity(LinkEntity):
    class Link(Link):
        traject = LinkReference(ZorgTraject)
        behandelaar = LinkReference(Hulpverlener)


class PatientWoonplaatsLink(LinkEntity):
    class Link(Link):
        patient = LinkReference(Patient)
        woonplaats = LinkReference(Locatie)


class Overzicht(EnsembleView):
    def __init__(self):
        EnsembleView.__init__(self, name="overzicht")
        self.add_entity_or_link(Patient)
        self.add_entity_or_link(Hulpverlener, "arts")
        self.add_entity_or_link(PatientHulpverlenerLink, "link")


class PatientTrajecten(EnsembleView):
    """Patienten met hun trajecten."""

    patient = Patient
    traject = ZorgTraject
    koppeling = Patient_Traject_Link

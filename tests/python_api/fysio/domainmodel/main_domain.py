from pyelt.datalayers.database import Columns
from pyelt.datalayers.dv import *
from domainmodel.valsets import ValuesetsEnum


class Medewerker(HubEntity):
    """Iedereen met een contract. bk: personeelsnummer"""

    class Default(Sat):
        geboortedatum = Columns.DateColumn()
        geslacht_code = Columns.RefColumn(ValuesetsEnum.geslacht_codes)

    class Naamgegevens(Sat):
        voornaam = Columns.TextColumn()
        achternaam = Columns.TextColumn()

    class Telefoonnummers(HybridSat):
        class Types(HybridSat.Types):
            vast = "vast"
            mobiel = "mobiel"
            fax = "fax nummer"

        nummer = Columns.TextColumn()
        geldig_tot = Columns.DateColumn()


class Therapeut(Medewerker):
    class Therapeutgegevens(Sat):
        agbcode = Columns.TextColumn()


class Organisatie(HubEntity):
    class Default(Sat):
        naam = Columns.TextColumn()


class Adres(HubEntity):
    class Default(Sat):
        straat = Columns.TextColumn()
        huisnummer = Columns.IntColumn()
        postcode = Columns.TextColumn()


class MedewerkerWerkgeverLinkEntity(LinkEntity):
    class Link(Link):
        medewerker = LinkReference(Medewerker)
        werkgever = LinkReference(Organisatie)

    class Geldigheid(Sat):
        vanaf = Columns.DateColumn()
        tot = Columns.DateColumn()


class MedewerkerMedewerkerLinkEntity(LinkEntity):
    class Link(Link):
        manager = LinkReference(Medewerker)
        werknemer = LinkReference(Medewerker)


class MedewerkerAdresLink(LinkEntity):
    class Link(HybridLink):
        class Types:
            post = "post"
            woon = "woon"

        medewerker = LinkReference(Medewerker)
        adres = LinkReference(Adres)


class Personeel(Ensemble_view):
    def __init__(self, name="", entity_and_link_list=[]):
        Ensemble_view.__init__(self, name="", entity_and_link_list=[])
        self.name = "personeel_view"
        self.add_entity_or_link(Organisatie, "werkgever")
        self.add_entity_or_link(Medewerker)
        self.add_entity_or_link(MedewerkerWerkgeverLinkEntity, "link")


class Leiding(Ensemble_view):
    def __init__(self):
        Ensemble_view.__init__(self)
        self.add_entity_or_link(Medewerker, "manager")
        self.add_entity_or_link(Medewerker, "werknemer")
        self.add_entity_or_link(MedewerkerMedewerkerLinkEntity, "link")

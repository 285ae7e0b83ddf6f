from pyelt.datalayers.database import Columns
from pyelt.datalayers.valset import *


class ValuesetsEnum:
    geslacht_codes = "geslachten"
    specialisme_codes = "specialismen"


class Valueset(DvValueset):
    pass


class Specialismen(DvValueset):
    code = Columns.TextColumn()
    omschrijving = Columns.TextColumn()
    omschrijving_lang = Columns.TextColumn()


class Zorgproduct(DvPeriodicalValueset):
    omschrijving_latijn = Columns.TextColumn()

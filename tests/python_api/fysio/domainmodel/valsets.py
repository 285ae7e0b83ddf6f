from pyelt.datalayers.database import Columns
from pyelt.datalayers.valset import *


class ValuesetsEnum:
    geslacht_codes = "geslachten"


class Geslachten(DvValueset):
    pass


class Tarief(DvPeriodicalValueset):
    omschrijving_kort = Columns.TextColumn()

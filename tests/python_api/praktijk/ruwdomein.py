from pyelt.datalayers.database import Columns
from pyelt.datalayers.dv import HubEntity, Sat


class Meting(HubEntity):
    __dbschema__ = "rdv"

    class Default(Sat):
        waarde = Columns.FloatColumn()
        eenheid = Columns.TextColumn()

from pyelt.datalayers.database import Column
from pyelt.datalayers.valset import DvPeriodicalValueset, DvValueset


class Lists:
    sex = "sex"
    specialism = "specialism"


class Valueset(DvValueset):
    """Codes and their descriptions"""


class Tariff(DvPeriodicalValueset):
    """What a treatment costs, per period"""

    amount = Column("amount", "numeric(10,2)")

from pyelt.datalayers.database import Columns
from pyelt.datalayers.dm import Dim, DmReference, Fact


class DimPatient(Dim):
    bk = Columns.TextColumn()
    geslacht = Columns.TextColumn()


class BezoekFact(Fact):
    patient = DmReference(DimPatient, "fk_dim_patient")
    aantal = Columns.IntColumn()

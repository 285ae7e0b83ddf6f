from pyelt.datalayers.database import Columns
from pyelt.datalayers.dm import Dim, DmReference, Fact


class DimPatient(Dim):
    bk = Columns.TextColumn()
    geslacht = Columns.TextColumn()
    postcode = Columns.TextColumn()
    opmerking = Columns.TextColumn()


class BezoekFact(Fact):
    patient = DmReference(DimPatient, "fk_dim_patient")
    aantal = Columns.IntColumn()

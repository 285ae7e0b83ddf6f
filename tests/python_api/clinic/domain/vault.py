from domain.valuesets import Lists
from pyelt.datalayers.database import Columns
from pyelt.datalayers.dv import *


class Patient(HubEntity):
    """Everyone who is or was treated here. bk = registration number"""

    __sources__ = ["his", "billing"]

    class Default(Sat):
        birth_date = Columns.DateColumn()
        sex = Columns.RefColumn(Lists.sex)

    class Name(Sat):
        last_name = Columns.TextColumn()
        first_name = Columns.TextColumn()

    class Address(Sat):
        street = Columns.TextColumn()
        house_number = Columns.IntColumn()
        postcode = Columns.TextColumn()
        city = Columns.TextColumn()

    class Contact(HybridSat):
        """How to reach the patient, one row per kind of address"""

        class Types(HybridSat.Types):
            phone = "phone"
            mobile = "mobile"

        number = Columns.TextColumn()

    class Insurance(Sat):
        """From the newest invoice"""

        insurer = Columns.TextColumn()
        policy_number = Columns.TextColumn()

    class RecordStatus(RecordStatusSat):
        pass


class Household(HubEntity):
    """Patients at one address. Made from the vault's own patient view, not from a source"""

    class Default(Sat):
        city = Columns.TextColumn()


class CareTrack(HubEntity):
    """One course of treatment of a patient. bk = registration number - track number"""

    class Default(Sat):
        specialism = Columns.RefColumn(Lists.specialism)
        started = Columns.DateColumn()
        ended = Columns.DateColumn()


class Organisation(HubEntity):
    """Organisations that the clinic works with"""

    class Default(Sat):
        name = Columns.TextColumn()
        city = Columns.TextColumn()


class Clinic(Organisation):
    """An organisation with beds; shares the hub of Organisation"""

    class Clinic(Sat):
        beds = Columns.IntColumn()


class Practitioner(HubEntity):
    """Doctors and nurses. bk = staff code"""

    class Default(Sat):
        name = Columns.TextColumn()
        specialism = Columns.RefColumn(Lists.specialism)


class LabOrder(HubEntity):
    """A request to the laboratory"""

    class Default(Sat):
        material = Columns.TextColumn()
        priority = Columns.TextColumn()
        status = Columns.TextColumn()

    class RecordStatus(RecordStatusSat):
        pass


class Analyte(HubEntity):
    """What the laboratory can measure"""

    class Default(Sat):
        description = Columns.TextColumn()
        unit = Columns.TextColumn()


class Invoice(HubEntity):
    """An invoice to a patient's insurer"""

    class Default(Sat):
        invoice_date = Columns.DateColumn()
        amount = Column("amount", "numeric(10,2)")
        status = Columns.TextColumn()

    class RecordStatus(RecordStatusSat):
        pass


class PatientCareTrack(LinkEntity):
    """Whose care track it is, and who referred the patient"""

    class Link(Link):
        patient = LinkReference(Patient)
        care_track = LinkReference(CareTrack)

    class Default(Sat):
        referred_by = Columns.TextColumn()
        referred_on = Columns.DateColumn()


class CareTrackPractitioner(LinkEntity):
    """Who is responsible for a care track now; a track has one practitioner at a time"""

    __driving__ = "care_track"

    class Link(Link):
        care_track = LinkReference(CareTrack)
        practitioner = LinkReference(Practitioner)

    class RecordStatus(RecordStatusSat):
        pass


class CareTrackClinicLink(LinkEntity):
    """Where a care track takes place, by way of its practitioner"""

    class Link(Link):
        care_track = LinkReference(CareTrack)
        clinic = LinkReference(Clinic)


class PatientPractitionerLink(LinkEntity):
    """The patient's own doctors, by the part that they play"""

    class Link(HybridLink):
        class Types:
            gp = "gp"
            attending = "attending"

        patient = LinkReference(Patient)
        practitioner = LinkReference(Practitioner)


class PatientHouseholdLink(LinkEntity):
    """Who lives where. Made from the vault's own patient view"""

    class Link(Link):
        patient = LinkReference(Patient)
        household = LinkReference(Household)


class LabOrderPatientLinkEntity(LinkEntity):
    class Link(Link):
        lab_order = LinkReference(LabOrder)
        patient = LinkReference(Patient)


class LabResult(LinkEntity):
    """What was measured; a result that the laboratory withdraws ends"""

    class Link(Link):
        lab_order = LinkReference(LabOrder)
        analyte = LinkReference(Analyte)

    class Default(Sat):
        value = Columns.FloatColumn()
        reported_at = Columns.DateTimeColumn()

    class RecordStatus(RecordStatusSat):
        pass


class InvoicePatientLink(LinkEntity):
    class Link(Link):
        invoice = LinkReference(Invoice)
        patient = LinkReference(Patient)

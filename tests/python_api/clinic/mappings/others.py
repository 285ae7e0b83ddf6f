from domain.valuesets import Valueset
from domain.vault import *
from pyelt.mappings.sor_to_dv_mappings import SorToEntityMapping, SorToLinkMapping, SorToValueSetMapping
from pyelt.mappings.source_to_sor_mappings import SourceToSorMapping
from pyelt.mappings.transformations import FieldTransformation
from pyelt.mappings.validations import SorValidation
from pyelt.sources.databases import SourceQuery, SourceTable
from pyelt.sources.files import FixedLengthFile

INVOICE = [
    ("invoice_number", 12, True),
    ("patient_number", 7),
    ("last_name", 24),
    ("insurer", 20),
    ("policy_number", 10),
    ("invoice_date", 8),
    ("cents", 9),
    ("status", 1),
]


def fill_lab(pipe):
    database = pipe.source_db
    analytes = SourceTable("analyte", database.default_schema, database)
    analytes.set_primary_key(["analyte_code"])
    catalogue = SourceToSorMapping(analytes, "analyte_hstage", auto_map=True)
    catalogue.description = "The catalogue of the laboratory, which seldom changes"
    orders = SourceQuery(
        database,
        """
        select order_number, patient_number, staff_code, material, priority, status
        from lab.lab_order
        where valid_from < '{{ data_interval_end }}' and (valid_to is null or valid_to >= '{{ data_interval_end }}');
        """,
        "orders",
    )
    orders.set_primary_key(["order_number"])
    results = SourceQuery(
        database,
        """
        select distinct on (order_number, analyte_code) order_number, analyte_code, value, state, changed_at
        from lab.result
        where changed_at < '{{ data_interval_end }}'
        order by order_number, analyte_code, changed_at desc
        """,
        "results",
    )
    results.set_primary_key(["order_number", "analyte_code"])
    delivered = SourceToSorMapping(results, "result_hstage")
    delivered.description = "Results that came or were corrected since the last load"
    delivered.delivery = "delta"
    delivered.changed_since = "changed_at"
    delivered.deleted_when = "state = 'withdrawn'"
    ordered = SourceToSorMapping(orders, "lab_order_hstage")
    ordered.description = "All orders as they stood at the end of the run's data interval"
    pipe.mappings += [catalogue, ordered, delivered]

    validation = SorValidation("result_hstage", pipe.sor)
    validation.msg = "Result without a value"
    validation.sql_condition = "value is null"
    pipe.validations.append(validation)

    mapping = SorToEntityMapping("analyte_hstage", Analyte, pipe.sor)
    mapping.map_bk("analyte_code")
    mapping.map_field("description", Analyte.Default.description)
    mapping.map_field("unit", Analyte.Default.unit)
    pipe.mappings.append(mapping)
    mapping = SorToEntityMapping("lab_order_hstage", LabOrder, pipe.sor)
    mapping.map_bk("order_number")
    mapping.map_field("material", LabOrder.Default.material)
    mapping.map_field("priority", LabOrder.Default.priority)
    mapping.map_field("status", LabOrder.Default.status)
    pipe.mappings.append(mapping)

    link = SorToLinkMapping("lab_order_hstage", LabOrderPatientLinkEntity, pipe.sor)
    link.map_entity(LabOrderPatientLinkEntity.Link.lab_order)
    link.map_bk("patient_number", LabOrderPatientLinkEntity.Link.patient)
    pipe.mappings.append(link)
    link = SorToLinkMapping("result_hstage", LabResult, pipe.sor)
    link.map_bk("order_number", LabResult.Link.lab_order)
    link.map_bk("analyte_code", LabResult.Link.analyte)
    link.map_field("value", LabResult.Default.value)
    link.map_field("changed_at", LabResult.Default.reported_at)
    pipe.mappings.append(link)

    mapping = SorToValueSetMapping("lab_order_hstage", Valueset)
    mapping.map_field("'priority'", Valueset.valueset_naam)
    mapping.map_field("priority", Valueset.code)
    mapping.map_field("initcap(priority)", Valueset.omschrijving)
    pipe.mappings.append(mapping)


def in_words(field_name):
    transformation = FieldTransformation()
    transformation.field_name = field_name
    transformation.new_step("case {fld} when 'O' then 'open' when 'P' then 'paid' end")
    return transformation


def fill_billing(pipe):
    source = FixedLengthFile("{{ ds[:7] }}/invoices.txt", INVOICE)
    source.encoding = "iso-8859-1"
    source.skip_lines = 1
    delivered = SourceToSorMapping(source, "invoice_hstage")
    delivered.description = "New invoices, and older ones whose status changed"
    delivered.delivery = "delta"
    delivered.deleted_when = "status = 'X'"
    pipe.mappings.append(delivered)

    mapping = SorToEntityMapping("invoice_hstage", Invoice, pipe.sor)
    mapping.map_bk("invoice_number")
    mapping.map_field("invoice_date", Invoice.Default.invoice_date)
    mapping.map_field("cents::numeric / 100", Invoice.Default.amount)
    mapping.map_field(in_words("status"), Invoice.Default.status)
    pipe.mappings.append(mapping)
    mapping = SorToEntityMapping("invoice_hstage", Patient, pipe.sor)
    mapping.map_bk("patient_number")
    mapping.map_field("last_name", Patient.Name.last_name)
    mapping.map_field("insurer", Patient.Insurance.insurer)
    mapping.map_field("policy_number", Patient.Insurance.policy_number)
    mapping.prefer = "invoice_date desc, invoice_number desc"
    pipe.mappings.append(mapping)

    link = SorToLinkMapping("invoice_hstage", InvoicePatientLink, pipe.sor)
    link.map_entity(InvoicePatientLink.Link.invoice)
    link.map_bk("patient_number", InvoicePatientLink.Link.patient)
    pipe.mappings.append(link)

-- see whether the mappings changed
select 1 from (
    select fingerprint from "sys".stages
    where pipe = %(pipe)s and stage = %(stage)s and kind = 'check_mappings' and state = 'done'
    order by load_order desc limit 1) last
where last.fingerprint = %(fingerprint)s;

-- check the mappings
savepoint mapping;

-- check analyte_hstage -> Analyte: bk
explain select (analyte_code)::text
from "sor_lab"."analyte_hstage" s;

-- check lab_order_hstage -> LabOrder: bk
explain select (order_number)::text
from "sor_lab"."lab_order_hstage" s;

-- check lab_order_hstage -> LabOrderPatient: references.lab_order
explain select (order_number)::text
from "sor_lab"."lab_order_hstage" s;

-- check lab_order_hstage -> LabOrderPatient: references.patient
explain select (patient_number)::text
from "sor_lab"."lab_order_hstage" s;

-- check result_hstage -> LabResult: references.lab_order
explain select (order_number)::text
from "sor_lab"."result_hstage" s;

-- check result_hstage -> LabResult: references.analyte
explain select (analyte_code)::text
from "sor_lab"."result_hstage" s;

-- check lab_order_hstage -> Valueset: fields.valueset_naam
explain select ('priority')::text
from "sor_lab"."lab_order_hstage" s;

-- check lab_order_hstage -> Valueset: fields.code
explain select (priority)::text
from "sor_lab"."lab_order_hstage" s;

-- check lab_order_hstage -> Valueset: fields.omschrijving
explain select (initcap(priority))::text
from "sor_lab"."lab_order_hstage" s;

-- check analyte_hstage -> Analyte: fields.Default.description
explain select (description)::text
from "sor_lab"."analyte_hstage" s;

-- check analyte_hstage -> Analyte: fields.Default.unit
explain select (unit)::text
from "sor_lab"."analyte_hstage" s;

-- check lab_order_hstage -> LabOrder: fields.Default.material
explain select (material)::text
from "sor_lab"."lab_order_hstage" s;

-- check lab_order_hstage -> LabOrder: fields.Default.priority
explain select (priority)::text
from "sor_lab"."lab_order_hstage" s;

-- check lab_order_hstage -> LabOrder: fields.Default.status
explain select (status)::text
from "sor_lab"."lab_order_hstage" s;

-- check result_hstage -> LabResult: fields.Default.value
explain select (value)::numeric
from "sor_lab"."result_hstage" s;

-- check result_hstage -> LabResult: fields.Default.reported_at
explain select (changed_at)::timestamp
from "sor_lab"."result_hstage" s;

-- check result_hstage.deleted_when
explain select 1
from "sor_lab"."result_hstage" s
where (state = 'withdrawn');

-- check validations.1
explain select 1
from "sor_lab"."result_hstage" s
where (value is null);

release savepoint mapping;

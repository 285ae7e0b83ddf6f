-- see whether the mappings changed
select 1 from (
    select fingerprint from "sys".stages
    where pipe = %(pipe)s and stage = %(stage)s and kind = 'check_mappings' and state = 'done'
    order by load_order desc limit 1) last
where last.fingerprint = %(fingerprint)s;

-- check the mappings
savepoint mapping;

-- check invoice_hstage -> Invoice: bk
explain select (invoice_number)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Patient: bk
explain select (patient_number)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> InvoicePatient: references.invoice
explain select (invoice_number)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> InvoicePatient: references.patient
explain select (patient_number)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Invoice: fields.Default.invoice_date
explain select (invoice_date)::date
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Invoice: fields.Default.amount
explain select (cents::numeric / 100)::numeric(10,2)
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Invoice: fields.Default.status
explain select (case status when 'O' then 'open' when 'P' then 'paid' end)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Patient: prefer
explain select 1
from "sor_billing"."invoice_hstage" s
order by invoice_date desc, invoice_number desc;

-- check invoice_hstage -> Patient: fields.Name.last_name
explain select (last_name)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Patient: fields.Insurance.insurer
explain select (insurer)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage -> Patient: fields.Insurance.policy_number
explain select (policy_number)::text
from "sor_billing"."invoice_hstage" s;

-- check invoice_hstage.deleted_when
explain select 1
from "sor_billing"."invoice_hstage" s
where (status = 'X');

release savepoint mapping;

-- materialized: view
-- description: What was invoiced and what was paid of it, per insurer and month.
select
    d.insurer,
    to_char(i.default_invoice_date, 'YYYY-MM') as month,
    count(*) as invoices,
    sum(i.default_amount) as invoiced,
    coalesce(sum(i.default_amount) filter (where i.default_status = 'paid'), 0) as paid
from dv.invoice_view i
join dv.invoice_patient_view l on l.fk_invoice_hub = i._id
join dm.dim_patient d on d.patient_id = l.fk_patient_hub
where i.record_status = 'active'
group by d.insurer, to_char(i.default_invoice_date, 'YYYY-MM')

-- materialized: view
-- description: What was invoiced and what was paid of it, per insurer and month.
select
    d.insurer,
    to_char(i.invoice_date, 'YYYY-MM') as month,
    count(*) as invoices,
    sum(i.amount) as invoiced,
    coalesce(sum(i.amount) filter (where i.status = 'paid'), 0) as paid
from dv.invoice_hub h
join dv.invoice_sat i on i._id = h._id and i._active
left join dv.invoice_sat_record_status s on s._id = h._id and s._active
join dv.invoice_patient_link l on l.fk_invoice_hub = h._id
join dm.dim_patient d on d.patient_id = l.fk_patient_hub
where coalesce(s.record_status, 'active') = 'active'
group by d.insurer, to_char(i.invoice_date, 'YYYY-MM')

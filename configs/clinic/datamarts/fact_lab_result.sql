-- materialized: incremental
-- unique_key: order_number, analyte_code
-- description: One row per result that has a number, with the patient whose order it belongs to.
select
    o.bk as order_number,
    a.bk as analyte_code,
    d.patient_id,
    d.city,
    r.value,
    c.unit,
    r.reported_at
from dv.lab_result_link l
join dv.lab_result_sat r on r._id = l._id and r._active
join dv.lab_order_hub o on o._id = l.fk_lab_order_hub
join dv.analyte_hub a on a._id = l.fk_analyte_hub
join dv.analyte_sat c on c._id = a._id and c._active
left join dv.lab_order_patient_link op on op.fk_lab_order_hub = o._id
left join dm.dim_patient d on d.patient_id = op.fk_patient_hub

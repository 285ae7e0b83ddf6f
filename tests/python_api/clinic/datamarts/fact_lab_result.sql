-- materialized: incremental
-- unique_key: order_number, analyte_code
-- description: One row per result that is a number, with the patient whose order it belongs to.
select
    r.lab_order_bk as order_number,
    r.analyte_bk as analyte_code,
    d.patient_id,
    d.city,
    r.default_value as value,
    a.default_unit as unit,
    r.default_reported_at as reported_at,
    r.status = 'ended' as is_withdrawn
from dv.lab_result_view r
join dv.analyte_view a on a._id = r.fk_analyte_hub
left join dv.lab_order_patient_view o on o.fk_lab_order_hub = r.fk_lab_order_hub
left join dm.dim_patient d on d.patient_id = o.fk_patient_hub

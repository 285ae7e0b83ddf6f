-- materialized: table
-- description: One row per patient, as the vault's view shows it, with whether the hospital still has the patient.
select
    p._id as patient_id,
    p.bk as patient_number,
    p.name_last_name as last_name,
    p.name_first_name as first_name,
    extract(year from p.birth_date)::integer as birth_year,
    p.sex_valueset_omschr as sex,
    p.address_city as city,
    p.insurance_insurer as insurer,
    coalesce(s.record_status, 'active') = 'active' as is_registered
from dv.patient_view p
left join dv.patient_sat_record_status s on s._id = p._id and s._source_system = 'his' and s._active

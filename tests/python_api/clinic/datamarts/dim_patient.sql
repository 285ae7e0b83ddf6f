-- materialized: table
-- description: One row per patient, as the vault's view shows it, with whether the hospital still has the patient.
select
    p._id as patient_id,
    p.bk as patient_number,
    p.name_last_name as last_name,
    p.name_first_name as first_name,
    extract(year from p.default_birth_date)::integer as birth_year,
    p.sex_sex_omschr as sex,
    p.address_city as city,
    p.insurance_insurer as insurer,
    p.record_status = 'active' and p.default_birth_date is not null as is_registered
from dv.patient_view p

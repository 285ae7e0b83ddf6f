-- see whether the mappings changed
select 1 from (
    select fingerprint from "sys".stages
    where pipe = %(pipe)s and stage = %(stage)s and kind = 'check_mappings' and state = 'done'
    order by load_order desc limit 1) last
where last.fingerprint = %(fingerprint)s;

-- check the mappings
savepoint mapping;

-- check patient_hstage -> Patient: bk
explain select (patient_number)::text
from "sor_his"."patient_hstage" s;

-- check care_track_hstage -> CareTrack: bk
explain select (patient_number || '-' || track_number)::text
from "sor_his"."care_track_hstage" s;

-- check practitioner_hstage -> Practitioner: bk
explain select (staff_code)::text
from "sor_his"."practitioner_hstage" s;

-- check organisation_hstage -> Organisation: bk
explain select (code)::text
from "sor_his"."organisation_hstage" s;

-- check organisation_hstage -> Clinic: bk
explain select (code)::text
from "sor_his"."organisation_hstage" s;

-- check Patient view -> Household: bk
explain select (address_postcode || ' ' || address_house_number)::text
from "dv"."patient_view" s;

-- check care_track_hstage -> PatientCareTrack: references.patient
explain select (patient_number)::text
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> PatientCareTrack: references.care_track
explain select (patient_number || '-' || track_number)::text
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> CareTrackPractitioner: references.care_track
explain select (patient_number || '-' || track_number)::text
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> CareTrackPractitioner: references.practitioner
explain select (staff_code)::text
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> CareTrackClinic: references.care_track
explain select (s.patient_number || '-' || s.track_number)::text
from "sor_his"."care_track_hstage" s
    join sor_his.practitioner_hstage p on p.staff_code = s.staff_code and p._active and p._valid;

-- check care_track_hstage -> CareTrackClinic: references.clinic
explain select (p.organisation_code)::text
from "sor_his"."care_track_hstage" s
    join sor_his.practitioner_hstage p on p.staff_code = s.staff_code and p._active and p._valid;

-- check patient_hstage -> PatientPractitioner: references.patient
explain select (patient_number)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> PatientPractitioner: references.practitioner
explain select (gp_code)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> PatientPractitioner (2): references.patient
explain select (patient_number)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> PatientPractitioner (2): references.practitioner
explain select (attending_code)::text
from "sor_his"."patient_hstage" s;

-- check Patient view -> PatientHousehold: references.patient
explain select (bk)::text
from "dv"."patient_view" s;

-- check Patient view -> PatientHousehold: references.household
explain select (address_postcode || ' ' || address_house_number)::text
from "dv"."patient_view" s;

-- check code_hstage -> Valueset: fields.valueset_naam
explain select (list)::text
from "sor_his"."code_hstage" s;

-- check code_hstage -> Valueset: fields.code
explain select (code)::text
from "sor_his"."code_hstage" s;

-- check code_hstage -> Valueset: fields.omschrijving
explain select (description)::text
from "sor_his"."code_hstage" s;

-- check tariff_hstage -> Tariff: fields.valueset_naam
explain select ('tariff')::text
from "sor_his"."tariff_hstage" s;

-- check tariff_hstage -> Tariff: fields.code
explain select (code)::text
from "sor_his"."tariff_hstage" s;

-- check tariff_hstage -> Tariff: fields.omschrijving
explain select (description)::text
from "sor_his"."tariff_hstage" s;

-- check tariff_hstage -> Tariff: fields.ingangsdatum
explain select (valid_from)::date
from "sor_his"."tariff_hstage" s;

-- check tariff_hstage -> Tariff: fields.einddatum
explain select (valid_to)::date
from "sor_his"."tariff_hstage" s;

-- check tariff_hstage -> Tariff: fields.amount
explain select (amount)::numeric(10,2)
from "sor_his"."tariff_hstage" s;

-- check patient_hstage -> Patient: fields.Default.birth_date
explain select (birth_date)::date
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Default.sex
explain select (sex)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Name.last_name
explain select (last_name)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Name.first_name
explain select (first_name)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Address.street
explain select (street)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Address.house_number
explain select (house_number)::integer
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Address.postcode
explain select (upper(replace(postcode, ' ', '')))::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Address.city
explain select (city)::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Contact.number[phone]
explain select (sor_his.clean_phone(phone))::text
from "sor_his"."patient_hstage" s;

-- check patient_hstage -> Patient: fields.Contact.number[mobile]
explain select (sor_his.clean_phone(mobile))::text
from "sor_his"."patient_hstage" s;

-- check care_track_hstage -> CareTrack: fields.Default.specialism
explain select (specialism)::text
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> CareTrack: fields.Default.started
explain select (started)::date
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> CareTrack: fields.Default.ended
explain select (ended)::date
from "sor_his"."care_track_hstage" s;

-- check practitioner_hstage -> Practitioner: fields.Default.name
explain select (name)::text
from "sor_his"."practitioner_hstage" s;

-- check practitioner_hstage -> Practitioner: fields.Default.specialism
explain select (specialism)::text
from "sor_his"."practitioner_hstage" s;

-- check organisation_hstage -> Organisation: fields.Default.name
explain select (name)::text
from "sor_his"."organisation_hstage" s;

-- check organisation_hstage -> Organisation: fields.Default.city
explain select (city)::text
from "sor_his"."organisation_hstage" s;

-- check organisation_hstage -> Clinic: source
explain select 1
from "sor_his"."organisation_hstage" s
where s._active
  and s._valid
  and (kind = 'clinic');

-- check organisation_hstage -> Clinic: fields.Clinic.beds
explain select (beds)::integer
from "sor_his"."organisation_hstage" s;

-- check Patient view -> Household: fields.Default.city
explain select (address_city)::text
from "dv"."patient_view" s;

-- check care_track_hstage -> PatientCareTrack: fields.Default.referred_by
explain select (referred_by)::text
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> PatientCareTrack: fields.Default.referred_on
explain select (referred_on)::date
from "sor_his"."care_track_hstage" s;

-- check care_track_hstage -> CareTrackClinic: source
explain select 1
from "sor_his"."care_track_hstage" s
    join sor_his.practitioner_hstage p on p.staff_code = s.staff_code and p._active and p._valid
where s._active
  and s._valid;

-- check validations.1
explain select 1
from "sor_his"."patient_hstage" s
where (postcode like '0000%%');

-- check validations.2
explain select "policy_number"
from "sor_his"."patient_hstage" s;

release savepoint mapping;

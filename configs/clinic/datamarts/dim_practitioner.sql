-- materialized: table
-- description: One row per practitioner; general practitioners are known by their code only.
select
    p._id as practitioner_id,
    p.bk as staff_code,
    s.name,
    v.omschrijving as specialism,
    s.name is null as is_external
from dv.practitioner_hub p
left join dv.practitioner_sat s on s._id = p._id and s._active
left join valset.valueset v on v.valueset_naam = 'specialism' and v.code = s.specialism and v._active

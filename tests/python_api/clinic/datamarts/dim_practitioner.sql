-- materialized: table
-- description: One row per practitioner; general practitioners are known by their code only.
select
    p._id as practitioner_id,
    p.bk as staff_code,
    p.default_name as name,
    p.specialism_specialism_omschr as specialism,
    p.default_name is null as is_external
from dv.practitioner_view p

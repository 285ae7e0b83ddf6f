-- look for keys whose giver was taken back
select distinct schemaname, tablename from "sys".given_keys
where left_behind and (schemaname, tablename) in (
    select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
order by 1, 2;

-- see what is new  [care_track_hstage -> CareTrackClinic]
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from "sys".stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from "sys".positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        select went.mapping, went.key_fingerprint from "sys".mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from "sys".mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)),
    array(
        select runid from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from "sys".mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true;

-- see the newest load
select coalesce(max(load_order), 0) from "sys".stages;

-- see whether a load is being committed
select exists (
select from pg_locks
where locktype = 'advisory' and objsubid = 1
    and database = (select oid from pg_database where datname = current_database())
    and (classid::bigint << 32 | objid::bigint) = hashtextextended(%(lock)s, 0));

-- see which tables it reads have changed  [care_track_hstage -> CareTrackClinic]
with unseen as materialized (
    select wrote.schemaname, wrote.tablename, wrote.load_order
    from unnest(%(schemas)s::text[], %(tables)s::text[]) as reads (schemaname, tablename)
    cross join lateral (
        select coalesce(max(load_order), 0) as load_order from "sys".horizons
        where pipe = %(pipe)s and mapping = %(mapping)s
            and (schemaname, tablename) = (reads.schemaname, reads.tablename)) as passed
    cross join lateral (
        select schemaname, tablename, load_order from "sys".writes
        where (schemaname, tablename) = (reads.schemaname, reads.tablename) and load_order > passed.load_order and not gone
        offset 0) as wrote
    where not exists (
        select from "sys".positions as seen
        where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
            and seen.schemaname = wrote.schemaname and seen.tablename = wrote.tablename
            and seen.sor_runid = -wrote.load_order
        offset 0))
select reads.schemaname, reads.tablename,
    exists (
        select from "sys".steps wrote
        where wrote.schemaname = reads.schemaname and wrote.tablename = reads.tablename),
    array(
        select -unseen.load_order::numeric from unseen
        where (unseen.schemaname, unseen.tablename) = (reads.schemaname, reads.tablename)
        union all
        select (-wrote.load_order - 0.5) from "sys".writes as wrote
        where (wrote.schemaname, wrote.tablename) = (reads.schemaname, reads.tablename) and wrote.gone
            and exists (
        select from "sys".positions as seen
        where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
            and seen.schemaname = wrote.schemaname and seen.tablename = wrote.tablename
            and seen.sor_runid = -wrote.load_order
        offset 0) and not exists (
        select from "sys".positions as seen
        where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
            and seen.schemaname = wrote.schemaname and seen.tablename = wrote.tablename
            and seen.sor_runid = (-wrote.load_order - 0.5)
        offset 0)
        order by 1)
from unnest(%(schemas)s::text[], %(tables)s::text[]) as reads (schemaname, tablename);

-- see whether waiting references have arrived  [care_track_hstage -> CareTrackClinic]
select exists (
select from "sys".waiting_references w
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."care_track_hub" h where h.bk = w.missing_bk)
or w.hub = %(hub_2)s and (select true from "dv"."organisation_hub" h where h.bk = w.missing_bk)));

-- collect the rows of care_track_hstage -> CareTrackClinic
savepoint mapping;

-- look up the references of changed rows: dv.care_track_clinic_link  [care_track_hstage -> CareTrackClinic]
create temporary table "pyelt_link_rows_3" on commit drop as
select hashtextextended(jsonb_build_array(c.key_1, c.key_2)::text, 0) as row_id, true as usable,
    h1._id as "fk_care_track_hub", h2._id as "fk_clinic_organisation_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select (s.patient_number || '-' || s.track_number)::text as key_1, (p.organisation_code)::text as key_2
    from "sor_his"."care_track_hstage" s
    join sor_his.practitioner_hstage p on p.staff_code = s.staff_code and p._active and p._valid
    where s._active
      and s._valid
) c
left join "dv"."care_track_hub" h1 on h1.bk = c.key_1
left join "dv"."organisation_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [care_track_hstage -> CareTrackClinic]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_3"
where usable;

-- see what is new  [care_track_hstage -> CareTrackPractitioner]
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from "sys".stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from "sys".positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        select went.mapping, went.key_fingerprint from "sys".mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from "sys".mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)),
    array(
        select runid from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from "sys".mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true;

-- see which waiting references have arrived: dv.care_track_practitioner_link  [care_track_hstage -> CareTrackPractitioner]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."care_track_hub" h where h.bk = w.missing_bk)
    or w.hub = %(hub_2)s and (select true from "dv"."practitioner_hub" h where h.bk = w.missing_bk)
    or (select true from "sor_his"."care_track_hstage" s where s._id = w.row_id and s._active and s._valid) is null);

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [care_track_hstage -> CareTrackPractitioner]
create temporary table pyelt_touched_2 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."care_track_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_his"."care_track_hstage" where _finish_runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null
    union
    select row_id from "sys".waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s
) as changed;

-- make room for the keys of changed rows  [care_track_hstage -> CareTrackPractitioner]
create temporary table "pyelt_link_keys_2" (look_1 text, key_1 text, key_2 text, type text, gone boolean, closed_now boolean) on commit drop;

-- collect the keys of care_track_hstage -> CareTrackPractitioner
savepoint mapping;

-- collect the keys of changed rows  [care_track_hstage -> CareTrackPractitioner]
insert into "pyelt_link_keys_2"
with recursive later as (
    select changed._id, changed._runid,
        case when changed._active then changed._runid = any(%(runids)s::numeric[]) else (changed._valid and changed._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s
              and j.runid = any(%(runids)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = changed._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping)s and x.row_id = changed._id
              and (x.freed_runid is null or x.freed_runid >= changed._finish_runid
                or not changed._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema)s and j.tablename = %(table)s
                      and j.row_id = changed._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))) end
            as stood,
        changed."patient_number", changed."track_number", changed._active as of_active
    from "sor_his"."care_track_hstage" changed
    where changed._id in (select _touched from pyelt_touched_2)
      and (changed._active or changed._finish_runid is distinct from changed._runid)
    union
    select before._id, before._runid, (before._valid and before._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s
              and j.runid = any(%(runids)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = before._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping)s and x.row_id = before._id
              and (x.freed_runid is null or x.freed_runid >= before._finish_runid
                or not before._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema)s and j.tablename = %(table)s
                      and j.row_id = before._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))), before."patient_number", before."track_number", later.of_active
    from later
    join "sor_his"."care_track_hstage" before
        on before."patient_number" = later."patient_number" and before."track_number" = later."track_number" and not before._active and before._finish_runid = later._runid
    where not later.stood and before._runid < before._finish_runid
),
looked_at as (
    select _id as pyelt_id, bool_or(stood) as pyelt_stood, bool_or(not of_active) as pyelt_closed_now from later group by _id
)
select distinct (patient_number || '-' || track_number)::text as look_1, (patient_number || '-' || track_number)::text as key_1, (staff_code)::text as key_2, null::text, not s._active, pyelt_closed_now
from looked_at, "sor_his"."care_track_hstage" s
where pyelt_id = s._id
      and (s._active or pyelt_stood);

release savepoint mapping;

-- collect the rows of care_track_hstage -> CareTrackPractitioner
savepoint mapping;

-- look up the references of all rows with changed keys: dv.care_track_practitioner_link  [care_track_hstage -> CareTrackPractitioner]
create temporary table "pyelt_link_rows_2" on commit drop as
select c.row_id as row_id, true as usable, c.run_number, c.preference, c.place,
    h1._id as "fk_care_track_hub", h2._id as "fk_practitioner_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, s._runid as run_number, null::bigint as preference, row_number() over (order by s."patient_number" collate "C", s."track_number" collate "C") as place, (patient_number || '-' || track_number)::text as key_1, (staff_code)::text as key_2
    from "sor_his"."care_track_hstage" s
    where s._active
      and s._valid
      and ((patient_number || '-' || track_number)::text) in (select look_1 from "pyelt_link_keys_2" k)
    union all
    select s._id as row_id, s._runid as run_number, null::bigint as preference, row_number() over (order by s."patient_number" collate "C", s."track_number" collate "C") as place, (patient_number || '-' || track_number)::text as key_1, (staff_code)::text as key_2
    from "sor_his"."care_track_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_2)
      and ((patient_number || '-' || track_number)::text is null)
) c
left join "dv"."care_track_hub" h1 on h1.bk = c.key_1
left join "dv"."practitioner_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- keep what rejected rows of care_track_hstage -> CareTrackPractitioner gave
savepoint mapping;

-- keep what rejected rows gave before: dv.care_track_practitioner_link  [care_track_hstage -> CareTrackPractitioner]
insert into "pyelt_link_rows_2" (row_id, usable, run_number, "fk_care_track_hub", "fk_practitioner_hub", missing_1, missing_2, keyed)
with recursive later as (
    select refused._id, refused._runid,
        refused._runid <> all(%(runids)s::numeric[]) and (refused._valid and refused._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s
              and j.runid = any(%(runids)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = refused._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping)s and x.row_id = refused._id
              and (x.freed_runid is null or x.freed_runid >= refused._finish_runid
                or not refused._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema)s and j.tablename = %(table)s
                      and j.row_id = refused._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))) as stood,
        refused."patient_number", refused."track_number"
    from "sor_his"."care_track_hstage" refused
    where refused._id in (
        select bad._id from "sor_his"."care_track_hstage" bad where bad._active and not bad._valid)
    union
    select before._id, before._runid, (before._valid and before._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s
              and j.runid = any(%(runids)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = before._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping)s and x.row_id = before._id
              and (x.freed_runid is null or x.freed_runid >= before._finish_runid
                or not before._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema)s and j.tablename = %(table)s
                      and j.row_id = before._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))), before."patient_number", before."track_number"
    from later
    join "sor_his"."care_track_hstage" before
        on before."patient_number" = later."patient_number" and before."track_number" = later."track_number" and not before._active and before._finish_runid = later._runid
    where not later.stood and before._runid < before._finish_runid
)
select c.row_id as row_id, false, c.run_number,
    h1._id as "fk_care_track_hub", h2._id as "fk_practitioner_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, s._runid as run_number, (patient_number || '-' || track_number)::text as key_1, (staff_code)::text as key_2
    from "sor_his"."care_track_hstage" s
    where s._id in (select _id from later where stood)
) c
left join "dv"."care_track_hub" h1 on h1.bk = c.key_1
left join "dv"."practitioner_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [care_track_hstage -> CareTrackPractitioner]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_2"
where usable;

-- see what is new  [care_track_hstage -> PatientCareTrack]
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from "sys".stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from "sys".positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        select went.mapping, went.key_fingerprint from "sys".mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from "sys".mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)),
    array(
        select runid from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from "sys".mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true;

-- see which waiting references have arrived: dv.patient_care_track_link  [care_track_hstage -> PatientCareTrack]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."patient_hub" h where h.bk = w.missing_bk)
    or w.hub = %(hub_2)s and (select true from "dv"."care_track_hub" h where h.bk = w.missing_bk)
    or (select true from "sor_his"."care_track_hstage" s where s._id = w.row_id and s._active and s._valid) is null);

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [care_track_hstage -> PatientCareTrack]
create temporary table pyelt_touched_1 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."care_track_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_his"."care_track_hstage" where _finish_runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null
    union
    select row_id from "sys".waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s
) as changed;

-- make room for the keys of changed rows  [care_track_hstage -> PatientCareTrack]
create temporary table "pyelt_link_keys_1" (look_1 text, look_2 text, key_1 text, key_2 text, type text, gone boolean, closed_now boolean) on commit drop;

-- collect the keys of care_track_hstage -> PatientCareTrack
savepoint mapping;

-- collect the keys of changed rows  [care_track_hstage -> PatientCareTrack]
insert into "pyelt_link_keys_1"
with recursive later as (
    select changed._id, changed._runid,
        case when changed._active then changed._runid = any(%(runids)s::numeric[]) else (changed._valid and changed._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s
              and j.runid = any(%(runids)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = changed._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping)s and x.row_id = changed._id
              and (x.freed_runid is null or x.freed_runid >= changed._finish_runid
                or not changed._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema)s and j.tablename = %(table)s
                      and j.row_id = changed._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))) end
            as stood,
        changed."patient_number", changed."track_number", changed._active as of_active
    from "sor_his"."care_track_hstage" changed
    where changed._id in (select _touched from pyelt_touched_1)
      and (changed._active or changed._finish_runid is distinct from changed._runid)
    union
    select before._id, before._runid, (before._valid and before._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s
              and j.runid = any(%(runids)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = before._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping)s and x.row_id = before._id
              and (x.freed_runid is null or x.freed_runid >= before._finish_runid
                or not before._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema)s and j.tablename = %(table)s
                      and j.row_id = before._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))), before."patient_number", before."track_number", later.of_active
    from later
    join "sor_his"."care_track_hstage" before
        on before."patient_number" = later."patient_number" and before."track_number" = later."track_number" and not before._active and before._finish_runid = later._runid
    where not later.stood and before._runid < before._finish_runid
),
looked_at as (
    select _id as pyelt_id, bool_or(stood) as pyelt_stood, bool_or(not of_active) as pyelt_closed_now from later group by _id
)
select distinct (patient_number)::text as look_1, (patient_number || '-' || track_number)::text as look_2, (patient_number)::text as key_1, (patient_number || '-' || track_number)::text as key_2, null::text, not s._active, pyelt_closed_now
from looked_at, "sor_his"."care_track_hstage" s
where pyelt_id = s._id
      and (s._active or pyelt_stood);

release savepoint mapping;

-- collect the rows of care_track_hstage -> PatientCareTrack
savepoint mapping;

-- look up the references of all rows with changed keys: dv.patient_care_track_link  [care_track_hstage -> PatientCareTrack]
create temporary table "pyelt_link_rows_1" on commit drop as
select c.row_id as row_id, true as usable, c.run_number, c.preference, c.place, c._value_1, c._value_2,
    h1._id as "fk_patient_hub", h2._id as "fk_care_track_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, s._runid as run_number, null::bigint as preference, row_number() over (order by s."patient_number" collate "C", s."track_number" collate "C") as place, (referred_by)::text as _value_1, (referred_on)::date as _value_2, (patient_number)::text as key_1, (patient_number || '-' || track_number)::text as key_2
    from "sor_his"."care_track_hstage" s
    where s._active
      and s._valid
      and ((patient_number)::text, (patient_number || '-' || track_number)::text) in (select look_1, look_2 from "pyelt_link_keys_1" k)
    union all
    select s._id as row_id, s._runid as run_number, null::bigint as preference, row_number() over (order by s."patient_number" collate "C", s."track_number" collate "C") as place, (referred_by)::text as _value_1, (referred_on)::date as _value_2, (patient_number)::text as key_1, (patient_number || '-' || track_number)::text as key_2
    from "sor_his"."care_track_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_1)
      and ((patient_number)::text is null or (patient_number || '-' || track_number)::text is null)
) c
left join "dv"."patient_hub" h1 on h1.bk = c.key_1
left join "dv"."care_track_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [care_track_hstage -> PatientCareTrack]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_1"
where usable;

-- see what is new  [patient_hstage -> PatientPractitioner]
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from "sys".stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from "sys".positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        select went.mapping, went.key_fingerprint from "sys".mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from "sys".mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)),
    array(
        select runid from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from "sys".mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true;

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [patient_hstage -> PatientPractitioner]
create temporary table pyelt_touched_4 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."patient_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null
    union
    select row_id from "sys".waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s
) as changed;

-- collect the rows of patient_hstage -> PatientPractitioner
savepoint mapping;

-- look up the references of changed rows: dv.patient_practitioner_link  [patient_hstage -> PatientPractitioner]
create temporary table "pyelt_link_rows_4" on commit drop as
select c.row_id as row_id, true as usable,
    h1._id as "fk_patient_hub", h2._id as "fk_practitioner_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, (patient_number)::text as key_1, (gp_code)::text as key_2
    from "sor_his"."patient_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_4)
) c
left join "dv"."patient_hub" h1 on h1.bk = c.key_1
left join "dv"."practitioner_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [patient_hstage -> PatientPractitioner]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_4"
where usable;

-- see what is new  [patient_hstage -> PatientPractitioner (2)]
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from "sys".stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from "sys".positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        select went.mapping, went.key_fingerprint from "sys".mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from "sys".mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)),
    array(
        select runid from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from "sys".mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true;

-- see which waiting references have arrived: dv.patient_practitioner_link  [patient_hstage -> PatientPractitioner (2)]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."patient_hub" h where h.bk = w.missing_bk)
    or w.hub = %(hub_2)s and (select true from "dv"."practitioner_hub" h where h.bk = w.missing_bk)
    or (select true from "sor_his"."patient_hstage" s where s._id = w.row_id and s._active and s._valid) is null);

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [patient_hstage -> PatientPractitioner (2)]
create temporary table pyelt_touched_5 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."patient_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null
    union
    select row_id from "sys".waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s
) as changed;

-- collect the rows of patient_hstage -> PatientPractitioner (2)
savepoint mapping;

-- look up the references of changed rows: dv.patient_practitioner_link  [patient_hstage -> PatientPractitioner (2)]
create temporary table "pyelt_link_rows_5" on commit drop as
select c.row_id as row_id, true as usable,
    h1._id as "fk_patient_hub", h2._id as "fk_practitioner_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, (patient_number)::text as key_1, (attending_code)::text as key_2
    from "sor_his"."patient_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_5)
) c
left join "dv"."patient_hub" h1 on h1.bk = c.key_1
left join "dv"."practitioner_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [patient_hstage -> PatientPractitioner (2)]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_5"
where usable;

-- insert keys that only links know: dv.patient_hub
with made as (
    insert into "dv"."patient_hub" (_runid, _source_system, _insert_date, type, bk)
    select %(runid)s, %(pipe)s, %(load_time)s, %(type)s, missing.bk
    from (
        select missing_1 as bk from "pyelt_link_rows_4" where usable and keyed
    ) missing
    where missing.bk is not null
    order by missing.bk
    on conflict do nothing
    returning _id)
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, made._id, %(pipe)s, %(runid)s, true from made;

-- insert keys that only links know: dv.practitioner_hub
with made as (
    insert into "dv"."practitioner_hub" (_runid, _source_system, _insert_date, type, bk)
    select %(runid)s, %(pipe)s, %(load_time)s, %(type)s, missing.bk
    from (
        select missing_2 as bk from "pyelt_link_rows_4" where usable and keyed
    ) missing
    where missing.bk is not null
    order by missing.bk
    on conflict do nothing
    returning _id)
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, made._id, %(pipe)s, %(runid)s, true from made;

-- look up the keys that were made: dv.patient_practitioner_link  [patient_hstage -> PatientPractitioner]
update "pyelt_link_rows_4" r set "fk_patient_hub" = coalesce(r."fk_patient_hub", (select h._id from "dv"."patient_hub" h where h.bk = r.missing_1)), missing_1 = null, "fk_practitioner_hub" = coalesce(r."fk_practitioner_hub", (select h._id from "dv"."practitioner_hub" h where h.bk = r.missing_2)), missing_2 = null
where usable and keyed and (missing_1 is not null or missing_2 is not null);

-- look for empty tables
select 0, not exists (select from "dv"."care_track_clinic_link");

-- insert new links: dv.care_track_clinic_link
insert into "dv"."care_track_clinic_link" (_runid, _source_system, _insert_date, "fk_care_track_hub", "fk_clinic_organisation_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_care_track_hub", "fk_clinic_organisation_hub", type
from (
    select distinct "fk_care_track_hub", "fk_clinic_organisation_hub", type
    from (
    select "fk_care_track_hub", "fk_clinic_organisation_hub", null::text as type from "pyelt_link_rows_3" where usable and "fk_care_track_hub" is not null and "fk_clinic_organisation_hub" is not null
    ) found
) r
where not exists (select from "dv"."care_track_clinic_link" l where l."fk_care_track_hub" = r."fk_care_track_hub" and l."fk_clinic_organisation_hub" = r."fk_clinic_organisation_hub")
order by "fk_care_track_hub", "fk_clinic_organisation_hub", type
on conflict do nothing;

-- note that the pipe gives them, too  [care_track_hstage -> CareTrackClinic]
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from "dv"."care_track_clinic_link" as k
where k._id in (
    select l._id from "pyelt_link_rows_3" as r join "dv"."care_track_clinic_link" as l on l."fk_care_track_hub" = r."fk_care_track_hub" and l."fk_clinic_organisation_hub" = r."fk_clinic_organisation_hub" where r.usable)
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from "sys".given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing;

-- resolve references that wait no longer: dv.care_track_clinic_link  [care_track_hstage -> CareTrackClinic]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and not exists (
    select from "pyelt_link_rows_3" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
    where r.usable and r.keyed and m.bk = w.missing_bk and m.role = w.role and r.row_id = w.row_id);

-- let links wait for keys that are missing: dv.care_track_clinic_link  [care_track_hstage -> CareTrackClinic]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_3" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- remember what was looked at  [care_track_hstage -> CareTrackClinic]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- look for empty tables
select 0, not exists (select from "dv"."care_track_practitioner_link");

-- insert new links: dv.care_track_practitioner_link
insert into "dv"."care_track_practitioner_link" (_runid, _source_system, _insert_date, "fk_care_track_hub", "fk_practitioner_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_care_track_hub", "fk_practitioner_hub", type
from (
    select distinct "fk_care_track_hub", "fk_practitioner_hub", type
    from (
    select "fk_care_track_hub", "fk_practitioner_hub", null::text as type from "pyelt_link_rows_2" where usable and "fk_care_track_hub" is not null and "fk_practitioner_hub" is not null
    ) found
) r
where not exists (select from "dv"."care_track_practitioner_link" l where l."fk_care_track_hub" = r."fk_care_track_hub" and l."fk_practitioner_hub" = r."fk_practitioner_hub")
order by "fk_care_track_hub", "fk_practitioner_hub", type
on conflict do nothing;

-- note that the pipe gives them, too  [care_track_hstage -> CareTrackPractitioner]
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from "dv"."care_track_practitioner_link" as k
where k._id in (
    select l._id from "pyelt_link_rows_2" as r join "dv"."care_track_practitioner_link" as l on l."fk_care_track_hub" = r."fk_care_track_hub" and l."fk_practitioner_hub" = r."fk_practitioner_hub" where r.usable)
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from "sys".given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing;

-- let links wait for keys that are missing: dv.care_track_practitioner_link  [care_track_hstage -> CareTrackPractitioner]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_2" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- see which links are current: dv.care_track_practitioner_sat_status  [care_track_hstage -> CareTrackPractitioner]
create temporary table "pyelt_link_states_2" on commit drop as
with given as (
    select r."fk_care_track_hub", r."fk_practitioner_hub", null::text as type, r.usable, r.run_number, r.preference, r.run_number = any(%(unseen_2)s::numeric[]) as unseen, array[2, r.place] as place from "pyelt_link_rows_2" r where r."fk_care_track_hub" is not null and r."fk_practitioner_hub" is not null
), seen as (
    select l._id, true as given, given.usable, false as gone, false as closed_now,
        given.run_number, given.unseen, given.preference, given.place
    from given join "dv"."care_track_practitioner_link" l on l."fk_care_track_hub" = given."fk_care_track_hub" and l."fk_practitioner_hub" = given."fk_practitioner_hub"
    union all
    select touched._id, false, false, touched.gone, touched.closed_now, null, null, null, null
    from (
    select l._id, true as gone, k.closed_now from (select * from "pyelt_link_keys_2" where gone) k
    join "dv"."care_track_hub" h1 on h1.bk = k.key_1
    join "dv"."practitioner_hub" h2 on h2.bk = k.key_2
    join "dv"."care_track_practitioner_link" l on l."fk_care_track_hub" = h1._id and l."fk_practitioner_hub" = h2._id
        and (coalesce(l._source_system, %(pipe)s) = %(pipe)s
        or exists (
            select from "sys".given_keys o
            where (o.schemaname, o.tablename, o.row_id, o.pipe) = ('dv', 'care_track_practitioner_link', l._id, %(pipe)s)
                and not o.only_for_links)
        or exists (select from "dv"."care_track_practitioner_sat_status" o where o._id = l._id and o._source_system = %(pipe)s))
    union all
    select l._id, false, false from "pyelt_link_keys_2" k
    join "dv"."care_track_hub" h on h.bk = k.key_1
    join "dv"."care_track_practitioner_link" l on l."fk_care_track_hub" = h._id
    where coalesce(l._source_system, %(pipe)s) = %(pipe)s
       or exists (select from "dv"."care_track_practitioner_sat_status" st where st._id = l._id and st._source_system = %(pipe)s and st._active)
    ) touched
), judged as (
    select l._id, l."fk_care_track_hub", l.type,
        bool_or(seen.usable) or bool_or(seen.given) and coalesce(max(st.record_status), 'active') = 'active' as holds,
        l._runid = %(runid)s
            or coalesce(bool_and(seen.unseen) filter (
                where seen.usable or coalesce(st.record_status, 'active') = 'active'), false)
            and not bool_or(seen.closed_now) as is_new,
        l._runid <> %(runid)s and coalesce(max(st.record_status), 'active') = 'active' and (
            coalesce(l._source_system, %(pipe)s) = %(pipe)s or bool_or(st._id is not null or seen.gone)
            or coalesce(bool_or(not seen.unseen), false)) as was_current,
        min(seen.preference) as preference, max(seen.run_number) as run_number, min(seen.place) as place
    from seen join "dv"."care_track_practitioner_link" l on l._id = seen._id
    left join "dv"."care_track_practitioner_sat_status" st on st._id = l._id and st._source_system = %(pipe)s and st._active
    where (seen.given or l._runid <> %(runid)s) and num_nulls(l."fk_care_track_hub", l."fk_practitioner_hub") = 0
    group by l._id, l._runid, l._source_system, l."fk_care_track_hub", l.type
)
select _id, holds and 1 = row_number() over (
        partition by "fk_care_track_hub", type
        order by holds desc, preference, is_new desc, was_current desc, run_number desc nulls last, place, _id) as current
from judged;

-- close the status of links that went or came back: dv.care_track_practitioner_sat_status  [care_track_hstage -> CareTrackPractitioner]
update "dv"."care_track_practitioner_sat_status" st
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_link_states_2" c
where st._id = c._id and st._source_system = %(pipe)s and st._active
  and st.record_status is distinct from case when c.current then 'active' else 'ended' end;

-- end links that went: dv.care_track_practitioner_sat_status  [care_track_hstage -> CareTrackPractitioner]
insert into "dv"."care_track_practitioner_sat_status" (_id, _runid, _source_system, _insert_date, _active, _revision, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true, coalesce(last._revision + 1, 0), %(word)s
from "pyelt_link_states_2" c
left join lateral (
    select st._revision, st.record_status from "dv"."care_track_practitioner_sat_status" st
    where st._id = c._id and st._source_system = %(pipe)s
    order by st._revision desc limit 1
) last on true
where c.current = (%(word)s = 'active') and coalesce(last.record_status, 'active') <> %(word)s;

-- let links be active that came back: dv.care_track_practitioner_sat_status  [care_track_hstage -> CareTrackPractitioner]
insert into "dv"."care_track_practitioner_sat_status" (_id, _runid, _source_system, _insert_date, _active, _revision, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true, coalesce(last._revision + 1, 0), %(word)s
from "pyelt_link_states_2" c
left join lateral (
    select st._revision, st.record_status from "dv"."care_track_practitioner_sat_status" st
    where st._id = c._id and st._source_system = %(pipe)s
    order by st._revision desc limit 1
) last on true
where c.current = (%(word)s = 'active') and coalesce(last.record_status, 'active') <> %(word)s;

-- remember what was looked at  [care_track_hstage -> CareTrackPractitioner]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- look for empty tables
select 0, not exists (select from "dv"."patient_care_track_link")
union all
select 1, not exists (select from "dv"."patient_care_track_sat");

-- insert new links: dv.patient_care_track_link
insert into "dv"."patient_care_track_link" (_runid, _source_system, _insert_date, "fk_patient_hub", "fk_care_track_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_patient_hub", "fk_care_track_hub", type
from (
    select distinct "fk_patient_hub", "fk_care_track_hub", type
    from (
    select "fk_patient_hub", "fk_care_track_hub", null::text as type from "pyelt_link_rows_1" where usable and "fk_patient_hub" is not null and "fk_care_track_hub" is not null
    ) found
) r
where not exists (select from "dv"."patient_care_track_link" l where l."fk_patient_hub" = r."fk_patient_hub" and l."fk_care_track_hub" = r."fk_care_track_hub")
order by "fk_patient_hub", "fk_care_track_hub", type
on conflict do nothing;

-- let links wait for keys that are missing: dv.patient_care_track_link  [care_track_hstage -> PatientCareTrack]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_1" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- choose one row for each link: dv.patient_care_track_link  [care_track_hstage -> PatientCareTrack]
create temporary table "pyelt_link_winners_1" on commit drop as
select distinct on (l._id) l._id, r._value_1, r._value_2
from "pyelt_link_rows_1" r
join "dv"."patient_care_track_link" l on l."fk_patient_hub" = r."fk_patient_hub" and l."fk_care_track_hub" = r."fk_care_track_hub"
where r.usable
order by l._id, r.preference, r.place;

-- compare with the active rows: dv.patient_care_track_sat  [care_track_hstage -> PatientCareTrack]
create temporary table "pyelt_changes_dv_patient_care_track_sat" on commit drop as
select c._id as _id, a._id is not null as _changed, a._runid as _of_run, a._revision, c."referred_by" as "referred_by", c."referred_on" as "referred_on"
from (
    select m1._id, m1._value_1 as "referred_by", m1._value_2 as "referred_on"
    from (select r._id as _id, r._value_1, r._value_2, true as _here from "pyelt_link_winners_1" as r where true) as m1) as c
left join "dv"."patient_care_track_sat" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."referred_by" is distinct from c."referred_by"
        or a."referred_on" is distinct from c."referred_on" end
order by 1;

-- look whether keys are active once: dv.patient_care_track_sat
select exists (
select from pg_index
where indrelid = to_regclass(%(table)s) and indisunique and indpred is not null);

-- close changed rows: dv.patient_care_track_sat  [care_track_hstage -> PatientCareTrack]
update "dv"."patient_care_track_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_care_track_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_care_track_sat  [care_track_hstage -> PatientCareTrack]
insert into "dv"."patient_care_track_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "referred_by", "referred_on")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."referred_by", c."referred_on"
from "pyelt_changes_dv_patient_care_track_sat" as c;

-- remember what was looked at  [care_track_hstage -> PatientCareTrack]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- look for empty tables
select 0, not exists (select from "dv"."patient_practitioner_link");

-- insert new links: dv.patient_practitioner_link
insert into "dv"."patient_practitioner_link" (_runid, _source_system, _insert_date, "fk_patient_hub", "fk_practitioner_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_patient_hub", "fk_practitioner_hub", type
from (
    select distinct "fk_patient_hub", "fk_practitioner_hub", type
    from (
    select "fk_patient_hub", "fk_practitioner_hub", 'gp'::text as type from "pyelt_link_rows_4" where usable and "fk_patient_hub" is not null and "fk_practitioner_hub" is not null
    union all
    select "fk_patient_hub", "fk_practitioner_hub", 'attending'::text as type from "pyelt_link_rows_5" where usable and "fk_patient_hub" is not null and "fk_practitioner_hub" is not null
    ) found
) r
where not exists (select from "dv"."patient_practitioner_link" l where l."fk_patient_hub" = r."fk_patient_hub" and l."fk_practitioner_hub" = r."fk_practitioner_hub" and l.type = r.type)
order by "fk_patient_hub", "fk_practitioner_hub", type
on conflict do nothing;

-- note that the pipe gives them, too  [patient_hstage -> PatientPractitioner, patient_hstage -> PatientPractitioner (2)]
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from "dv"."patient_practitioner_link" as k
where k._id in (
    select l._id from "pyelt_link_rows_4" as r join "dv"."patient_practitioner_link" as l on l."fk_patient_hub" = r."fk_patient_hub" and l."fk_practitioner_hub" = r."fk_practitioner_hub" and l.type = 'gp'::text where r.usable
    union all
    select l._id from "pyelt_link_rows_5" as r join "dv"."patient_practitioner_link" as l on l."fk_patient_hub" = r."fk_patient_hub" and l."fk_practitioner_hub" = r."fk_practitioner_hub" and l.type = 'attending'::text where r.usable)
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from "sys".given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing;

-- let links wait for keys that are missing: dv.patient_practitioner_link  [patient_hstage -> PatientPractitioner (2)]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_5" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- remember what was looked at  [patient_hstage -> PatientPractitioner]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [patient_hstage -> PatientPractitioner (2)]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- see what is new  [Patient view -> PatientHousehold]
select state.fingerprint, state.key_fingerprint,
    array(
        select loaded.runid from "sys".stages loaded
        where %(table)s <> '' and loaded.pipe = %(pipe)s
            and loaded.kind = 'etl_sor' and loaded.state in ('done', 'failed')
            and not exists (
                select from "sys".positions seen
                where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
                    and seen.schemaname = %(schema)s and seen.tablename = %(table)s and seen.sor_runid = loaded.runid)
        order by loaded.runid),
    exists (
        select from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null),
    exists (
        select went.mapping, went.key_fingerprint from "sys".mapping_states as went
        where went.pipe = %(pipe)s and went.stage = %(stage)s and went.mapping <> all(%(still_there)s::text[])
            and went.mapping not like %(validations)s and went.fingerprint <> %(removed)s
            and not exists (
                select from "sys".mapping_states as later
                where later.pipe = went.pipe and later.mapping = went.mapping and later.id > went.id)),
    array(
        select runid from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id),
    array(
        select filter from "sys".mapping_states
        where pipe = %(pipe)s and mapping = %(mapping)s and filter is not null order by id)
from (values (1)) as one_row
left join lateral (
    select fingerprint, key_fingerprint from "sys".mapping_states
    where pipe = %(pipe)s and mapping = %(mapping)s
    order by id desc limit 1) as state on true;

-- collect the rows of Patient view -> PatientHousehold
savepoint mapping;

-- look up the references of changed rows: dv.patient_household_link  [Patient view -> PatientHousehold]
create temporary table "pyelt_link_rows_6" on commit drop as
select hashtextextended(jsonb_build_array(c.key_1, c.key_2)::text, 0) as row_id, true as usable,
    h1._id as "fk_patient_hub", h2._id as "fk_household_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select (bk)::text as key_1, (address_postcode || ' ' || address_house_number)::text as key_2
    from "dv"."patient_view" s

) c
left join "dv"."patient_hub" h1 on h1.bk = c.key_1
left join "dv"."household_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [Patient view -> PatientHousehold]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_6"
where usable;

-- look for empty tables
select 0, not exists (select from "dv"."patient_household_link");

-- insert new links: dv.patient_household_link
insert into "dv"."patient_household_link" (_runid, _source_system, _insert_date, "fk_patient_hub", "fk_household_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_patient_hub", "fk_household_hub", type
from (
    select distinct "fk_patient_hub", "fk_household_hub", type
    from (
    select "fk_patient_hub", "fk_household_hub", null::text as type from "pyelt_link_rows_6" where usable and "fk_patient_hub" is not null and "fk_household_hub" is not null
    ) found
) r
where not exists (select from "dv"."patient_household_link" l where l."fk_patient_hub" = r."fk_patient_hub" and l."fk_household_hub" = r."fk_household_hub")
order by "fk_patient_hub", "fk_household_hub", type
on conflict do nothing;

-- note that the pipe gives them, too  [Patient view -> PatientHousehold]
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from "dv"."patient_household_link" as k
where k._id in (
    select l._id from "pyelt_link_rows_6" as r join "dv"."patient_household_link" as l on l."fk_patient_hub" = r."fk_patient_hub" and l."fk_household_hub" = r."fk_household_hub" where r.usable)
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from "sys".given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing;

-- resolve references that wait no longer: dv.patient_household_link  [Patient view -> PatientHousehold]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and not exists (
    select from "pyelt_link_rows_6" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
    where r.usable and r.keyed and m.bk = w.missing_bk and m.role = w.role and r.row_id = w.row_id);

-- let links wait for keys that are missing: dv.patient_household_link  [Patient view -> PatientHousehold]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_6" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- see whether validations were changed  [validations of dv.care_track_sat]
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s
order by id desc limit 1;

-- mark invalid rows: dv.care_track_sat  [validations of dv.care_track_sat]
with judged as materialized (
    select s.ctid as place, s._id as row_id, s._valid as was_valid, s._validation_msg as was_message,
        jsonb_build_object('_valid', s._valid, '_validation_msg', s._validation_msg) || jsonb_build_object('@key', jsonb_build_object('_runid', s."_runid", '_source_system', s."_source_system")) as before, not s._valid and false as by_us,
        case
            when (ended < started) then %(message_1)s
        end as message
    from "dv"."care_track_sat" s
    where s._runid > (
        select coalesce(max(done.runid), 0) from "sys".stages done
        where done.pipe = %(pipe)s and done.stage = %(stage)s and done.state = 'done' and done.runid < %(runid)s) and coalesce(s._source_system, %(pipe)s) = %(pipe)s
), changed as materialized (
    select * from judged
    where was_valid and message is not null
), journalled as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, row_id, before from changed
)
update "dv"."care_track_sat" t
set _valid = changed.message is null, _validation_msg = changed.message
from changed
where t.ctid = changed.place;

-- record invalid rows: dv._exceptions  [validations of dv.care_track_sat]
with rejected as (
    select distinct s._validation_msg as message, jsonb_build_object('bk', (select o.bk from "dv"."care_track_hub" o where o._id = s._id))::text as key_fields,
        jsonb_build_object('specialism', s."specialism", 'started', s."started", 'ended', s."ended")::text as fields
    from "sys".journal j
    join "dv"."care_track_sat" s on s._id = j.row_id and to_jsonb(s) @> (j.before -> '@key')
    where j.runid = %(runid)s and j.stage = %(stage)s and j.schemaname = %(schema)s and j.tablename = %(table)s
      and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "dv"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "dv"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "dv"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- see whether validations were removed
select s.mapping from "sys".mapping_states s
where s.pipe = %(pipe)s and s.mapping like %(validations)s and s.mapping <> all(%(names)s::text[])
  and s.fingerprint <> %(removed)s
  and not exists (
    select from "sys".mapping_states later
    where later.pipe = s.pipe and later.mapping = s.mapping and later.id > s.id)
order by s.mapping;

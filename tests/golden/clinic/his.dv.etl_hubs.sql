-- see what is new  [patient_hstage -> Patient]
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

-- see what is new  [care_track_hstage -> CareTrack]
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

-- see what is new  [practitioner_hstage -> Practitioner]
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

-- see what is new  [organisation_hstage -> Organisation]
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

-- see what is new  [organisation_hstage -> Clinic]
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

-- see what is new  [Patient view -> Household]
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

-- look for empty tables
select 0, not exists (select from "dv"."household_hub")
union all
select 1, not exists (select from "dv"."household_sat");

-- collect changed rows: sor_his.patient_hstage  [patient_hstage -> Patient]
create temporary table pyelt_touched_1 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."patient_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_his"."patient_hstage" where _finish_runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect changed keys
savepoint mapping;

-- collect changed keys  [patient_hstage -> Patient]
create temporary table pyelt_keys_1 on commit drop as
select changed._key, bool_or(changed._refused) as _refused, bool_or(changed._closed) as _closed
from (
    select (patient_number)::text as _key, not s._valid as _refused, not s._active as _closed
    from "sor_his"."patient_hstage" s
    where s._id in (select _touched from pyelt_touched_1)
        and (s._active or s._finish_runid is distinct from s._runid)) as changed
group by changed._key;

release savepoint mapping;

-- see whether rejected rows are among them  [patient_hstage -> Patient]
select exists (select from pyelt_keys_1 where _refused)
or exists (select from "sys".rejected_rows where pipe = %(pipe)s and mapping = any(%(mappings)s))
or exists (
    select from "sys".journal
    where schemaname = %(schema_0)s and tablename = %(table_0)s
        and runid = any(%(runids_0)s::numeric[]) and before ? '_valid');

-- collect rows of patient_hstage -> Patient
savepoint mapping;

-- collect rows: sor_his.patient_hstage  [patient_hstage -> Patient]
create temporary table pyelt_rows_1 on commit drop as
select s._id as _row,
    (patient_number)::text as _key,
    (birth_date)::date as _value_1,
    (sex)::text as _value_2,
    (last_name)::text as _value_3,
    (first_name)::text as _value_4,
    (street)::text as _value_5,
    (house_number)::integer as _value_6,
    (upper(replace(postcode, ' ', '')))::text as _value_7,
    (city)::text as _value_8,
    (sor_his.clean_phone(phone))::text as _value_9,
    (sor_his.clean_phone(mobile))::text as _value_10
from "sor_his"."patient_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_1);

release savepoint mapping;

-- collect changed rows: sor_his.care_track_hstage  [care_track_hstage -> CareTrack]
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
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect changed keys
savepoint mapping;

-- collect changed keys  [care_track_hstage -> CareTrack]
create temporary table pyelt_keys_2 on commit drop as
select changed._key, bool_or(changed._refused) as _refused, bool_or(changed._closed) as _closed
from (
    select (patient_number || '-' || track_number)::text as _key, not s._valid as _refused, not s._active as _closed
    from "sor_his"."care_track_hstage" s
    where s._id in (select _touched from pyelt_touched_2)
        and (s._active or s._finish_runid is distinct from s._runid)) as changed
group by changed._key;

release savepoint mapping;

-- gather statistics of changed keys
analyze pyelt_keys_2;

-- collect rows of care_track_hstage -> CareTrack
savepoint mapping;

-- collect rows: sor_his.care_track_hstage  [care_track_hstage -> CareTrack]
create temporary table pyelt_rows_2 on commit drop as
select s._id as _row,
    (patient_number || '-' || track_number)::text as _key,
    row_number() over (partition by (patient_number || '-' || track_number)::text order by s."patient_number" collate "C", s."track_number" collate "C") as _rank,
    (specialism)::text as _value_1,
    (started)::date as _value_2,
    (ended)::date as _value_3
from "sor_his"."care_track_hstage" s
join (select _key as pyelt_key from pyelt_keys_2) as pyelt_keys on pyelt_keys.pyelt_key = (patient_number || '-' || track_number)::text
where s._active
  and s._valid
union all
select s._id as _row,
    (patient_number || '-' || track_number)::text as _key,
    row_number() over (partition by (patient_number || '-' || track_number)::text order by s."patient_number" collate "C", s."track_number" collate "C") as _rank,
    (specialism)::text as _value_1,
    (started)::date as _value_2,
    (ended)::date as _value_3
from "sor_his"."care_track_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_2)
  and (patient_number || '-' || track_number)::text is null;

release savepoint mapping;

-- count rows without a key  [care_track_hstage -> CareTrack]
select count(*) filter (where (patient_number || '-' || track_number)::text is null)
from "sor_his"."care_track_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_2);

-- see whether keys have several rows  [care_track_hstage -> CareTrack]
select exists (select from pyelt_rows_2 where _rank > 1 and _key is not null);

-- count keys whose rows differ  [care_track_hstage -> CareTrack]
select count(distinct r._key)
from pyelt_rows_2 as r
join pyelt_rows_2 as w on w._key = r._key and w._rank = 1
where r._rank > 1 and (r._value_1::text is distinct from w._value_1::text or r._value_2::text is distinct from w._value_2::text or r._value_3::text is distinct from w._value_3::text);

-- collect changed rows: sor_his.practitioner_hstage  [practitioner_hstage -> Practitioner]
create temporary table pyelt_touched_3 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."practitioner_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect rows: sor_his.practitioner_hstage  [practitioner_hstage -> Practitioner]
create temporary table pyelt_rows_3 on commit drop as
select s._id as _row,
    (staff_code)::text as _key,
    (name)::text as _value_1,
    (specialism)::text as _value_2
from "sor_his"."practitioner_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_3);

-- collect changed rows: sor_his.organisation_hstage  [organisation_hstage -> Organisation]
create temporary table pyelt_touched_4 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."organisation_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect rows: sor_his.organisation_hstage  [organisation_hstage -> Organisation]
create temporary table pyelt_rows_4 on commit drop as
select s._id as _row,
    (code)::text as _key,
    (name)::text as _value_1,
    (city)::text as _value_2
from "sor_his"."organisation_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_4);

-- collect changed rows: sor_his.organisation_hstage  [organisation_hstage -> Clinic]
create temporary table pyelt_touched_5 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_his"."organisation_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect rows of organisation_hstage -> Clinic
savepoint mapping;

-- collect rows: sor_his.organisation_hstage  [organisation_hstage -> Clinic]
create temporary table pyelt_rows_5 on commit drop as
select s._id as _row,
    (code)::text as _key,
    (beds)::integer as _value_1
from "sor_his"."organisation_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_5)
  and (kind = 'clinic');

release savepoint mapping;

-- insert new keys: dv.care_track_hub  [care_track_hstage -> CareTrack]
insert into "dv"."care_track_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'care_track'::text as type
    from pyelt_rows_2 as r where r._rank = 1 and r._key is not null) as k
where not exists (select from "dv"."care_track_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [care_track_hstage -> CareTrack]
with made as (
    delete from "sys".given_keys as made using "dv"."care_track_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_2)
    returning made.row_id)
update "dv"."care_track_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- insert new keys: dv.organisation_hub  [organisation_hstage -> Organisation, organisation_hstage -> Clinic]
insert into "dv"."organisation_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select distinct on (_key) _key, type
    from (
        select _key, 'organisation'::text as type, 0 as depth from pyelt_rows_4 where _key is not null
        union all
        select _key, 'clinic'::text as type, 1 as depth from pyelt_rows_5 where _key is not null) as given
    order by _key, depth desc, type) as k
where not exists (select from "dv"."organisation_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [organisation_hstage -> Organisation, organisation_hstage -> Clinic]
with made as (
    delete from "sys".given_keys as made using "dv"."organisation_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_4 union all select _key from pyelt_rows_5)
    returning made.row_id)
update "dv"."organisation_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- note keys that get a more specific type  [organisation_hstage -> Organisation, organisation_hstage -> Clinic]
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, found._id, jsonb_build_object('type', found.type)
from (
    select h._id, h.type
    from "dv"."organisation_hub" as h
    join (
    select distinct on (_key) _key, type
    from (
        select _key, 'organisation'::text as type, 0 as depth from pyelt_rows_4 where _key is not null
        union all
        select _key, 'clinic'::text as type, 1 as depth from pyelt_rows_5 where _key is not null) as given
    order by _key, depth desc, type) as k on k._key = h.bk
    where (h.type is null or (h.type, k.type) in (('organisation', 'clinic')))
    order by h.bk
    for no key update of h) as found;

-- make types more specific: dv.organisation_hub  [organisation_hstage -> Organisation, organisation_hstage -> Clinic]
update "dv"."organisation_hub" as h set type = k.type
from (
    select distinct on (_key) _key, type
    from (
        select _key, 'organisation'::text as type, 0 as depth from pyelt_rows_4 where _key is not null
        union all
        select _key, 'clinic'::text as type, 1 as depth from pyelt_rows_5 where _key is not null) as given
    order by _key, depth desc, type) as k
where k._key = h.bk and (h.type is null or (h.type, k.type) in (('organisation', 'clinic')));

-- insert new keys: dv.patient_hub  [patient_hstage -> Patient]
insert into "dv"."patient_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'patient'::text as type
    from pyelt_rows_1 as r where true) as k
where not exists (select from "dv"."patient_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [patient_hstage -> Patient]
with made as (
    delete from "sys".given_keys as made using "dv"."patient_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_1)
    returning made.row_id)
update "dv"."patient_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- insert new keys: dv.practitioner_hub  [practitioner_hstage -> Practitioner]
insert into "dv"."practitioner_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'practitioner'::text as type
    from pyelt_rows_3 as r where true) as k
where not exists (select from "dv"."practitioner_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [practitioner_hstage -> Practitioner]
with made as (
    delete from "sys".given_keys as made using "dv"."practitioner_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_3)
    returning made.row_id)
update "dv"."practitioner_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- look up the ids of the keys: dv.patient_hub  [patient_hstage -> Patient]
create temporary table pyelt_keyed_1 on commit drop as
select h._id, r.*
from pyelt_rows_1 as r
join "dv"."patient_hub" as h on h.bk = r._key
where true;

-- compare with the active rows: dv.patient_sat  [patient_hstage -> Patient]
create temporary table "pyelt_changes_dv_patient_sat" on commit drop as
select c._id as _id, a._id is not null as _changed, a._revision, c."birth_date" as "birth_date", c."sex" as "sex"
from (
    select m1._id, m1._value_1 as "birth_date", m1._value_2 as "sex"
    from (select r._id as _id, r._value_1, r._value_2, true as _here from pyelt_keyed_1 as r where true) as m1) as c
left join "dv"."patient_sat" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."birth_date" is distinct from c."birth_date"
        or a."sex" is distinct from c."sex" end
order by 1;

-- close changed rows: dv.patient_sat  [patient_hstage -> Patient]
update "dv"."patient_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_sat  [patient_hstage -> Patient]
insert into "dv"."patient_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "birth_date", "sex")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."birth_date", c."sex"
from "pyelt_changes_dv_patient_sat" as c;

-- compare with the active rows: dv.patient_sat_address  [patient_hstage -> Patient]
create temporary table "pyelt_changes_dv_patient_sat_address" on commit drop as
select c._id as _id, a._id is not null as _changed, a._revision, c."street" as "street", c."house_number" as "house_number", c."postcode" as "postcode", c."city" as "city"
from (
    select m1._id, m1._value_5 as "street", m1._value_6 as "house_number", m1._value_7 as "postcode", m1._value_8 as "city"
    from (select r._id as _id, r._value_5, r._value_6, r._value_7, r._value_8, true as _here from pyelt_keyed_1 as r where true) as m1) as c
left join "dv"."patient_sat_address" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."street" is distinct from c."street"
        or a."house_number" is distinct from c."house_number"
        or a."postcode" is distinct from c."postcode"
        or a."city" is distinct from c."city" end
order by 1;

-- close changed rows: dv.patient_sat_address  [patient_hstage -> Patient]
update "dv"."patient_sat_address" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_sat_address" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_sat_address  [patient_hstage -> Patient]
insert into "dv"."patient_sat_address"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "street", "house_number", "postcode", "city")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."street", c."house_number", c."postcode", c."city"
from "pyelt_changes_dv_patient_sat_address" as c;

-- compare with the active rows: dv.patient_sat_contact  [patient_hstage -> Patient]
create temporary table "pyelt_changes_dv_patient_sat_contact" on commit drop as
select c._id as _id, c.type, a._id is not null as _changed, a._revision, c."number" as "number"
from (
    select m1._id, typed.*
    from (select r._id as _id, r._value_9, r._value_10, true as _here from pyelt_keyed_1 as r where true) as m1
    cross join lateral (values ('mobile'::text, m1._value_10), ('phone'::text, m1._value_9)) as typed (type, "number")) as c
left join "dv"."patient_sat_contact" as a
    on a._id = c._id and a.type = c.type and a._source_system = %(pipe)s and a._active
where case when a._id is null then num_nonnulls(c."number") > 0
    else a."number" is distinct from c."number" end
order by 1;

-- close changed rows: dv.patient_sat_contact  [patient_hstage -> Patient]
update "dv"."patient_sat_contact" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_sat_contact" as c
where a._id = c._id and a.type = c.type and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_sat_contact  [patient_hstage -> Patient]
insert into "dv"."patient_sat_contact"
    (_id, type, _runid, _source_system, _insert_date, _active, _revision, _valid, "number")
select c._id, c.type, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."number"
from "pyelt_changes_dv_patient_sat_contact" as c;

-- compare with the active rows: dv.patient_sat_name  [patient_hstage -> Patient]
create temporary table "pyelt_changes_dv_patient_sat_name" on commit drop as
select c._id as _id, a._id is not null as _changed, a._revision, c."last_name" as "last_name", c."first_name" as "first_name"
from (
    select m1._id, m1._value_3 as "last_name", m1._value_4 as "first_name"
    from (select r._id as _id, r._value_3, r._value_4, true as _here from pyelt_keyed_1 as r where true) as m1) as c
left join "dv"."patient_sat_name" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."last_name" is distinct from c."last_name"
        or a."first_name" is distinct from c."first_name" end
order by 1;

-- close changed rows: dv.patient_sat_name  [patient_hstage -> Patient]
update "dv"."patient_sat_name" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_sat_name" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_sat_name  [patient_hstage -> Patient]
insert into "dv"."patient_sat_name"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "last_name", "first_name")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."last_name", c."first_name"
from "pyelt_changes_dv_patient_sat_name" as c;

-- find keys that went or came back: dv.patient_sat_record_status  [patient_hstage -> Patient]
create temporary table "pyelt_status_dv_patient_sat_record_status" on commit drop as
with recursive later_1 as (
    select r._id, r._runid,
        r._runid <> all(%(runids_1)s::numeric[]) and (r._valid and r._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema_1)s and j.tablename = %(table_1)s
              and j.runid = any(%(runids_1)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema_1)s and j.tablename = %(table_1)s and j.row_id = r._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping_1)s and x.row_id = r._id
              and (x.freed_runid is null or x.freed_runid >= r._finish_runid
                or not r._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema_1)s and j.tablename = %(table_1)s
                      and j.row_id = r._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid)) and x.runid < %(runid)s) as stood,
        r."patient_number"
    from "sor_his"."patient_hstage" as r
    where r._active and r._id in (
        select _id from "sor_his"."patient_hstage" where _active and not _valid
        union
        select row_id from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping_1)s and freed_runid is null)
    union
    select before._id, before._runid, (before._valid and before._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema_1)s and j.tablename = %(table_1)s
              and j.runid = any(%(runids_1)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema_1)s and j.tablename = %(table_1)s and j.row_id = before._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping_1)s and x.row_id = before._id
              and (x.freed_runid is null or x.freed_runid >= before._finish_runid
                or not before._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema_1)s and j.tablename = %(table_1)s
                      and j.row_id = before._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))), before."patient_number"
    from later_1
    join "sor_his"."patient_hstage" before
        on before."patient_number" = later_1."patient_number" and not before._active and before._finish_runid = later_1._runid
    where not later_1.stood and before._runid < before._finish_runid),
kept_1 as (
    select (patient_number)::text as _key
    from "sor_his"."patient_hstage" s
    where s._id in (select _id from later_1 where stood)),
looked_at as (
    select _key from pyelt_keys_1 where _closed)
select o._id, a._id is not null as _changed, a._revision, %(gone)s::text as status
from (select distinct _key from looked_at) as k
join "dv"."patient_hub" as o on o.bk = k._key
left join "dv"."patient_sat_record_status" as a on a._id = o._id and a._source_system = %(pipe)s and a._active
where a.record_status is distinct from %(gone)s
    and not exists (select from pyelt_rows_1 as g where g._key = k._key)
    and not exists (select from kept_1 as g where g._key = k._key)
union all
select o._id, true, a._revision, %(here)s::text
from "dv"."patient_sat_record_status" as a
join "dv"."patient_hub" as o on o._id = a._id
where a._active and a._source_system = %(pipe)s and a.record_status = %(gone)s
    and o.bk in (select _key from pyelt_rows_1);

-- close the old status: dv.patient_sat_record_status  [patient_hstage -> Patient]
update "dv"."patient_sat_record_status" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_status_dv_patient_sat_record_status" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- say which keys are gone: dv.patient_sat_record_status  [patient_hstage -> Patient]
insert into "dv"."patient_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_patient_sat_record_status" as c
where c.status = %(status)s;

-- say which keys are back: dv.patient_sat_record_status  [patient_hstage -> Patient]
insert into "dv"."patient_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_patient_sat_record_status" as c
where c.status = %(status)s;

-- compare with the active rows: dv.care_track_sat  [care_track_hstage -> CareTrack]
create temporary table "pyelt_changes_dv_care_track_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."specialism" as "specialism", c."started" as "started", c."ended" as "ended"
from (
    select m1._key_1, m1._value_1 as "specialism", m1._value_2 as "started", m1._value_3 as "ended"
    from (select r._key as _key_1, r._value_1, r._value_2, r._value_3, true as _here from pyelt_rows_2 as r where r._rank = 1 and r._key is not null) as m1) as c
join "dv"."care_track_hub" as o on o.bk = c._key_1
left join "dv"."care_track_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."specialism" is distinct from c."specialism"
        or a."started" is distinct from c."started"
        or a."ended" is distinct from c."ended" end
order by 1;

-- close changed rows: dv.care_track_sat  [care_track_hstage -> CareTrack]
update "dv"."care_track_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_care_track_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.care_track_sat  [care_track_hstage -> CareTrack]
insert into "dv"."care_track_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "specialism", "started", "ended")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."specialism", c."started", c."ended"
from "pyelt_changes_dv_care_track_sat" as c;

-- compare with the active rows: dv.practitioner_sat  [practitioner_hstage -> Practitioner]
create temporary table "pyelt_changes_dv_practitioner_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."name" as "name", c."specialism" as "specialism"
from (
    select m1._key_1, m1._value_1 as "name", m1._value_2 as "specialism"
    from (select r._key as _key_1, r._value_1, r._value_2, true as _here from pyelt_rows_3 as r where true) as m1) as c
join "dv"."practitioner_hub" as o on o.bk = c._key_1
left join "dv"."practitioner_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."name" is distinct from c."name"
        or a."specialism" is distinct from c."specialism" end
order by 1;

-- close changed rows: dv.practitioner_sat  [practitioner_hstage -> Practitioner]
update "dv"."practitioner_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_practitioner_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.practitioner_sat  [practitioner_hstage -> Practitioner]
insert into "dv"."practitioner_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "name", "specialism")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."name", c."specialism"
from "pyelt_changes_dv_practitioner_sat" as c;

-- compare with the active rows: dv.organisation_sat  [organisation_hstage -> Organisation]
create temporary table "pyelt_changes_dv_organisation_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."name" as "name", c."city" as "city"
from (
    select m1._key_1, m1._value_1 as "name", m1._value_2 as "city"
    from (select r._key as _key_1, r._value_1, r._value_2, true as _here from pyelt_rows_4 as r where true) as m1) as c
join "dv"."organisation_hub" as o on o.bk = c._key_1
left join "dv"."organisation_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."name" is distinct from c."name"
        or a."city" is distinct from c."city" end
order by 1;

-- close changed rows: dv.organisation_sat  [organisation_hstage -> Organisation]
update "dv"."organisation_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_organisation_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.organisation_sat  [organisation_hstage -> Organisation]
insert into "dv"."organisation_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "name", "city")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."name", c."city"
from "pyelt_changes_dv_organisation_sat" as c;

-- compare with the active rows: dv.clinic_sat_clinic  [organisation_hstage -> Clinic]
create temporary table "pyelt_changes_dv_clinic_sat_clinic" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."beds" as "beds"
from (
    select m1._key_1, m1._value_1 as "beds"
    from (select r._key as _key_1, r._value_1, true as _here from pyelt_rows_5 as r where true) as m1) as c
join "dv"."organisation_hub" as o on o.bk = c._key_1
left join "dv"."clinic_sat_clinic" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."beds" is distinct from c."beds" end
order by 1;

-- close changed rows: dv.clinic_sat_clinic  [organisation_hstage -> Clinic]
update "dv"."clinic_sat_clinic" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_clinic_sat_clinic" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.clinic_sat_clinic  [organisation_hstage -> Clinic]
insert into "dv"."clinic_sat_clinic"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "beds")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."beds"
from "pyelt_changes_dv_clinic_sat_clinic" as c;

-- collect rows of Patient view -> Household
savepoint mapping;

-- collect rows: dv.household_hub  [Patient view -> Household]
create temporary table pyelt_rows_6 on commit drop as
select (address_postcode || ' ' || address_house_number)::text as _key,
    row_number() over (partition by (address_postcode || ' ' || address_house_number)::text order by s::text collate "C") as _rank,
    (address_city)::text as _value_1
from "dv"."patient_view" s;

release savepoint mapping;

-- count rows without a key  [Patient view -> Household]
select count(*) from pyelt_rows_6 where _key is null;

-- see whether keys have several rows  [Patient view -> Household]
select exists (select from pyelt_rows_6 where _rank > 1 and _key is not null);

-- count keys whose rows differ  [Patient view -> Household]
select count(distinct r._key)
from pyelt_rows_6 as r
join pyelt_rows_6 as w on w._key = r._key and w._rank = 1
where r._rank > 1 and (r._value_1::text is distinct from w._value_1::text);

-- insert new keys: dv.household_hub  [Patient view -> Household]
insert into "dv"."household_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'household'::text as type
    from pyelt_rows_6 as r where r._rank = 1 and r._key is not null) as k
where not exists (select from "dv"."household_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [Patient view -> Household]
with made as (
    delete from "sys".given_keys as made using "dv"."household_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_6)
    returning made.row_id)
update "dv"."household_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- compare with the active rows: dv.household_sat  [Patient view -> Household]
create temporary table "pyelt_changes_dv_household_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."city" as "city"
from (
    select m1._key_1, m1._value_1 as "city"
    from (select r._key as _key_1, r._value_1, true as _here from pyelt_rows_6 as r where r._rank = 1 and r._key is not null) as m1) as c
join "dv"."household_hub" as o on o.bk = c._key_1
left join "dv"."household_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."city" is distinct from c."city" end
order by 1;

-- close changed rows: dv.household_sat  [Patient view -> Household]
update "dv"."household_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_household_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.household_sat  [Patient view -> Household]
insert into "dv"."household_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "city")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."city"
from "pyelt_changes_dv_household_sat" as c;

-- remember what was looked at  [patient_hstage -> Patient]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [care_track_hstage -> CareTrack]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [practitioner_hstage -> Practitioner]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [organisation_hstage -> Organisation]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [organisation_hstage -> Clinic]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- look for keys whose giver was taken back
select distinct schemaname, tablename from "sys".given_keys
where left_behind and (schemaname, tablename) in (
    select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
order by 1, 2;

-- see what is new  [lab_order_hstage -> LabOrderPatient]
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

-- see which waiting references have arrived: dv.lab_order_patient_link  [lab_order_hstage -> LabOrderPatient]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."lab_order_hub" h where h.bk = w.missing_bk)
    or w.hub = %(hub_2)s and (select true from "dv"."patient_hub" h where h.bk = w.missing_bk)
    or (select true from "sor_lab"."lab_order_hstage" s where s._id = w.row_id and s._active and s._valid) is null);

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [lab_order_hstage -> LabOrderPatient]
create temporary table pyelt_touched_1 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_lab"."lab_order_hstage" where _runid = any(%(runids)s::numeric[])
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

-- collect the rows of lab_order_hstage -> LabOrderPatient
savepoint mapping;

-- look up the references of changed rows: dv.lab_order_patient_link  [lab_order_hstage -> LabOrderPatient]
create temporary table "pyelt_link_rows_1" on commit drop as
select c.row_id as row_id, true as usable,
    h1._id as "fk_lab_order_hub", h2._id as "fk_patient_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, (order_number)::text as key_1, (patient_number)::text as key_2
    from "sor_lab"."lab_order_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_1)
) c
left join "dv"."lab_order_hub" h1 on h1.bk = c.key_1
left join "dv"."patient_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [lab_order_hstage -> LabOrderPatient]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_1"
where usable;

-- see what is new  [result_hstage -> LabResult]
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

-- see which waiting references have arrived: dv.lab_result_link  [result_hstage -> LabResult]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."lab_order_hub" h where h.bk = w.missing_bk)
    or w.hub = %(hub_2)s and (select true from "dv"."analyte_hub" h where h.bk = w.missing_bk)
    or (select true from "sor_lab"."result_hstage" s where s._id = w.row_id and s._active and s._valid) is null);

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [result_hstage -> LabResult]
create temporary table pyelt_touched_2 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_lab"."result_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_lab"."result_hstage" where _finish_runid = any(%(runids)s::numeric[])
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

-- make room for the keys of changed rows  [result_hstage -> LabResult]
create temporary table "pyelt_link_keys_2" (look_1 text, look_2 text, key_1 text, key_2 text, type text, gone boolean, closed_now boolean) on commit drop;

-- collect the keys of result_hstage -> LabResult
savepoint mapping;

-- collect the keys of changed rows  [result_hstage -> LabResult]
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
        changed."order_number", changed."analyte_code", changed._active as of_active
    from "sor_lab"."result_hstage" changed
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
                      and j.runid between x.runid and x.freed_runid))), before."order_number", before."analyte_code", later.of_active
    from later
    join "sor_lab"."result_hstage" before
        on before."order_number" = later."order_number" and before."analyte_code" = later."analyte_code" and not before._active and before._finish_runid = later._runid
    where not later.stood and before._runid < before._finish_runid
),
looked_at as (
    select _id as pyelt_id, bool_or(stood) as pyelt_stood, bool_or(not of_active) as pyelt_closed_now from later group by _id
)
select distinct (order_number)::text as look_1, (analyte_code)::text as look_2, (order_number)::text as key_1, (analyte_code)::text as key_2, null::text, not s._active, pyelt_closed_now
from looked_at, "sor_lab"."result_hstage" s
where pyelt_id = s._id
      and (s._active or pyelt_stood);

release savepoint mapping;

-- collect the rows of result_hstage -> LabResult
savepoint mapping;

-- look up the references of all rows with changed keys: dv.lab_result_link  [result_hstage -> LabResult]
create temporary table "pyelt_link_rows_2" on commit drop as
select c.row_id as row_id, true as usable, c.run_number, c.preference, c.place, c._value_1, c._value_2,
    h1._id as "fk_lab_order_hub", h2._id as "fk_analyte_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, s._runid as run_number, null::bigint as preference, row_number() over (order by s."order_number" collate "C", s."analyte_code" collate "C") as place, (value)::numeric as _value_1, (changed_at)::timestamp as _value_2, (order_number)::text as key_1, (analyte_code)::text as key_2
    from "sor_lab"."result_hstage" s
    where s._active
      and s._valid
      and ((order_number)::text, (analyte_code)::text) in (select look_1, look_2 from "pyelt_link_keys_2" k)
    union all
    select s._id as row_id, s._runid as run_number, null::bigint as preference, row_number() over (order by s."order_number" collate "C", s."analyte_code" collate "C") as place, (value)::numeric as _value_1, (changed_at)::timestamp as _value_2, (order_number)::text as key_1, (analyte_code)::text as key_2
    from "sor_lab"."result_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_2)
      and ((order_number)::text is null or (analyte_code)::text is null)
) c
left join "dv"."lab_order_hub" h1 on h1.bk = c.key_1
left join "dv"."analyte_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- keep what rejected rows of result_hstage -> LabResult gave
savepoint mapping;

-- keep what rejected rows gave before: dv.lab_result_link  [result_hstage -> LabResult]
insert into "pyelt_link_rows_2" (row_id, usable, run_number, "fk_lab_order_hub", "fk_analyte_hub", missing_1, missing_2, keyed)
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
        refused."order_number", refused."analyte_code"
    from "sor_lab"."result_hstage" refused
    where refused._id in (
        select bad._id from "sor_lab"."result_hstage" bad where bad._active and not bad._valid)
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
                      and j.runid between x.runid and x.freed_runid))), before."order_number", before."analyte_code"
    from later
    join "sor_lab"."result_hstage" before
        on before."order_number" = later."order_number" and before."analyte_code" = later."analyte_code" and not before._active and before._finish_runid = later._runid
    where not later.stood and before._runid < before._finish_runid
)
select c.row_id as row_id, false, c.run_number,
    h1._id as "fk_lab_order_hub", h2._id as "fk_analyte_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, s._runid as run_number, (order_number)::text as key_1, (analyte_code)::text as key_2
    from "sor_lab"."result_hstage" s
    where s._id in (select _id from later where stood)
) c
left join "dv"."lab_order_hub" h1 on h1.bk = c.key_1
left join "dv"."analyte_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [result_hstage -> LabResult]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_2"
where usable;

-- look for empty tables
select 0, not exists (select from "dv"."lab_order_patient_link");

-- insert new links: dv.lab_order_patient_link
insert into "dv"."lab_order_patient_link" (_runid, _source_system, _insert_date, "fk_lab_order_hub", "fk_patient_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_lab_order_hub", "fk_patient_hub", type
from (
    select "fk_lab_order_hub", "fk_patient_hub", type
    from (
    select "fk_lab_order_hub", "fk_patient_hub", null::text as type from "pyelt_link_rows_1" where usable and "fk_lab_order_hub" is not null and "fk_patient_hub" is not null
    ) found
) r
where not exists (select from "dv"."lab_order_patient_link" l where l."fk_lab_order_hub" = r."fk_lab_order_hub" and l."fk_patient_hub" = r."fk_patient_hub")
order by "fk_lab_order_hub", "fk_patient_hub", type
on conflict do nothing;

-- note that the pipe gives them, too  [lab_order_hstage -> LabOrderPatient]
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from "dv"."lab_order_patient_link" as k
where k._id in (
    select l._id from "pyelt_link_rows_1" as r join "dv"."lab_order_patient_link" as l on l."fk_lab_order_hub" = r."fk_lab_order_hub" and l."fk_patient_hub" = r."fk_patient_hub" where r.usable)
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from "sys".given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing;

-- let links wait for keys that are missing: dv.lab_order_patient_link  [lab_order_hstage -> LabOrderPatient]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_1" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- remember what was looked at  [lab_order_hstage -> LabOrderPatient]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- look for empty tables
select 0, not exists (select from "dv"."lab_result_link")
union all
select 1, not exists (select from "dv"."lab_result_sat");

-- insert new links: dv.lab_result_link
insert into "dv"."lab_result_link" (_runid, _source_system, _insert_date, "fk_lab_order_hub", "fk_analyte_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_lab_order_hub", "fk_analyte_hub", type
from (
    select distinct "fk_lab_order_hub", "fk_analyte_hub", type
    from (
    select "fk_lab_order_hub", "fk_analyte_hub", null::text as type from "pyelt_link_rows_2" where usable and "fk_lab_order_hub" is not null and "fk_analyte_hub" is not null
    ) found
) r
where not exists (select from "dv"."lab_result_link" l where l."fk_lab_order_hub" = r."fk_lab_order_hub" and l."fk_analyte_hub" = r."fk_analyte_hub")
order by "fk_lab_order_hub", "fk_analyte_hub", type
on conflict do nothing;

-- let links wait for keys that are missing: dv.lab_result_link  [result_hstage -> LabResult]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_2" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- choose one row for each link: dv.lab_result_link  [result_hstage -> LabResult]
create temporary table "pyelt_link_winners_2" on commit drop as
select distinct on (l._id) l._id, r._value_1, r._value_2
from "pyelt_link_rows_2" r
join "dv"."lab_result_link" l on l."fk_lab_order_hub" = r."fk_lab_order_hub" and l."fk_analyte_hub" = r."fk_analyte_hub"
where r.usable
order by l._id, r.preference, r.place;

-- compare with the active rows: dv.lab_result_sat  [result_hstage -> LabResult]
create temporary table "pyelt_changes_dv_lab_result_sat" on commit drop as
select c._id as _id, a._id is not null as _changed, a._runid as _of_run, a._revision, c."value" as "value", c."reported_at" as "reported_at"
from (
    select m1._id, m1._value_1 as "value", m1._value_2 as "reported_at"
    from (select r._id as _id, r._value_1, r._value_2, true as _here from "pyelt_link_winners_2" as r where true) as m1) as c
left join "dv"."lab_result_sat" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."value" is distinct from c."value"
        or a."reported_at" is distinct from c."reported_at" end
order by 1;

-- look whether keys are active once: dv.lab_result_sat
select exists (
select from pg_index
where indrelid = to_regclass(%(table)s) and indisunique and indpred is not null);

-- close changed rows: dv.lab_result_sat  [result_hstage -> LabResult]
update "dv"."lab_result_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_lab_result_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.lab_result_sat  [result_hstage -> LabResult]
insert into "dv"."lab_result_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "value", "reported_at")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."value", c."reported_at"
from "pyelt_changes_dv_lab_result_sat" as c;

-- see which links are current: dv.lab_result_sat_status  [result_hstage -> LabResult]
create temporary table "pyelt_link_states_2" on commit drop as
with given as (
    select r."fk_lab_order_hub", r."fk_analyte_hub", null::text as type, r.usable, r.run_number, r.preference, r.run_number = any(%(unseen_2)s::numeric[]) as unseen, array[2, r.place] as place from "pyelt_link_rows_2" r where r."fk_lab_order_hub" is not null and r."fk_analyte_hub" is not null
), seen as (
    select l._id, true as given, given.usable, false as gone, false as closed_now,
        given.run_number, given.unseen, given.preference, given.place
    from given join "dv"."lab_result_link" l on l."fk_lab_order_hub" = given."fk_lab_order_hub" and l."fk_analyte_hub" = given."fk_analyte_hub"
    union all
    select touched._id, false, false, touched.gone, touched.closed_now, null, null, null, null
    from (
    select l._id, true as gone, k.closed_now from (select * from "pyelt_link_keys_2" where gone) k
    join "dv"."lab_order_hub" h1 on h1.bk = k.key_1
    join "dv"."analyte_hub" h2 on h2.bk = k.key_2
    join "dv"."lab_result_link" l on l."fk_lab_order_hub" = h1._id and l."fk_analyte_hub" = h2._id
        and (coalesce(l._source_system, %(pipe)s) = %(pipe)s
        or exists (
            select from "sys".given_keys o
            where (o.schemaname, o.tablename, o.row_id, o.pipe) = ('dv', 'lab_result_link', l._id, %(pipe)s)
                and not o.only_for_links)
        or exists (select from "dv"."lab_result_sat" o where o._id = l._id and o._source_system = %(pipe)s)
        or exists (select from "dv"."lab_result_sat_status" o where o._id = l._id and o._source_system = %(pipe)s))
    ) touched
), judged as (
    select l._id, l.type,
        bool_or(seen.usable) or bool_or(seen.given) and coalesce(max(st.record_status), 'active') = 'active' as holds,
        l._runid = %(runid)s
            or coalesce(bool_and(seen.unseen) filter (
                where seen.usable or coalesce(st.record_status, 'active') = 'active'), false)
            and not bool_or(seen.closed_now) as is_new,
        l._runid <> %(runid)s and coalesce(max(st.record_status), 'active') = 'active' and (
            coalesce(l._source_system, %(pipe)s) = %(pipe)s or bool_or(st._id is not null or seen.gone)
            or coalesce(bool_or(not seen.unseen), false)) as was_current,
        min(seen.preference) as preference, max(seen.run_number) as run_number, min(seen.place) as place
    from seen join "dv"."lab_result_link" l on l._id = seen._id
    left join "dv"."lab_result_sat_status" st on st._id = l._id and st._source_system = %(pipe)s and st._active
    where (seen.given or l._runid <> %(runid)s) and num_nulls(l."fk_lab_order_hub", l."fk_analyte_hub") = 0
    group by l._id, l._runid, l._source_system, l.type
)
select _id, holds as current
from judged;

-- close the status of links that went or came back: dv.lab_result_sat_status  [result_hstage -> LabResult]
update "dv"."lab_result_sat_status" st
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_link_states_2" c
where st._id = c._id and st._source_system = %(pipe)s and st._active
  and st.record_status is distinct from case when c.current then 'active' else 'ended' end;

-- end links that went: dv.lab_result_sat_status  [result_hstage -> LabResult]
insert into "dv"."lab_result_sat_status" (_id, _runid, _source_system, _insert_date, _active, _revision, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true, coalesce(last._revision + 1, 0), %(word)s
from "pyelt_link_states_2" c
left join lateral (
    select st._revision, st.record_status from "dv"."lab_result_sat_status" st
    where st._id = c._id and st._source_system = %(pipe)s
    order by st._revision desc limit 1
) last on true
where c.current = (%(word)s = 'active') and coalesce(last.record_status, 'active') <> %(word)s;

-- let links be active that came back: dv.lab_result_sat_status  [result_hstage -> LabResult]
insert into "dv"."lab_result_sat_status" (_id, _runid, _source_system, _insert_date, _active, _revision, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true, coalesce(last._revision + 1, 0), %(word)s
from "pyelt_link_states_2" c
left join lateral (
    select st._revision, st.record_status from "dv"."lab_result_sat_status" st
    where st._id = c._id and st._source_system = %(pipe)s
    order by st._revision desc limit 1
) last on true
where c.current = (%(word)s = 'active') and coalesce(last.record_status, 'active') <> %(word)s;

-- remember what was looked at  [result_hstage -> LabResult]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- see whether validations were removed
select s.mapping from "sys".mapping_states s
where s.pipe = %(pipe)s and s.mapping like %(validations)s and s.mapping <> all(%(names)s::text[])
  and s.fingerprint <> %(removed)s
  and not exists (
    select from "sys".mapping_states later
    where later.pipe = s.pipe and later.mapping = s.mapping and later.id > s.id)
order by s.mapping;

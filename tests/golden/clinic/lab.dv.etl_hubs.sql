-- see what is new  [analyte_hstage -> Analyte]
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

-- see what is new  [lab_order_hstage -> LabOrder]
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

-- collect changed rows: sor_lab.analyte_hstage  [analyte_hstage -> Analyte]
create temporary table pyelt_touched_1 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_lab"."analyte_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect rows: sor_lab.analyte_hstage  [analyte_hstage -> Analyte]
create temporary table pyelt_rows_1 on commit drop as
select s._id as _row,
    (analyte_code)::text as _key,
    (description)::text as _value_1,
    (unit)::text as _value_2
from "sor_lab"."analyte_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_1);

-- collect changed rows: sor_lab.lab_order_hstage  [lab_order_hstage -> LabOrder]
create temporary table pyelt_touched_2 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_lab"."lab_order_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_lab"."lab_order_hstage" where _finish_runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect changed keys
savepoint mapping;

-- collect changed keys  [lab_order_hstage -> LabOrder]
create temporary table pyelt_keys_2 on commit drop as
select changed._key, bool_or(changed._refused) as _refused, bool_or(changed._closed) as _closed
from (
    select (order_number)::text as _key, not s._valid as _refused, not s._active as _closed
    from "sor_lab"."lab_order_hstage" s
    where s._id in (select _touched from pyelt_touched_2)
        and (s._active or s._finish_runid is distinct from s._runid)) as changed
group by changed._key;

release savepoint mapping;

-- see whether rejected rows are among them  [lab_order_hstage -> LabOrder]
select exists (select from pyelt_keys_2 where _refused)
or exists (select from "sys".rejected_rows where pipe = %(pipe)s and mapping = any(%(mappings)s))
or exists (
    select from "sys".journal
    where schemaname = %(schema_0)s and tablename = %(table_0)s
        and runid = any(%(runids_0)s::numeric[]) and before ? '_valid');

-- collect rows: sor_lab.lab_order_hstage  [lab_order_hstage -> LabOrder]
create temporary table pyelt_rows_2 on commit drop as
select s._id as _row,
    (order_number)::text as _key,
    (material)::text as _value_1,
    (priority)::text as _value_2,
    (status)::text as _value_3
from "sor_lab"."lab_order_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_2);

-- insert new keys: dv.analyte_hub  [analyte_hstage -> Analyte]
insert into "dv"."analyte_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'analyte'::text as type
    from pyelt_rows_1 as r where true) as k
where not exists (select from "dv"."analyte_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [analyte_hstage -> Analyte]
with made as (
    delete from "sys".given_keys as made using "dv"."analyte_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_1)
    returning made.row_id)
update "dv"."analyte_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- insert new keys: dv.lab_order_hub  [lab_order_hstage -> LabOrder]
insert into "dv"."lab_order_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'lab_order'::text as type
    from pyelt_rows_2 as r where true) as k
where not exists (select from "dv"."lab_order_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [lab_order_hstage -> LabOrder]
with made as (
    delete from "sys".given_keys as made using "dv"."lab_order_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_2)
    returning made.row_id)
update "dv"."lab_order_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- compare with the active rows: dv.analyte_sat  [analyte_hstage -> Analyte]
create temporary table "pyelt_changes_dv_analyte_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."description" as "description", c."unit" as "unit"
from (
    select m1._key_1, m1._value_1 as "description", m1._value_2 as "unit"
    from (select r._key as _key_1, r._value_1, r._value_2, true as _here from pyelt_rows_1 as r where true) as m1) as c
join "dv"."analyte_hub" as o on o.bk = c._key_1
left join "dv"."analyte_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."description" is distinct from c."description"
        or a."unit" is distinct from c."unit" end
order by 1;

-- close changed rows: dv.analyte_sat  [analyte_hstage -> Analyte]
update "dv"."analyte_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_analyte_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.analyte_sat  [analyte_hstage -> Analyte]
insert into "dv"."analyte_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "description", "unit")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."description", c."unit"
from "pyelt_changes_dv_analyte_sat" as c;

-- compare with the active rows: dv.lab_order_sat  [lab_order_hstage -> LabOrder]
create temporary table "pyelt_changes_dv_lab_order_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."material" as "material", c."priority" as "priority", c."status" as "status"
from (
    select m1._key_1, m1._value_1 as "material", m1._value_2 as "priority", m1._value_3 as "status"
    from (select r._key as _key_1, r._value_1, r._value_2, r._value_3, true as _here from pyelt_rows_2 as r where true) as m1) as c
join "dv"."lab_order_hub" as o on o.bk = c._key_1
left join "dv"."lab_order_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."material" is distinct from c."material"
        or a."priority" is distinct from c."priority"
        or a."status" is distinct from c."status" end
order by 1;

-- close changed rows: dv.lab_order_sat  [lab_order_hstage -> LabOrder]
update "dv"."lab_order_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_lab_order_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.lab_order_sat  [lab_order_hstage -> LabOrder]
insert into "dv"."lab_order_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "material", "priority", "status")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."material", c."priority", c."status"
from "pyelt_changes_dv_lab_order_sat" as c;

-- find keys that went or came back: dv.lab_order_sat_record_status  [lab_order_hstage -> LabOrder]
create temporary table "pyelt_status_dv_lab_order_sat_record_status" on commit drop as
with recursive later_2 as (
    select r._id, r._runid,
        r._runid <> all(%(runids_2)s::numeric[]) and (r._valid and r._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema_2)s and j.tablename = %(table_2)s
              and j.runid = any(%(runids_2)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema_2)s and j.tablename = %(table_2)s and j.row_id = r._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping_2)s and x.row_id = r._id
              and (x.freed_runid is null or x.freed_runid >= r._finish_runid
                or not r._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema_2)s and j.tablename = %(table_2)s
                      and j.row_id = r._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid)) and x.runid < %(runid)s) as stood,
        r."order_number"
    from "sor_lab"."lab_order_hstage" as r
    where r._active and r._id in (
        select _id from "sor_lab"."lab_order_hstage" where _active and not _valid
        union
        select row_id from "sys".rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping_2)s and freed_runid is null)
    union
    select before._id, before._runid, (before._valid and before._id not in (
            select j.row_id from "sys".journal j
            where j.schemaname = %(schema_2)s and j.tablename = %(table_2)s
              and j.runid = any(%(runids_2)s::numeric[]) and j.before ->> '_valid' = 'false')
        or exists (
            select from "sys".journal j
            where j.schemaname = %(schema_2)s and j.tablename = %(table_2)s and j.row_id = before._id
              and j.before ->> '_valid' = 'true'))
        and not exists (
            select from "sys".rejected_rows x
            where x.pipe = %(pipe)s and x.mapping = %(mapping_2)s and x.row_id = before._id
              and (x.freed_runid is null or x.freed_runid >= before._finish_runid
                or not before._valid and exists (
                    select from "sys".journal j
                    where j.schemaname = %(schema_2)s and j.tablename = %(table_2)s
                      and j.row_id = before._id and j.before ->> '_valid' = 'true'
                      and j.runid between x.runid and x.freed_runid))), before."order_number"
    from later_2
    join "sor_lab"."lab_order_hstage" before
        on before."order_number" = later_2."order_number" and not before._active and before._finish_runid = later_2._runid
    where not later_2.stood and before._runid < before._finish_runid),
kept_2 as (
    select (order_number)::text as _key
    from "sor_lab"."lab_order_hstage" s
    where s._id in (select _id from later_2 where stood)),
looked_at as (
    select _key from pyelt_keys_2 where _closed)
select o._id, a._id is not null as _changed, a._revision, %(gone)s::text as status
from (select distinct _key from looked_at) as k
join "dv"."lab_order_hub" as o on o.bk = k._key
left join "dv"."lab_order_sat_record_status" as a on a._id = o._id and a._source_system = %(pipe)s and a._active
where a.record_status is distinct from %(gone)s
    and not exists (select from pyelt_rows_2 as g where g._key = k._key)
    and not exists (select from kept_2 as g where g._key = k._key)
union all
select o._id, true, a._revision, %(here)s::text
from "dv"."lab_order_sat_record_status" as a
join "dv"."lab_order_hub" as o on o._id = a._id
where a._active and a._source_system = %(pipe)s and a.record_status = %(gone)s
    and o.bk in (select _key from pyelt_rows_2);

-- close the old status: dv.lab_order_sat_record_status  [lab_order_hstage -> LabOrder]
update "dv"."lab_order_sat_record_status" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_status_dv_lab_order_sat_record_status" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- say which keys are gone: dv.lab_order_sat_record_status  [lab_order_hstage -> LabOrder]
insert into "dv"."lab_order_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_lab_order_sat_record_status" as c
where c.status = %(status)s;

-- say which keys are back: dv.lab_order_sat_record_status  [lab_order_hstage -> LabOrder]
insert into "dv"."lab_order_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_lab_order_sat_record_status" as c
where c.status = %(status)s;

-- remember what was looked at  [analyte_hstage -> Analyte]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [lab_order_hstage -> LabOrder]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

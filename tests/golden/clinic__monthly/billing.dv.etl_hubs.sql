-- see what is new  [invoice_hstage -> Invoice]
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

-- see what is new  [invoice_hstage -> Patient]
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

-- collect changed rows: sor_billing.invoice_hstage  [invoice_hstage -> Invoice]
create temporary table pyelt_touched_1 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_billing"."invoice_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_billing"."invoice_hstage" where _finish_runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect changed keys
savepoint mapping;

-- collect changed keys  [invoice_hstage -> Invoice]
create temporary table pyelt_keys_1 on commit drop as
select changed._key, bool_or(changed._refused) as _refused, bool_or(changed._closed) as _closed
from (
    select (invoice_number)::text as _key, not s._valid as _refused, not s._active as _closed
    from "sor_billing"."invoice_hstage" s
    where s._id in (select _touched from pyelt_touched_1)
        and (s._active or s._finish_runid is distinct from s._runid)) as changed
group by changed._key;

release savepoint mapping;

-- see whether rejected rows are among them  [invoice_hstage -> Invoice]
select exists (select from pyelt_keys_1 where _refused)
or exists (select from "sys".rejected_rows where pipe = %(pipe)s and mapping = any(%(mappings)s))
or exists (
    select from "sys".journal
    where schemaname = %(schema_0)s and tablename = %(table_0)s
        and runid = any(%(runids_0)s::numeric[]) and before ? '_valid');

-- collect rows of invoice_hstage -> Invoice
savepoint mapping;

-- collect rows: sor_billing.invoice_hstage  [invoice_hstage -> Invoice]
create temporary table pyelt_rows_1 on commit drop as
select s._id as _row,
    (invoice_number)::text as _key,
    (invoice_date)::date as _value_1,
    (cents::numeric / 100)::numeric(10,2) as _value_2,
    (case status when 'O' then 'open' when 'P' then 'paid' end)::text as _value_3
from "sor_billing"."invoice_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_1);

release savepoint mapping;

-- collect changed rows: sor_billing.invoice_hstage  [invoice_hstage -> Patient]
create temporary table pyelt_touched_2 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_billing"."invoice_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select _id from "sor_billing"."invoice_hstage" where _finish_runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null) as changed;

-- collect changed keys
savepoint mapping;

-- collect changed keys  [invoice_hstage -> Patient]
create temporary table pyelt_keys_2 on commit drop as
select changed._key, bool_or(changed._refused) as _refused, bool_or(changed._closed) as _closed
from (
    select (patient_number)::text as _key, not s._valid as _refused, not s._active as _closed
    from "sor_billing"."invoice_hstage" s
    where s._id in (select _touched from pyelt_touched_2)
        and (s._active or s._finish_runid is distinct from s._runid)) as changed
group by changed._key;

release savepoint mapping;

-- see whether rejected rows are among them  [invoice_hstage -> Patient]
select exists (select from pyelt_keys_2 where _refused)
or exists (select from "sys".rejected_rows where pipe = %(pipe)s and mapping = any(%(mappings)s))
or exists (
    select from "sys".journal
    where schemaname = %(schema_0)s and tablename = %(table_0)s
        and runid = any(%(runids_0)s::numeric[]) and before ? '_valid');

-- gather statistics of changed keys
analyze pyelt_keys_2;

-- collect rows of invoice_hstage -> Patient
savepoint mapping;

-- collect rows: sor_billing.invoice_hstage  [invoice_hstage -> Patient]
create temporary table pyelt_rows_2 on commit drop as
select s._id as _row,
    (patient_number)::text as _key,
    row_number() over (partition by (patient_number)::text order by invoice_date desc, invoice_number desc, s."invoice_number" collate "C") as _rank,
    (last_name)::text as _value_1,
    (insurer)::text as _value_2,
    (policy_number)::text as _value_3
from "sor_billing"."invoice_hstage" s
join (select _key as pyelt_key from pyelt_keys_2) as pyelt_keys on pyelt_keys.pyelt_key = (patient_number)::text
where s._active
  and s._valid
union all
select s._id as _row,
    (patient_number)::text as _key,
    row_number() over (partition by (patient_number)::text order by invoice_date desc, invoice_number desc, s."invoice_number" collate "C") as _rank,
    (last_name)::text as _value_1,
    (insurer)::text as _value_2,
    (policy_number)::text as _value_3
from "sor_billing"."invoice_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_2)
  and (patient_number)::text is null;

release savepoint mapping;

-- count rows without a key  [invoice_hstage -> Patient]
select count(*) filter (where (patient_number)::text is null)
from "sor_billing"."invoice_hstage" s
where s._active
  and s._valid
  and s._id in (select _touched from pyelt_touched_2);

-- see whether keys have several rows  [invoice_hstage -> Patient]
select exists (select from pyelt_rows_2 where _rank > 1 and _key is not null);

-- count keys whose rows differ  [invoice_hstage -> Patient]
select count(distinct r._key)
from pyelt_rows_2 as r
join pyelt_rows_2 as w on w._key = r._key and w._rank = 1
where r._rank > 1 and (r._value_1::text is distinct from w._value_1::text or r._value_2::text is distinct from w._value_2::text or r._value_3::text is distinct from w._value_3::text);

-- insert new keys: dv.invoice_hub  [invoice_hstage -> Invoice]
insert into "dv"."invoice_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'invoice'::text as type
    from pyelt_rows_1 as r where true) as k
where not exists (select from "dv"."invoice_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [invoice_hstage -> Invoice]
with made as (
    delete from "sys".given_keys as made using "dv"."invoice_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_1)
    returning made.row_id)
update "dv"."invoice_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- insert new keys: dv.patient_hub  [invoice_hstage -> Patient]
insert into "dv"."patient_hub" (_runid, _source_system, _insert_date, type, bk)
select %(runid)s, %(pipe)s, %(load_time)s, k.type, k._key
from (
    select r._key, 'patient'::text as type
    from pyelt_rows_2 as r where r._rank = 1 and r._key is not null) as k
where not exists (select from "dv"."patient_hub" as h where h.bk = k._key)
order by k._key
on conflict do nothing;

-- give keys that links needed their source  [invoice_hstage -> Patient]
with made as (
    delete from "sys".given_keys as made using "dv"."patient_hub" as h
    where made.only_for_links and made.runid = %(runid)s and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)
        and h._id = made.row_id and h.bk in (select _key from pyelt_rows_2)
    returning made.row_id)
update "dv"."patient_hub" as h set _source_system = %(pipe)s, _insert_date = %(load_time)s
from made where h._id = made.row_id;

-- compare with the active rows: dv.invoice_sat  [invoice_hstage -> Invoice]
create temporary table "pyelt_changes_dv_invoice_sat" on commit drop as
select o._id as _id, a._id is not null as _changed, a._revision, c."invoice_date" as "invoice_date", c."amount" as "amount", c."status" as "status"
from (
    select m1._key_1, m1._value_1 as "invoice_date", m1._value_2 as "amount", m1._value_3 as "status"
    from (select r._key as _key_1, r._value_1, r._value_2, r._value_3, true as _here from pyelt_rows_1 as r where true) as m1) as c
join "dv"."invoice_hub" as o on o.bk = c._key_1
left join "dv"."invoice_sat" as a
    on a._id = o._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."invoice_date" is distinct from c."invoice_date"
        or a."amount" is distinct from c."amount"
        or a."status" is distinct from c."status" end
order by 1;

-- close changed rows: dv.invoice_sat  [invoice_hstage -> Invoice]
update "dv"."invoice_sat" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_invoice_sat" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.invoice_sat  [invoice_hstage -> Invoice]
insert into "dv"."invoice_sat"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "invoice_date", "amount", "status")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."invoice_date", c."amount", c."status"
from "pyelt_changes_dv_invoice_sat" as c;

-- find keys that went or came back: dv.invoice_sat_record_status  [invoice_hstage -> Invoice]
create temporary table "pyelt_status_dv_invoice_sat_record_status" on commit drop as
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
        r."invoice_number"
    from "sor_billing"."invoice_hstage" as r
    where r._active and r._id in (
        select _id from "sor_billing"."invoice_hstage" where _active and not _valid
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
                      and j.runid between x.runid and x.freed_runid))), before."invoice_number"
    from later_1
    join "sor_billing"."invoice_hstage" before
        on before."invoice_number" = later_1."invoice_number" and not before._active and before._finish_runid = later_1._runid
    where not later_1.stood and before._runid < before._finish_runid),
kept_1 as (
    select (invoice_number)::text as _key
    from "sor_billing"."invoice_hstage" s
    where s._id in (select _id from later_1 where stood)),
looked_at as (
    select _key from pyelt_keys_1 where _closed)
select o._id, a._id is not null as _changed, a._revision, %(gone)s::text as status
from (select distinct _key from looked_at) as k
join "dv"."invoice_hub" as o on o.bk = k._key
left join "dv"."invoice_sat_record_status" as a on a._id = o._id and a._source_system = %(pipe)s and a._active
where a.record_status is distinct from %(gone)s
    and not exists (select from pyelt_rows_1 as g where g._key = k._key)
    and not exists (select from kept_1 as g where g._key = k._key)
union all
select o._id, true, a._revision, %(here)s::text
from "dv"."invoice_sat_record_status" as a
join "dv"."invoice_hub" as o on o._id = a._id
where a._active and a._source_system = %(pipe)s and a.record_status = %(gone)s
    and o.bk in (select _key from pyelt_rows_1);

-- close the old status: dv.invoice_sat_record_status  [invoice_hstage -> Invoice]
update "dv"."invoice_sat_record_status" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_status_dv_invoice_sat_record_status" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- say which keys are gone: dv.invoice_sat_record_status  [invoice_hstage -> Invoice]
insert into "dv"."invoice_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_invoice_sat_record_status" as c
where c.status = %(status)s;

-- say which keys are back: dv.invoice_sat_record_status  [invoice_hstage -> Invoice]
insert into "dv"."invoice_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_invoice_sat_record_status" as c
where c.status = %(status)s;

-- look up the ids of the keys: dv.patient_hub  [invoice_hstage -> Patient]
create temporary table pyelt_keyed_2 on commit drop as
select h._id, r.*
from pyelt_rows_2 as r
join "dv"."patient_hub" as h on h.bk = r._key
where r._rank = 1 and r._key is not null;

-- compare with the active rows: dv.patient_sat_insurance  [invoice_hstage -> Patient]
create temporary table "pyelt_changes_dv_patient_sat_insurance" on commit drop as
select c._id as _id, a._id is not null as _changed, a._revision, c."insurer" as "insurer", c."policy_number" as "policy_number"
from (
    select m1._id, m1._value_2 as "insurer", m1._value_3 as "policy_number"
    from (select r._id as _id, r._value_2, r._value_3, true as _here from pyelt_keyed_2 as r where true) as m1) as c
left join "dv"."patient_sat_insurance" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."insurer" is distinct from c."insurer"
        or a."policy_number" is distinct from c."policy_number" end
order by 1;

-- close changed rows: dv.patient_sat_insurance  [invoice_hstage -> Patient]
update "dv"."patient_sat_insurance" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_sat_insurance" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_sat_insurance  [invoice_hstage -> Patient]
insert into "dv"."patient_sat_insurance"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "insurer", "policy_number")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."insurer", c."policy_number"
from "pyelt_changes_dv_patient_sat_insurance" as c;

-- compare with the active rows: dv.patient_sat_name  [invoice_hstage -> Patient]
create temporary table "pyelt_changes_dv_patient_sat_name" on commit drop as
select c._id as _id, a._id is not null as _changed, a._revision, c."last_name" as "last_name"
from (
    select m1._id, m1._value_1 as "last_name"
    from (select r._id as _id, r._value_1, true as _here from pyelt_keyed_2 as r where true) as m1) as c
left join "dv"."patient_sat_name" as a
    on a._id = c._id and a._source_system = %(pipe)s and a._active
where case when a._id is null then true
    else a."last_name" is distinct from c."last_name" end
order by 1;

-- close changed rows: dv.patient_sat_name  [invoice_hstage -> Patient]
update "dv"."patient_sat_name" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_changes_dv_patient_sat_name" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- add new rows: dv.patient_sat_name  [invoice_hstage -> Patient]
insert into "dv"."patient_sat_name"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, "last_name")
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c."last_name"
from "pyelt_changes_dv_patient_sat_name" as c;

-- find keys that went or came back: dv.patient_sat_record_status  [invoice_hstage -> Patient]
create temporary table "pyelt_status_dv_patient_sat_record_status" on commit drop as
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
        r."invoice_number"
    from "sor_billing"."invoice_hstage" as r
    where r._active and r._id in (
        select _id from "sor_billing"."invoice_hstage" where _active and not _valid
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
                      and j.runid between x.runid and x.freed_runid))), before."invoice_number"
    from later_2
    join "sor_billing"."invoice_hstage" before
        on before."invoice_number" = later_2."invoice_number" and not before._active and before._finish_runid = later_2._runid
    where not later_2.stood and before._runid < before._finish_runid),
kept_2 as (
    select (patient_number)::text as _key
    from "sor_billing"."invoice_hstage" s
    where s._id in (select _id from later_2 where stood)),
looked_at as (
    select _key from pyelt_keys_2 where _closed)
select o._id, a._id is not null as _changed, a._revision, %(gone)s::text as status
from (select distinct _key from looked_at) as k
join "dv"."patient_hub" as o on o.bk = k._key
left join "dv"."patient_sat_record_status" as a on a._id = o._id and a._source_system = %(pipe)s and a._active
where a.record_status is distinct from %(gone)s
    and not exists (select from pyelt_rows_2 as g where g._key = k._key)
    and not exists (select from kept_2 as g where g._key = k._key)
union all
select o._id, true, a._revision, %(here)s::text
from "dv"."patient_sat_record_status" as a
join "dv"."patient_hub" as o on o._id = a._id
where a._active and a._source_system = %(pipe)s and a.record_status = %(gone)s
    and o.bk in (select _key from pyelt_rows_2);

-- close the old status: dv.patient_sat_record_status  [invoice_hstage -> Patient]
update "dv"."patient_sat_record_status" as a
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from "pyelt_status_dv_patient_sat_record_status" as c
where a._id = c._id and a._source_system = %(pipe)s and a._active and c._changed;

-- say which keys are gone: dv.patient_sat_record_status  [invoice_hstage -> Patient]
insert into "dv"."patient_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_patient_sat_record_status" as c
where c.status = %(status)s;

-- say which keys are back: dv.patient_sat_record_status  [invoice_hstage -> Patient]
insert into "dv"."patient_sat_record_status"
    (_id, _runid, _source_system, _insert_date, _active, _revision, _valid, record_status)
select c._id, %(runid)s, %(pipe)s, %(load_time)s, true,
    case when c._changed then coalesce(c._revision, 0) + 1 else 0 end, true, c.status
from "pyelt_status_dv_patient_sat_record_status" as c
where c.status = %(status)s;

-- remember what was looked at  [invoice_hstage -> Invoice]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what was looked at  [invoice_hstage -> Patient]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

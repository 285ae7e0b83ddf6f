-- prefer parallel plans
select set_config('parallel_setup_cost', '0', true), set_config('synchronize_seqscans', 'off', true);

-- before sor: hooks.py:open_logbook
-- the worker calls hooks.py:open_logbook

-- read the delivery's columns: sor_his.patient_hstage
-- the worker reads which columns the delivery has

-- look up what is there
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname);

-- look whether the table is empty
select not exists (select from "sor_his"."patient_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_his.patient_temp
truncate "sor_his"."patient_temp";

-- read the delivery: sor_his.patient_hstage
-- the worker streams the delivery: copy sor_his.patient_temp (patient_number) from stdin

-- compare the delivery with the active rows: sor_his.patient_hstage
create temporary table "pg_temp"."patient_delta" on commit drop as
select case when h._id is null then 'new' when t."patient_number" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."patient_number"
from (
    select s.ctid as _place, s."patient_number"
    from "sor_his"."patient_temp" as s) as t
full join (
    select _id, _revision, "patient_number"
    from "sor_his"."patient_hstage" where _active) as h
    on t."patient_number" = h."patient_number"
where h._id is null or t."patient_number" is null;

-- count the differences: sor_his.patient_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("patient_number" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_his"."patient_hstage" where _active),
    exists (
        select from "pg_temp"."patient_delta" where _kind = 'new' and not ("patient_number" is null)
        group by "patient_number" having count(*) > 1)
from "pg_temp"."patient_delta";

-- close deleted rows: sor_his.patient_hstage
update "sor_his"."patient_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."patient_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_his.patient_hstage
update "sor_his"."patient_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."patient_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_his.patient_hstage
insert into "sor_his"."patient_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "patient_number")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."patient_number"
from "pg_temp"."patient_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_his.patient_hstage
insert into "sor_his"."patient_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "patient_number")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."patient_number"
from "pg_temp"."patient_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_his.patient_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_his.patient_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations
savepoint mapping;

-- judge rows by the validations: sor_his.patient_hstage
create temporary table "pg_temp"."patient_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, nullif(concat_ws('; ',
        case when (postcode like '0000%%') then %(message_0)s::text end,
        case when pyelt_recurring_1.pyelt_recurring_1_0 is not null then %(message_1)s::text end), '') as _message
    from "sor_his"."patient_hstage" as s
    left join (
        select "policy_number" from "sor_his"."patient_hstage"
        where _active
        group by "policy_number" having count(*) > 1) as pyelt_recurring_1 (pyelt_recurring_1_0) on pyelt_recurring_1.pyelt_recurring_1_0 = s."policy_number"
    where s._active) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

release savepoint mapping;

-- write down verdicts on earlier rows: sor_his.patient_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_his"."patient_hstage" as h
join "pg_temp"."patient_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_his.patient_hstage
update "sor_his"."patient_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."patient_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_his.patient_hstage
update "sor_his"."patient_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."patient_verdicts" as v where h._id = v._id and v._message is null;

-- remember the validations: sor_his.patient_hstage
insert into "sys".mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values (%(pipe)s, %(mapping)s, %(runid)s, %(stage)s, %(text)s, '');

-- look for rejected rows: sor_his.patient_hstage
select exists (select from "sor_his"."patient_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."patient_number"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_his"."patient_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_his"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_his"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_his"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_his.care_track_hstage
-- the worker reads which columns the delivery has

-- look up what is there
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname);

-- look whether the table is empty
select not exists (select from "sor_his"."care_track_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_his.care_track_temp
truncate "sor_his"."care_track_temp";

-- read the delivery: sor_his.care_track_hstage
-- the worker streams the delivery: copy sor_his.care_track_temp (patient_number, track_number) from stdin

-- compare the delivery with the active rows: sor_his.care_track_hstage
create temporary table "pg_temp"."care_track_delta" on commit drop as
select case when h._id is null then 'new' when t."patient_number" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."patient_number", t."track_number"
from (
    select s.ctid as _place, s."patient_number", s."track_number"
    from "sor_his"."care_track_temp" as s) as t
full join (
    select _id, _revision, "patient_number", "track_number"
    from "sor_his"."care_track_hstage" where _active) as h
    on t."patient_number" = h."patient_number" and t."track_number" = h."track_number"
where h._id is null or t."patient_number" is null;

-- count the differences: sor_his.care_track_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("patient_number" is null or "track_number" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_his"."care_track_hstage" where _active),
    exists (
        select from "pg_temp"."care_track_delta" where _kind = 'new' and not ("patient_number" is null or "track_number" is null)
        group by "patient_number", "track_number" having count(*) > 1)
from "pg_temp"."care_track_delta";

-- close deleted rows: sor_his.care_track_hstage
update "sor_his"."care_track_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."care_track_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_his.care_track_hstage
update "sor_his"."care_track_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."care_track_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_his.care_track_hstage
insert into "sor_his"."care_track_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "patient_number", "track_number")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."patient_number", d."track_number"
from "pg_temp"."care_track_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_his.care_track_hstage
insert into "sor_his"."care_track_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "patient_number", "track_number")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."patient_number", d."track_number"
from "pg_temp"."care_track_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_his.care_track_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_his.care_track_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_his.care_track_hstage
create temporary table "pg_temp"."care_track_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_his"."care_track_hstage" as s
    where s._active and s._id in (
        select _id from "sor_his"."care_track_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_his.care_track_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_his"."care_track_hstage" as h
join "pg_temp"."care_track_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_his.care_track_hstage
update "sor_his"."care_track_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."care_track_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_his.care_track_hstage
update "sor_his"."care_track_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."care_track_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_his.care_track_hstage
select exists (select from "sor_his"."care_track_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."patient_number", s."track_number"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_his"."care_track_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_his"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_his"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_his"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_his.practitioner_hstage
-- the worker reads which columns the delivery has

-- look up what is there
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname);

-- look whether the table is empty
select not exists (select from "sor_his"."practitioner_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_his.practitioner_temp
truncate "sor_his"."practitioner_temp";

-- read the delivery: sor_his.practitioner_hstage
-- the worker streams the delivery: copy sor_his.practitioner_temp (staff_code) from stdin

-- compare the delivery with the active rows: sor_his.practitioner_hstage
create temporary table "pg_temp"."practitioner_delta" on commit drop as
select case when h._id is null then 'new' when t."staff_code" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."staff_code"
from (
    select s.ctid as _place, s."staff_code"
    from "sor_his"."practitioner_temp" as s) as t
full join (
    select _id, _revision, "staff_code"
    from "sor_his"."practitioner_hstage" where _active) as h
    on t."staff_code" = h."staff_code"
where h._id is null or t."staff_code" is null;

-- count the differences: sor_his.practitioner_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("staff_code" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_his"."practitioner_hstage" where _active),
    exists (
        select from "pg_temp"."practitioner_delta" where _kind = 'new' and not ("staff_code" is null)
        group by "staff_code" having count(*) > 1)
from "pg_temp"."practitioner_delta";

-- close deleted rows: sor_his.practitioner_hstage
update "sor_his"."practitioner_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."practitioner_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_his.practitioner_hstage
update "sor_his"."practitioner_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."practitioner_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_his.practitioner_hstage
insert into "sor_his"."practitioner_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "staff_code")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."staff_code"
from "pg_temp"."practitioner_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_his.practitioner_hstage
insert into "sor_his"."practitioner_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "staff_code")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."staff_code"
from "pg_temp"."practitioner_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_his.practitioner_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_his.practitioner_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_his.practitioner_hstage
create temporary table "pg_temp"."practitioner_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_his"."practitioner_hstage" as s
    where s._active and s._id in (
        select _id from "sor_his"."practitioner_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_his.practitioner_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_his"."practitioner_hstage" as h
join "pg_temp"."practitioner_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_his.practitioner_hstage
update "sor_his"."practitioner_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."practitioner_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_his.practitioner_hstage
update "sor_his"."practitioner_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."practitioner_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_his.practitioner_hstage
select exists (select from "sor_his"."practitioner_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."staff_code"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_his"."practitioner_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_his"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_his"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_his"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_his.organisation_hstage
-- the worker reads which columns the delivery has

-- look up what is there
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname);

-- look whether the table is empty
select not exists (select from "sor_his"."organisation_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_his.organisation_temp
truncate "sor_his"."organisation_temp";

-- read the delivery: sor_his.organisation_hstage
-- the worker streams the delivery: copy sor_his.organisation_temp (code) from stdin

-- compare the delivery with the active rows: sor_his.organisation_hstage
create temporary table "pg_temp"."organisation_delta" on commit drop as
select case when h._id is null then 'new' when t."code" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."code"
from (
    select s.ctid as _place, s."code"
    from "sor_his"."organisation_temp" as s) as t
full join (
    select _id, _revision, "code"
    from "sor_his"."organisation_hstage" where _active) as h
    on t."code" = h."code"
where h._id is null or t."code" is null;

-- count the differences: sor_his.organisation_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("code" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_his"."organisation_hstage" where _active),
    exists (
        select from "pg_temp"."organisation_delta" where _kind = 'new' and not ("code" is null)
        group by "code" having count(*) > 1)
from "pg_temp"."organisation_delta";

-- close deleted rows: sor_his.organisation_hstage
update "sor_his"."organisation_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."organisation_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_his.organisation_hstage
update "sor_his"."organisation_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."organisation_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_his.organisation_hstage
insert into "sor_his"."organisation_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "code")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."code"
from "pg_temp"."organisation_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_his.organisation_hstage
insert into "sor_his"."organisation_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "code")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."code"
from "pg_temp"."organisation_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_his.organisation_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_his.organisation_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_his.organisation_hstage
create temporary table "pg_temp"."organisation_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_his"."organisation_hstage" as s
    where s._active and s._id in (
        select _id from "sor_his"."organisation_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_his.organisation_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_his"."organisation_hstage" as h
join "pg_temp"."organisation_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_his.organisation_hstage
update "sor_his"."organisation_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."organisation_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_his.organisation_hstage
update "sor_his"."organisation_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."organisation_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_his.organisation_hstage
select exists (select from "sor_his"."organisation_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."code"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_his"."organisation_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_his"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_his"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_his"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_his.code_hstage
-- the worker reads which columns the delivery has

-- look up what is there
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname);

-- look whether the table is empty
select not exists (select from "sor_his"."code_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_his.code_temp
truncate "sor_his"."code_temp";

-- read the delivery: sor_his.code_hstage
-- the worker streams the delivery: copy sor_his.code_temp (list, code, description) from stdin

-- compare the delivery with the active rows: sor_his.code_hstage
create temporary table "pg_temp"."code_delta" on commit drop as
select case when h._id is null then 'new' when t."list" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."list", t."code", t."description"
from (
    select s.ctid as _place, s."list", s."code", s."description"
    from "sor_his"."code_temp" as s) as t
full join (
    select _id, _revision, "list", "code", "description"
    from "sor_his"."code_hstage" where _active) as h
    on t."list" = h."list" and t."code" = h."code"
where h._id is null or t."list" is null
    or t."description" is distinct from h."description";

-- count the differences: sor_his.code_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("list" is null or "code" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_his"."code_hstage" where _active),
    exists (
        select from "pg_temp"."code_delta" where _kind = 'new' and not ("list" is null or "code" is null)
        group by "list", "code" having count(*) > 1)
from "pg_temp"."code_delta";

-- close deleted rows: sor_his.code_hstage
update "sor_his"."code_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."code_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_his.code_hstage
update "sor_his"."code_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."code_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_his.code_hstage
insert into "sor_his"."code_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "list", "code", "description")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."list", d."code", d."description"
from "pg_temp"."code_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_his.code_hstage
insert into "sor_his"."code_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "list", "code", "description")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."list", d."code", d."description"
from "pg_temp"."code_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_his.code_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_his.code_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_his.code_hstage
create temporary table "pg_temp"."code_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_his"."code_hstage" as s
    where s._active and s._id in (
        select _id from "sor_his"."code_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_his.code_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_his"."code_hstage" as h
join "pg_temp"."code_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_his.code_hstage
update "sor_his"."code_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."code_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_his.code_hstage
update "sor_his"."code_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."code_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_his.code_hstage
select exists (select from "sor_his"."code_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."list", s."code"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], array[s."description"]::text[]))::text as fields
    from "sor_his"."code_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_his"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_his"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_his"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_his.tariff_hstage
-- the worker reads which columns the delivery has

-- look up what is there
with wanted as (
    select * from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schemaname, tablename)),
found as (
    select w.schemaname, w.tablename, c.oid, c.relkind
    from wanted w
    join pg_namespace n on n.nspname = w.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = w.tablename)
select f.relkind::text, f.schemaname, f.tablename,
    (select jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                        a.atthasdef or a.attidentity <> '', col_description(f.oid, a.attnum))
                      order by a.attnum)
     from pg_attribute a where a.attrelid = f.oid and a.attnum > 0 and not a.attisdropped),
    (select jsonb_agg(jsonb_build_array(
                i.relname,
                (select jsonb_agg(a.attname order by k.place)
                 from unnest(x.indkey::int[]) with ordinality k (attnum, place)
                 left join pg_attribute a on a.attrelid = f.oid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts),
                x.indisunique, x.indisvalid, coalesce(pg_get_expr(x.indpred, x.indrelid), ''), x.indisprimary,
                (select k.conname from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')))
            order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = f.oid),
    (select jsonb_agg(jsonb_build_array(a.attname, n.nspname, t.relname))
     from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
     join pg_class t on t.oid = k.confrelid join pg_namespace n on n.oid = t.relnamespace
     where k.conrelid = f.oid and k.contype = 'f' and cardinality(k.conkey) = 1),
    obj_description(f.oid, 'pg_class')
from found f
union all
select 'schema', w.schemaname, null, null, null, null, null
from (select distinct schemaname from wanted) w
where not exists (select from pg_namespace n where n.nspname = w.schemaname);

-- look whether the table is empty
select not exists (select from "sor_his"."tariff_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_his.tariff_temp
truncate "sor_his"."tariff_temp";

-- read the delivery: sor_his.tariff_hstage
-- the worker streams the delivery: copy sor_his.tariff_temp (code, valid_from) from stdin

-- compare the delivery with the active rows: sor_his.tariff_hstage
create temporary table "pg_temp"."tariff_delta" on commit drop as
select case when h._id is null then 'new' when t."code" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."code", t."valid_from"
from (
    select s.ctid as _place, s."code", s."valid_from"
    from "sor_his"."tariff_temp" as s) as t
full join (
    select _id, _revision, "code", "valid_from"
    from "sor_his"."tariff_hstage" where _active) as h
    on t."code" = h."code" and t."valid_from" = h."valid_from"
where h._id is null or t."code" is null;

-- count the differences: sor_his.tariff_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("code" is null or "valid_from" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_his"."tariff_hstage" where _active),
    exists (
        select from "pg_temp"."tariff_delta" where _kind = 'new' and not ("code" is null or "valid_from" is null)
        group by "code", "valid_from" having count(*) > 1)
from "pg_temp"."tariff_delta";

-- close deleted rows: sor_his.tariff_hstage
update "sor_his"."tariff_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."tariff_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_his.tariff_hstage
update "sor_his"."tariff_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."tariff_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_his.tariff_hstage
insert into "sor_his"."tariff_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "code", "valid_from")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."code", d."valid_from"
from "pg_temp"."tariff_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_his.tariff_hstage
insert into "sor_his"."tariff_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "code", "valid_from")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."code", d."valid_from"
from "pg_temp"."tariff_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_his.tariff_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_his.tariff_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_his.tariff_hstage
create temporary table "pg_temp"."tariff_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_his"."tariff_hstage" as s
    where s._active and s._id in (
        select _id from "sor_his"."tariff_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_his.tariff_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_his"."tariff_hstage" as h
join "pg_temp"."tariff_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_his.tariff_hstage
update "sor_his"."tariff_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."tariff_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_his.tariff_hstage
update "sor_his"."tariff_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."tariff_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_his.tariff_hstage
select exists (select from "sor_his"."tariff_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."code", s."valid_from"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_his"."tariff_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_his"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_his"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_his"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- after sor: hooks.py:write_logbook
-- the worker calls hooks.py:write_logbook

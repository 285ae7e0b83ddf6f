-- prefer parallel plans
select set_config('parallel_setup_cost', '0', true), set_config('synchronize_seqscans', 'off', true);

-- read the delivery's columns: sor_lab.analyte_hstage
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
select not exists (select from "sor_lab"."analyte_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_lab.analyte_temp
truncate "sor_lab"."analyte_temp";

-- read the delivery: sor_lab.analyte_hstage
-- the worker streams the delivery: copy sor_lab.analyte_temp (analyte_code) from stdin

-- compare the delivery with the active rows: sor_lab.analyte_hstage
create temporary table "pg_temp"."analyte_delta" on commit drop as
select case when h._id is null then 'new' when t."analyte_code" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."analyte_code"
from (
    select s.ctid as _place, s."analyte_code"
    from "sor_lab"."analyte_temp" as s) as t
full join (
    select _id, _revision, "analyte_code"
    from "sor_lab"."analyte_hstage" where _active) as h
    on t."analyte_code" = h."analyte_code"
where h._id is null or t."analyte_code" is null;

-- count the differences: sor_lab.analyte_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("analyte_code" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_lab"."analyte_hstage" where _active),
    exists (
        select from "pg_temp"."analyte_delta" where _kind = 'new' and not ("analyte_code" is null)
        group by "analyte_code" having count(*) > 1)
from "pg_temp"."analyte_delta";

-- close deleted rows: sor_lab.analyte_hstage
update "sor_lab"."analyte_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."analyte_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_lab.analyte_hstage
update "sor_lab"."analyte_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."analyte_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_lab.analyte_hstage
insert into "sor_lab"."analyte_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "analyte_code")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."analyte_code"
from "pg_temp"."analyte_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_lab.analyte_hstage
insert into "sor_lab"."analyte_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "analyte_code")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."analyte_code"
from "pg_temp"."analyte_delta" as d
where d._kind = %(kind)s
order by d._place;

-- look which validations were judged by: sor_lab.analyte_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_lab.analyte_hstage
create temporary table "pg_temp"."analyte_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_lab"."analyte_hstage" as s
    where s._active and s._id in (
        select _id from "sor_lab"."analyte_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_lab.analyte_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_lab"."analyte_hstage" as h
join "pg_temp"."analyte_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_lab.analyte_hstage
update "sor_lab"."analyte_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."analyte_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_lab.analyte_hstage
update "sor_lab"."analyte_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."analyte_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_lab.analyte_hstage
select exists (select from "sor_lab"."analyte_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."analyte_code"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_lab"."analyte_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_lab"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_lab"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_lab"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_lab.lab_order_hstage
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
select not exists (select from "sor_lab"."lab_order_hstage")
and not exists (
    select from pg_constraint as k join pg_class as c on c.oid = k.confrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and n.nspname = %(schema)s and c.relname = %(table)s);

-- empty the table for the delivery: sor_lab.lab_order_temp
truncate "sor_lab"."lab_order_temp";

-- read the delivery: sor_lab.lab_order_hstage
-- the worker streams the delivery: copy sor_lab.lab_order_temp (order_number) from stdin

-- compare the delivery with the active rows: sor_lab.lab_order_hstage
create temporary table "pg_temp"."lab_order_delta" on commit drop as
select case when h._id is null then 'new' when t."order_number" is null then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."order_number"
from (
    select s.ctid as _place, s."order_number"
    from "sor_lab"."lab_order_temp" as s) as t
full join (
    select _id, _revision, "order_number"
    from "sor_lab"."lab_order_hstage" where _active) as h
    on t."order_number" = h."order_number"
where h._id is null or t."order_number" is null;

-- count the differences: sor_lab.lab_order_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("order_number" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_lab"."lab_order_hstage" where _active),
    exists (
        select from "pg_temp"."lab_order_delta" where _kind = 'new' and not ("order_number" is null)
        group by "order_number" having count(*) > 1)
from "pg_temp"."lab_order_delta";

-- close deleted rows: sor_lab.lab_order_hstage
update "sor_lab"."lab_order_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."lab_order_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_lab.lab_order_hstage
update "sor_lab"."lab_order_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."lab_order_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_lab.lab_order_hstage
insert into "sor_lab"."lab_order_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "order_number")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."order_number"
from "pg_temp"."lab_order_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_lab.lab_order_hstage
insert into "sor_lab"."lab_order_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "order_number")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."order_number"
from "pg_temp"."lab_order_delta" as d
where d._kind = %(kind)s
order by d._place;

-- look which validations were judged by: sor_lab.lab_order_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_lab.lab_order_hstage
create temporary table "pg_temp"."lab_order_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_lab"."lab_order_hstage" as s
    where s._active and s._id in (
        select _id from "sor_lab"."lab_order_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_lab.lab_order_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_lab"."lab_order_hstage" as h
join "pg_temp"."lab_order_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_lab.lab_order_hstage
update "sor_lab"."lab_order_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."lab_order_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_lab.lab_order_hstage
update "sor_lab"."lab_order_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."lab_order_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_lab.lab_order_hstage
select exists (select from "sor_lab"."lab_order_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."order_number"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], '{}'::text[]))::text as fields
    from "sor_lab"."lab_order_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_lab"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_lab"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_lab"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- read the delivery's columns: sor_lab.result_hstage
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

-- look how far the source was read
select position from "sys".source_positions
where pipe = %(pipe)s and schemaname = %(schema)s and tablename = %(table)s
order by runid desc limit 1;

-- empty the table for the delivery: sor_lab.result_temp
truncate "sor_lab"."result_temp";

-- read the delivery: sor_lab.result_hstage
-- the worker streams the delivery: copy sor_lab.result_temp (order_number, analyte_code, changed_at) from stdin

-- compare the delivery with the active rows: sor_lab.result_hstage
create temporary table "pg_temp"."result_delta" on commit drop as
select case when h._id is null then 'new' when t."order_number" is null or t._gone then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."order_number", t."analyte_code", t."changed_at"
from (
    select s.ctid as _place, s."order_number", s."analyte_code", s."changed_at",
        coalesce((state = 'withdrawn'), false) as _gone
    from "sor_lab"."result_temp" as s) as t
left join (
    select _id, _revision, "order_number", "analyte_code", "changed_at"
    from "sor_lab"."result_hstage" where _active) as h
    on t."order_number" = h."order_number" and t."analyte_code" = h."analyte_code"
where case when t._gone then h._id is not null else h._id is null or t."order_number" is null
    or t."changed_at" is distinct from h."changed_at" end;

-- count the differences: sor_lab.result_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("order_number" is null or "analyte_code" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_lab"."result_hstage" where _active),
    exists (
        select from "sor_lab"."result_temp" where true and not ("order_number" is null or "analyte_code" is null)
        group by "order_number", "analyte_code" having count(*) > 1)
from "pg_temp"."result_delta";

-- close deleted rows: sor_lab.result_hstage
update "sor_lab"."result_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."result_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_lab.result_hstage
update "sor_lab"."result_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."result_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_lab.result_hstage
insert into "sor_lab"."result_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "order_number", "analyte_code", "changed_at")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."order_number", d."analyte_code", d."changed_at"
from "pg_temp"."result_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_lab.result_hstage
insert into "sor_lab"."result_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "order_number", "analyte_code", "changed_at")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."order_number", d."analyte_code", d."changed_at"
from "pg_temp"."result_delta" as d
where d._kind = %(kind)s
order by d._place;

-- look which validations were judged by: sor_lab.result_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations
savepoint mapping;

-- judge rows by the validations: sor_lab.result_hstage
create temporary table "pg_temp"."result_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, nullif(concat_ws('; ',
        case when (value is null) then %(message_0)s::text end), '') as _message
    from "sor_lab"."result_hstage" as s
    where s._active) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

release savepoint mapping;

-- write down verdicts on earlier rows: sor_lab.result_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_lab"."result_hstage" as h
join "pg_temp"."result_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_lab.result_hstage
update "sor_lab"."result_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."result_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_lab.result_hstage
update "sor_lab"."result_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."result_verdicts" as v where h._id = v._id and v._message is null;

-- remember the validations: sor_lab.result_hstage
insert into "sys".mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values (%(pipe)s, %(mapping)s, %(runid)s, %(stage)s, %(text)s, '');

-- look for rejected rows: sor_lab.result_hstage
select exists (select from "sor_lab"."result_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."order_number", s."analyte_code"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], array[s."changed_at"]::text[]))::text as fields
    from "sor_lab"."result_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_lab"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_lab"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_lab"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

-- remember how far the source was read: sor_lab.result_hstage
insert into "sys".source_positions (pipe, schemaname, tablename, runid, position)
select %(pipe)s, %(schema)s, %(table)s, %(runid)s, position
from (
    select case when bool_and(d."changed_at" ~ '^-?[0-9]+(\.[0-9]+)?$') then max(case when d."changed_at" ~ '^-?[0-9]+(\.[0-9]+)?$' then d."changed_at"::numeric end)::text
           else max(d."changed_at" collate "C") end as position
    from "sor_lab"."result_temp" as d where d."changed_at" is not null) as greatest
where position is not null;

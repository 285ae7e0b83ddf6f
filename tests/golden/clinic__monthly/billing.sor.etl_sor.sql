-- prefer parallel plans
select set_config('parallel_setup_cost', '0', true), set_config('synchronize_seqscans', 'off', true);

-- read the delivery's columns: sor_billing.invoice_hstage
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

-- look up the file of the last load
select size, sha256, rows, active, read_as = %(read_as)s
from "sys".delivered_files
where pipe = %(pipe)s and schemaname = %(schema)s and tablename = %(table)s
order by runid desc limit 1;

-- see whether it is the file of the last load: sor_billing.invoice_hstage
-- the worker compares size and SHA-256; if so, rows are not compared

-- empty the table for the delivery: sor_billing.invoice_temp
truncate "sor_billing"."invoice_temp";

-- read the delivery: sor_billing.invoice_hstage
-- the worker streams the delivery: copy sor_billing.invoice_temp (invoice_number, patient_number, last_name, insurer, policy_number, invoice_date, cents, status) from stdin

-- compare the delivery with the active rows: sor_billing.invoice_hstage
create temporary table "pg_temp"."invoice_delta" on commit drop as
select case when h._id is null then 'new' when t."invoice_number" is null or t._gone then 'deleted' else 'changed' end as _kind,
    h._id as _old_id, h._revision as _old_revision, t._place,
    t."invoice_number", t."patient_number", t."last_name", t."insurer", t."policy_number", t."invoice_date", t."cents", t."status"
from (
    select s.ctid as _place, s."invoice_number", s."patient_number", s."last_name", s."insurer", s."policy_number", s."invoice_date", s."cents", s."status",
        coalesce((status = 'X'), false) as _gone
    from "sor_billing"."invoice_temp" as s) as t
left join (
    select _id, _revision, "invoice_number", "patient_number", "last_name", "insurer", "policy_number", "invoice_date", "cents", "status"
    from "sor_billing"."invoice_hstage" where _active) as h
    on t."invoice_number" = h."invoice_number"
where case when t._gone then h._id is not null else h._id is null or t."invoice_number" is null
    or t."patient_number" is distinct from h."patient_number"
    or t."last_name" is distinct from h."last_name"
    or t."insurer" is distinct from h."insurer"
    or t."policy_number" is distinct from h."policy_number"
    or t."invoice_date" is distinct from h."invoice_date"
    or t."cents" is distinct from h."cents"
    or t."status" is distinct from h."status" end;

-- count the differences: sor_billing.invoice_hstage
select count(*) filter (where _kind = 'new'),
    count(*) filter (where _kind = 'new' and ("invoice_number" is null)),
    count(*) filter (where _kind = 'changed'),
    count(*) filter (where _kind = 'deleted'),
    (select count(*) from "sor_billing"."invoice_hstage" where _active),
    exists (
        select from "sor_billing"."invoice_temp" where true and not ("invoice_number" is null)
        group by "invoice_number" having count(*) > 1)
from "pg_temp"."invoice_delta";

-- close deleted rows: sor_billing.invoice_hstage
update "sor_billing"."invoice_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s, _deleted_runid = %(runid)s
from "pg_temp"."invoice_delta" as d
where h._id = d._old_id and d._kind = 'deleted';

-- close changed rows: sor_billing.invoice_hstage
update "sor_billing"."invoice_hstage" as h
set _active = false, _finish_date = %(now)s, _finish_runid = %(runid)s
from "pg_temp"."invoice_delta" as d
where h._id = d._old_id and d._kind = 'changed';

-- add changed rows: sor_billing.invoice_hstage
insert into "sor_billing"."invoice_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "invoice_number", "patient_number", "last_name", "insurer", "policy_number", "invoice_date", "cents", "status")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."invoice_number", d."patient_number", d."last_name", d."insurer", d."policy_number", d."invoice_date", d."cents", d."status"
from "pg_temp"."invoice_delta" as d
where d._kind = %(kind)s
order by d._place;

-- add new rows: sor_billing.invoice_hstage
insert into "sor_billing"."invoice_hstage" (_runid, _active, _source_system, _insert_date, _revision, _valid, "invoice_number", "patient_number", "last_name", "insurer", "policy_number", "invoice_date", "cents", "status")
select %(runid)s, true, %(pipe)s, %(now)s, coalesce(d._old_revision + 1, 0), true, d."invoice_number", d."patient_number", d."last_name", d."insurer", d."policy_number", d."invoice_date", d."cents", d."status"
from "pg_temp"."invoice_delta" as d
where d._kind = %(kind)s
order by d._place;

-- remember the file: sor_billing.invoice_hstage
insert into "sys".delivered_files
    (pipe, schemaname, tablename, runid, path, size, sha256, read_as, rows, active)
values (%(pipe)s, %(schema)s, %(table)s, %(runid)s, %(path)s, %(size)s, %(sha256)s, %(read_as)s, %(rows)s, %(active)s);

-- look which validations were judged by: sor_billing.invoice_hstage
select fingerprint from "sys".mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1;

-- judge rows by the validations: sor_billing.invoice_hstage
create temporary table "pg_temp"."invoice_verdicts" on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, null::text as _message
    from "sor_billing"."invoice_hstage" as s
    where s._active and s._id in (
        select _id from "sor_billing"."invoice_hstage" where _active and not _valid)) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message;

-- write down verdicts on earlier rows: sor_billing.invoice_hstage
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from "sor_billing"."invoice_hstage" as h
join "pg_temp"."invoice_verdicts" as v using (_id)
where h._runid <> %(runid)s;

-- reject rows that fail a validation: sor_billing.invoice_hstage
update "sor_billing"."invoice_hstage" as h set _valid = false, _validation_msg = v._message
from "pg_temp"."invoice_verdicts" as v where h._id = v._id and v._message is not null;

-- free rows that pass now: sor_billing.invoice_hstage
update "sor_billing"."invoice_hstage" as h set _valid = true, _validation_msg = null
from "pg_temp"."invoice_verdicts" as v where h._id = v._id and v._message is null;

-- look for rejected rows: sor_billing.invoice_hstage
select exists (select from "sor_billing"."invoice_hstage" where _active and not _valid);

-- write down rejected rows
with rejected as (
    select s._validation_msg::text as message, jsonb_object(%(key)s::text[], array[s."invoice_number"]::text[])::text as key_fields, jsonb_strip_nulls(jsonb_object(%(rest)s::text[], array[s."patient_number", s."last_name", s."insurer", s."policy_number", s."invoice_date", s."cents", s."status"]::text[]))::text as fields
    from "sor_billing"."invoice_hstage" as s where s._active and not s._valid),
known as (
    select e._id, e._last_runid, r.key_fields, r.fields, r.message
    from rejected as r
    join "sor_billing"."_exceptions" as e
        on md5(e.key_fields) = md5(r.key_fields)
        and e.schema = %(schema)s and e.table_name = %(table)s and e._source_system = %(pipe)s
        and e.mapping is not distinct from %(mapping)s::text
        and e.key_fields = r.key_fields and e.fields = r.fields and e.message = r.message),
journal as (
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(exceptions_schema)s, %(exceptions)s, _id, jsonb_build_object('_last_runid', _last_runid)
from known where _last_runid is distinct from %(runid)s),
seen_again as (
    update "sor_billing"."_exceptions" as e set _last_runid = %(runid)s
    from known where e._id = known._id and known._last_runid is distinct from %(runid)s)
insert into "sor_billing"."_exceptions"
    (_runid, _last_runid, _source_system, _stage, mapping, schema, table_name, message, key_fields, fields)
select %(runid)s, %(runid)s, %(pipe)s, %(stage)s, %(mapping)s, %(schema)s, %(table)s, r.message, r.key_fields, r.fields
from rejected as r
where not exists (
    select from known where (known.key_fields, known.fields, known.message) = (r.key_fields, r.fields, r.message));

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

-- wait for other changes of tables
select pg_advisory_xact_lock(hashtextextended('pyelt ddl', 0));

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

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- create schema sor_billing
create schema if not exists "sor_billing";

-- create table: sor_billing._exceptions
create table "sor_billing"."_exceptions" (
"_id" bigint generated by default as identity not null,
"_runid" numeric,
"_last_runid" numeric,
"_source_system" text,
"_stage" text,
"mapping" text,
"schema" text,
"table_name" text,
"message" text,
"key_fields" text,
"fields" text,
constraint "_exceptions_pkey" primary key ("_id"));

-- create index _exceptions_row_idx: sor_billing._exceptions
create index "_exceptions_row_idx" on "sor_billing"."_exceptions" ((md5(key_fields)));

-- create index _exceptions_runid_idx: sor_billing._exceptions
create index "_exceptions_runid_idx" on "sor_billing"."_exceptions" ("_runid");

-- create index _exceptions_last_runid_idx: sor_billing._exceptions
create index "_exceptions_last_runid_idx" on "sor_billing"."_exceptions" ("_last_runid");

-- create table: sor_billing.invoice_hstage
create table "sor_billing"."invoice_hstage" (
"_id" bigint generated by default as identity not null,
"_runid" numeric(8,2) not null,
"_active" boolean default true not null,
"_source_system" varchar,
"_insert_date" timestamp,
"_finish_date" timestamp,
"_deleted_runid" numeric(8,2),
"_finish_runid" numeric(8,2),
"_revision" integer default 0,
"_valid" boolean default true not null,
"_validation_msg" varchar,
"_hash" varchar,
"invoice_number" text,
"patient_number" text,
"last_name" text,
"insurer" text,
"policy_number" text,
"invoice_date" text,
"cents" text,
"status" text,
constraint "invoice_hstage_pkey" primary key ("_id"));

-- create index invoice_hstage_key_idx: sor_billing.invoice_hstage
create unique index "invoice_hstage_key_idx" on "sor_billing"."invoice_hstage" ("invoice_number") where _active;

-- create index invoice_hstage_runid_idx: sor_billing.invoice_hstage
create index "invoice_hstage_runid_idx" on "sor_billing"."invoice_hstage" ("_runid");

-- create index invoice_hstage_finish_runid_idx: sor_billing.invoice_hstage
create index "invoice_hstage_finish_runid_idx" on "sor_billing"."invoice_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index invoice_hstage_invalid_idx: sor_billing.invoice_hstage
create index "invoice_hstage_invalid_idx" on "sor_billing"."invoice_hstage" ("_id") where _active and not _valid;

-- create index invoice_hstage_rejected_idx: sor_billing.invoice_hstage
create index "invoice_hstage_rejected_idx" on "sor_billing"."invoice_hstage" ("_hash") where not _active and not _valid;

-- describe table: sor_billing.invoice_hstage
comment on table "sor_billing"."invoice_hstage" is 'New invoices, and older ones whose status changed';

-- create table: sor_billing.invoice_temp
create unlogged table "sor_billing"."invoice_temp" (
"_hash" text,
"_status" text,
"invoice_number" text,
"patient_number" text,
"last_name" text,
"insurer" text,
"policy_number" text,
"invoice_date" text,
"cents" text,
"status" text);

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- look which indexes of the mappings are there
select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'i' and (n.nspname, c.relname) in (select * from unnest(%(schemas)s::text[], %(names)s::text[]));

-- wait for other changes of tables
select pg_advisory_xact_lock(hashtextextended('pyelt ddl', 0));

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- try index invoice_hstage_closed_key
savepoint mapping;

-- create index invoice_hstage_closed_key: sor_billing.invoice_hstage
create index if not exists "invoice_hstage_closed_key" on "sor_billing"."invoice_hstage" ((("invoice_number")::text)) where not _active;

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- try index invoice_hstage_key_d58e3cc5
savepoint mapping;

-- create index invoice_hstage_key_d58e3cc5: sor_billing.invoice_hstage
create index if not exists "invoice_hstage_key_d58e3cc5" on "sor_billing"."invoice_hstage" (((patient_number)::text)) where _active;

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

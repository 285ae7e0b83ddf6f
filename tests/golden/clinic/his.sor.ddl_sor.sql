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

-- create schema sor_his
create schema if not exists "sor_his";

-- create table: sor_his._exceptions
create table "sor_his"."_exceptions" (
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

-- create index _exceptions_row_idx: sor_his._exceptions
create index "_exceptions_row_idx" on "sor_his"."_exceptions" ((md5(key_fields)));

-- create index _exceptions_runid_idx: sor_his._exceptions
create index "_exceptions_runid_idx" on "sor_his"."_exceptions" ("_runid");

-- create index _exceptions_last_runid_idx: sor_his._exceptions
create index "_exceptions_last_runid_idx" on "sor_his"."_exceptions" ("_last_runid");

-- create table: sor_his.patient_hstage
create table "sor_his"."patient_hstage" (
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
"patient_number" text,
constraint "patient_hstage_pkey" primary key ("_id"));

-- create index patient_hstage_key_idx: sor_his.patient_hstage
create unique index "patient_hstage_key_idx" on "sor_his"."patient_hstage" ("patient_number") where _active;

-- create index patient_hstage_runid_idx: sor_his.patient_hstage
create index "patient_hstage_runid_idx" on "sor_his"."patient_hstage" ("_runid");

-- create index patient_hstage_finish_runid_idx: sor_his.patient_hstage
create index "patient_hstage_finish_runid_idx" on "sor_his"."patient_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index patient_hstage_invalid_idx: sor_his.patient_hstage
create index "patient_hstage_invalid_idx" on "sor_his"."patient_hstage" ("_id") where _active and not _valid;

-- create index patient_hstage_rejected_idx: sor_his.patient_hstage
create index "patient_hstage_rejected_idx" on "sor_his"."patient_hstage" ("_hash") where not _active and not _valid;

-- create index patient_hstage_policy_number_active_idx: sor_his.patient_hstage
create index "patient_hstage_policy_number_active_idx" on "sor_his"."patient_hstage" ("policy_number") where _active;

-- describe table: sor_his.patient_hstage
comment on table "sor_his"."patient_hstage" is 'All patients that are registered, every night';

-- create table: sor_his.patient_temp
create unlogged table "sor_his"."patient_temp" (
"_hash" text,
"_status" text,
"patient_number" text);

-- create table: sor_his.care_track_hstage
create table "sor_his"."care_track_hstage" (
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
"patient_number" text,
"track_number" text,
constraint "care_track_hstage_pkey" primary key ("_id"));

-- create index care_track_hstage_key_idx: sor_his.care_track_hstage
create unique index "care_track_hstage_key_idx" on "sor_his"."care_track_hstage" ("patient_number", "track_number") where _active;

-- create index care_track_hstage_runid_idx: sor_his.care_track_hstage
create index "care_track_hstage_runid_idx" on "sor_his"."care_track_hstage" ("_runid");

-- create index care_track_hstage_finish_runid_idx: sor_his.care_track_hstage
create index "care_track_hstage_finish_runid_idx" on "sor_his"."care_track_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index care_track_hstage_invalid_idx: sor_his.care_track_hstage
create index "care_track_hstage_invalid_idx" on "sor_his"."care_track_hstage" ("_id") where _active and not _valid;

-- create index care_track_hstage_rejected_idx: sor_his.care_track_hstage
create index "care_track_hstage_rejected_idx" on "sor_his"."care_track_hstage" ("_hash") where not _active and not _valid;

-- describe table: sor_his.care_track_hstage
comment on table "sor_his"."care_track_hstage" is 'All care tracks of registered patients';

-- create table: sor_his.care_track_temp
create unlogged table "sor_his"."care_track_temp" (
"_hash" text,
"_status" text,
"patient_number" text,
"track_number" text);

-- create table: sor_his.practitioner_hstage
create table "sor_his"."practitioner_hstage" (
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
"staff_code" text,
constraint "practitioner_hstage_pkey" primary key ("_id"));

-- create index practitioner_hstage_key_idx: sor_his.practitioner_hstage
create unique index "practitioner_hstage_key_idx" on "sor_his"."practitioner_hstage" ("staff_code") where _active;

-- create index practitioner_hstage_runid_idx: sor_his.practitioner_hstage
create index "practitioner_hstage_runid_idx" on "sor_his"."practitioner_hstage" ("_runid");

-- create index practitioner_hstage_finish_runid_idx: sor_his.practitioner_hstage
create index "practitioner_hstage_finish_runid_idx" on "sor_his"."practitioner_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index practitioner_hstage_invalid_idx: sor_his.practitioner_hstage
create index "practitioner_hstage_invalid_idx" on "sor_his"."practitioner_hstage" ("_id") where _active and not _valid;

-- create index practitioner_hstage_rejected_idx: sor_his.practitioner_hstage
create index "practitioner_hstage_rejected_idx" on "sor_his"."practitioner_hstage" ("_hash") where not _active and not _valid;

-- create table: sor_his.practitioner_temp
create unlogged table "sor_his"."practitioner_temp" (
"_hash" text,
"_status" text,
"staff_code" text);

-- create table: sor_his.organisation_hstage
create table "sor_his"."organisation_hstage" (
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
"code" text,
constraint "organisation_hstage_pkey" primary key ("_id"));

-- create index organisation_hstage_key_idx: sor_his.organisation_hstage
create unique index "organisation_hstage_key_idx" on "sor_his"."organisation_hstage" ("code") where _active;

-- create index organisation_hstage_runid_idx: sor_his.organisation_hstage
create index "organisation_hstage_runid_idx" on "sor_his"."organisation_hstage" ("_runid");

-- create index organisation_hstage_finish_runid_idx: sor_his.organisation_hstage
create index "organisation_hstage_finish_runid_idx" on "sor_his"."organisation_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index organisation_hstage_invalid_idx: sor_his.organisation_hstage
create index "organisation_hstage_invalid_idx" on "sor_his"."organisation_hstage" ("_id") where _active and not _valid;

-- create index organisation_hstage_rejected_idx: sor_his.organisation_hstage
create index "organisation_hstage_rejected_idx" on "sor_his"."organisation_hstage" ("_hash") where not _active and not _valid;

-- create table: sor_his.organisation_temp
create unlogged table "sor_his"."organisation_temp" (
"_hash" text,
"_status" text,
"code" text);

-- create table: sor_his.code_hstage
create table "sor_his"."code_hstage" (
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
"list" text,
"code" text,
"description" text,
constraint "code_hstage_pkey" primary key ("_id"));

-- create index code_hstage_key_idx: sor_his.code_hstage
create unique index "code_hstage_key_idx" on "sor_his"."code_hstage" ("list", "code") where _active;

-- create index code_hstage_runid_idx: sor_his.code_hstage
create index "code_hstage_runid_idx" on "sor_his"."code_hstage" ("_runid");

-- create index code_hstage_finish_runid_idx: sor_his.code_hstage
create index "code_hstage_finish_runid_idx" on "sor_his"."code_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index code_hstage_invalid_idx: sor_his.code_hstage
create index "code_hstage_invalid_idx" on "sor_his"."code_hstage" ("_id") where _active and not _valid;

-- create index code_hstage_rejected_idx: sor_his.code_hstage
create index "code_hstage_rejected_idx" on "sor_his"."code_hstage" ("_hash") where not _active and not _valid;

-- create table: sor_his.code_temp
create unlogged table "sor_his"."code_temp" (
"_hash" text,
"_status" text,
"list" text,
"code" text,
"description" text);

-- create table: sor_his.tariff_hstage
create table "sor_his"."tariff_hstage" (
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
"code" text,
"valid_from" text,
constraint "tariff_hstage_pkey" primary key ("_id"));

-- create index tariff_hstage_key_idx: sor_his.tariff_hstage
create unique index "tariff_hstage_key_idx" on "sor_his"."tariff_hstage" ("code", "valid_from") where _active;

-- create index tariff_hstage_runid_idx: sor_his.tariff_hstage
create index "tariff_hstage_runid_idx" on "sor_his"."tariff_hstage" ("_runid");

-- create index tariff_hstage_finish_runid_idx: sor_his.tariff_hstage
create index "tariff_hstage_finish_runid_idx" on "sor_his"."tariff_hstage" ("_finish_runid") where _finish_runid is not null;

-- create index tariff_hstage_invalid_idx: sor_his.tariff_hstage
create index "tariff_hstage_invalid_idx" on "sor_his"."tariff_hstage" ("_id") where _active and not _valid;

-- create index tariff_hstage_rejected_idx: sor_his.tariff_hstage
create index "tariff_hstage_rejected_idx" on "sor_his"."tariff_hstage" ("_hash") where not _active and not _valid;

-- create table: sor_his.tariff_temp
create unlogged table "sor_his"."tariff_temp" (
"_hash" text,
"_status" text,
"code" text,
"valid_from" text);

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- look for the function's schema
select true from pg_namespace where nspname = %(schema)s;

-- look up which functions are there
select distinct on (wanted.name) wanted.name, split_part(done.digest, ':', 1)
from unnest(%(names)s::text[], %(bare)s::text[]) as wanted (name, bare)
join "sys".extra_sql done on done.pipe = %(owner)s and done.name = 'function ' || wanted.name
where exists (select from pg_proc p where p.proname in (wanted.bare, lower(wanted.bare)))
order by wanted.name, done.runid desc, done.date desc;

-- wait for other changes of tables
select pg_advisory_xact_lock(hashtextextended('pyelt ddl', 0));

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- leave bodies unchecked
set local check_function_bodies = off;

-- create function sor_his.clean_phone
savepoint mapping;

-- create function sor_his.clean_phone
-- One way of writing telephone numbers: digits only, the country's +31 as a leading 0. Null stays null.
create or replace function sor_his.clean_phone(written text) returns text
language sql immutable parallel safe
as $$
    select nullif(regexp_replace(regexp_replace(written, '[^0-9+]', '', 'g'), '^(\+|00)31', '0'), '')
$$;

-- remember the function
insert into "sys".extra_sql (digest, pipe, name, runid, date)
values (%(digest)s, %(owner)s, %(name)s, %(runid)s, %(date)s)
on conflict (digest) do update set date = excluded.date;

release savepoint mapping;

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

-- try index patient_hstage_closed_key
savepoint mapping;

-- create index patient_hstage_closed_key: sor_his.patient_hstage
create index if not exists "patient_hstage_closed_key" on "sor_his"."patient_hstage" ((("patient_number")::text)) where not _active;

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- try index care_track_hstage_key_078302ee
savepoint mapping;

-- create index care_track_hstage_key_078302ee: sor_his.care_track_hstage
create index if not exists "care_track_hstage_key_078302ee" on "sor_his"."care_track_hstage" (((patient_number || '-' || track_number)::text)) where _active;

-- create statistics for care_track_hstage_key_078302ee: sor_his.care_track_hstage
create statistics if not exists "sor_his"."care_track_hstage_key_078302ee_stats" on ((patient_number || '-' || track_number)::text) from "sor_his"."care_track_hstage";

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- try index care_track_hstage_key_5b602815
savepoint mapping;

-- create index care_track_hstage_key_5b602815: sor_his.care_track_hstage
create index if not exists "care_track_hstage_key_5b602815" on "sor_his"."care_track_hstage" (((patient_number)::text), ((patient_number || '-' || track_number)::text)) where _active;

-- create statistics for care_track_hstage_key_5b602815: sor_his.care_track_hstage
create statistics if not exists "sor_his"."care_track_hstage_key_5b602815_stats" on ((patient_number)::text), ((patient_number || '-' || track_number)::text) from "sor_his"."care_track_hstage";

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- try index care_track_hstage_closed_key
savepoint mapping;

-- create index care_track_hstage_closed_key: sor_his.care_track_hstage
create index if not exists "care_track_hstage_closed_key" on "sor_his"."care_track_hstage" ((("patient_number")::text), (("track_number")::text)) where not _active;

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

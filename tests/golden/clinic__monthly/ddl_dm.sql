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

-- create schema dm
create schema if not exists "dm";

-- make dm.dim_patient
savepoint mapping;

-- create table: dm.dim_patient
create table "dm"."dim_patient" as
-- materialized: table
-- description: One row per patient, as the vault's view shows it, with whether the hospital still has the patient.
select
    p._id as patient_id,
    p.bk as patient_number,
    p.name_last_name as last_name,
    p.name_first_name as first_name,
    extract(year from p.default_birth_date)::integer as birth_year,
    p.sex_sex_omschr as sex,
    p.address_city as city,
    p.insurance_insurer as insurer,
    p.record_status = 'active' and p.default_birth_date is not null as is_registered
from dv.patient_view p
with no data;

-- describe table: dm.dim_patient
comment on table "dm"."dim_patient" is 'One row per patient, as the vault''s view shows it, with whether the hospital still has the patient. [pyelt:c78b777ca9b14a3a]';

release savepoint mapping;

-- make dm.fact_lab_result
savepoint mapping;

-- create table: dm.fact_lab_result
create table "dm"."fact_lab_result" as
-- materialized: incremental
-- unique_key: order_number, analyte_code
-- description: One row per result that is a number, with the patient whose order it belongs to.
select
    r.lab_order_bk as order_number,
    r.analyte_bk as analyte_code,
    d.patient_id,
    d.city,
    r.default_value as value,
    a.default_unit as unit,
    r.default_reported_at as reported_at,
    r.status = 'ended' as is_withdrawn
from dv.lab_result_view r
join dv.analyte_view a on a._id = r.fk_analyte_hub
left join dv.lab_order_patient_view o on o.fk_lab_order_hub = r.fk_lab_order_hub
left join dm.dim_patient d on d.patient_id = o.fk_patient_hub
with no data;

-- add the run's column: dm.fact_lab_result
alter table "dm"."fact_lab_result" add column if not exists _runid numeric;

-- create index fact_lab_result_order_number_analyte_code_key: dm.fact_lab_result
create unique index "fact_lab_result_order_number_analyte_code_key" on "dm"."fact_lab_result" ("order_number", "analyte_code");

-- create index fact_lab_result__runid: dm.fact_lab_result
create index "fact_lab_result__runid" on "dm"."fact_lab_result" ("_runid");

-- describe table: dm.fact_lab_result
comment on table "dm"."fact_lab_result" is 'One row per result that is a number, with the patient whose order it belongs to. [pyelt:e2586e525154e24b]';

release savepoint mapping;

-- make dm.turnover
savepoint mapping;

-- create view: dm.turnover
create or replace view "dm"."turnover" as
-- materialized: view
-- description: What was invoiced and what was paid of it, per insurer and month.
select
    d.insurer,
    to_char(i.default_invoice_date, 'YYYY-MM') as month,
    count(*) as invoices,
    sum(i.default_amount) as invoiced,
    coalesce(sum(i.default_amount) filter (where i.default_status = 'paid'), 0) as paid
from dv.invoice_view i
join dv.invoice_patient_view l on l.fk_invoice_hub = i._id
join dm.dim_patient d on d.patient_id = l.fk_patient_hub
where i.record_status = 'active'
group by d.insurer, to_char(i.default_invoice_date, 'YYYY-MM');

-- describe view: dm.turnover
comment on view "dm"."turnover" is 'What was invoiced and what was paid of it, per insurer and month. [pyelt:b9f55007d0b5c91a]';

release savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- see the newest load
select coalesce(max(load_order), 0) from "sys".stages;

-- see whether a load is being committed
select exists (
select from pg_locks
where locktype = 'advisory' and objsubid = 1
    and database = (select oid from pg_database where datname = current_database())
    and (classid::bigint << 32 | objid::bigint) = hashtextextended(%(lock)s, 0));

-- see what changed since the model was built: dm.dim_patient
with built as (
    select runid, stage, fingerprint from "sys".mapping_states
    where pipe = '' and mapping = %(mapping)s order by id desc limit 1),
lost as (
    select seen.runid, seen.stage
    from "sys".writes as wrote
    cross join lateral (
        select runid, stage from "sys".positions
        where pipe = '' and mapping = %(mapping)s and (schemaname, tablename) = (wrote.schemaname, wrote.tablename)
            and sor_runid = wrote.load_order
        offset 0) as seen
    where wrote.gone),
own as (
    select runid, stage from "sys".stages
    where (runid, stage) = (%(runid)s, %(stage)s) and state = 'done'),
builds as (
    select id, runid, stage, id = max(id) over () as newest from "sys".journal
    where (schemaname, tablename) = (%(schema)s, %(table)s) and before ? '@built'),
undone as (
    select id, runid from builds
    where id >= (select min(id) from builds join lost using (runid, stage))
        or newest and exists (select from own where (own.runid, own.stage) = (builds.runid, builds.stage))),
changes as (
    select unseen.*
    from (
    select wrote.schemaname, wrote.tablename, wrote.load_order
    from unnest(%(schemas)s::text[], %(tables)s::text[]) as reads (schemaname, tablename)
    cross join lateral (
        select coalesce(max(load_order), 0) as load_order from "sys".horizons
        where pipe = %(pipe)s and mapping = %(mapping)s
            and (schemaname, tablename) = (reads.schemaname, reads.tablename)) as passed
    cross join lateral (
        select schemaname, tablename, load_order from "sys".writes
        where (schemaname, tablename) = (reads.schemaname, reads.tablename) and load_order > passed.load_order and not gone
        offset 0) as wrote
    where not exists (
        select from "sys".positions as seen
        where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
            and seen.schemaname = wrote.schemaname and seen.tablename = wrote.tablename
            and seen.sor_runid = wrote.load_order
        offset 0)) as unseen
    join "sys".stages as loaded using (load_order)
    -- What the model's own stage wrote before it built the model has been seen.
    where not exists (
        select from "sys".positions as seen
        where (seen.runid, seen.stage) = (loaded.runid, loaded.stage) and seen.pipe = '' and seen.mapping = %(mapping)s
        offset 0))
select (select fingerprint from built), exists (select from lost), exists (select from own),
    (select coalesce(array_agg(runid order by id desc), '{}') from undone),
    c.schemaname, c.tablename, c.load_order
from (values (1)) as one_row left join changes c on true
order by c.load_order;

-- see which columns the model has: dm.dim_patient
create temporary table pyelt_shape on commit drop as
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

-- read the columns
select attname::text, format_type(atttypid, atttypmod)
from pg_attribute
where attrelid = 'pg_temp.pyelt_shape'::regclass and attnum > 0 and not attisdropped
order by attnum;

-- forget the columns
drop table pg_temp.pyelt_shape;

-- empty dm.dim_patient
savepoint mapping;

-- empty the table: dm.dim_patient
truncate "dm"."dim_patient";

release savepoint mapping;

-- look up keys and indexes: dm.dim_patient
with t as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relname = %(table)s)
select 'constraint' as kind, k.conname::text, pg_get_constraintdef(k.oid),
       case k.contype when 'p' then 1 when 'u' then 2 else 4 end as rank
from pg_constraint k join t on k.conrelid = t.oid
where k.contype in ('p', 'u', 'f') and k.conparentid = 0
  and not exists (select from pg_constraint f where f.contype = 'f' and f.conindid = k.conindid and f.oid <> k.oid
                  and k.contype <> 'f')
union all
select 'index', c.relname::text, pg_get_indexdef(i.indexrelid), 3
from pg_index i join t on i.indrelid = t.oid join pg_class c on c.oid = i.indexrelid
where not exists (select from pg_constraint k where k.conindid = i.indexrelid)
order by rank, 2;

-- build anew: dm.dim_patient  [dm.dim_patient]
insert into "dm"."dim_patient" ("column")
select "column"
from (
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
) as model;

-- gather statistics: dm.dim_patient
analyze "dm"."dim_patient";

-- remember what the model has seen
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select '', %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what the model looks like
insert into "sys".mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values ('', %(mapping)s, %(runid)s, %(stage)s, %(fingerprint)s, '');

-- see what changed since the model was built: dm.fact_lab_result
with built as (
    select runid, stage, fingerprint from "sys".mapping_states
    where pipe = '' and mapping = %(mapping)s order by id desc limit 1),
lost as (
    select seen.runid, seen.stage
    from "sys".writes as wrote
    cross join lateral (
        select runid, stage from "sys".positions
        where pipe = '' and mapping = %(mapping)s and (schemaname, tablename) = (wrote.schemaname, wrote.tablename)
            and sor_runid = wrote.load_order
        offset 0) as seen
    where wrote.gone),
own as (
    select runid, stage from "sys".stages
    where (runid, stage) = (%(runid)s, %(stage)s) and state = 'done'),
builds as (
    select id, runid, stage, id = max(id) over () as newest from "sys".journal
    where (schemaname, tablename) = (%(schema)s, %(table)s) and before ? '@built'),
undone as (
    select id, runid from builds
    where id >= (select min(id) from builds join lost using (runid, stage))
        or newest and exists (select from own where (own.runid, own.stage) = (builds.runid, builds.stage))),
changes as (
    select unseen.*
    from (
    select wrote.schemaname, wrote.tablename, wrote.load_order
    from unnest(%(schemas)s::text[], %(tables)s::text[]) as reads (schemaname, tablename)
    cross join lateral (
        select coalesce(max(load_order), 0) as load_order from "sys".horizons
        where pipe = %(pipe)s and mapping = %(mapping)s
            and (schemaname, tablename) = (reads.schemaname, reads.tablename)) as passed
    cross join lateral (
        select schemaname, tablename, load_order from "sys".writes
        where (schemaname, tablename) = (reads.schemaname, reads.tablename) and load_order > passed.load_order and not gone
        offset 0) as wrote
    where not exists (
        select from "sys".positions as seen
        where seen.pipe = %(pipe)s and seen.mapping = %(mapping)s
            and seen.schemaname = wrote.schemaname and seen.tablename = wrote.tablename
            and seen.sor_runid = wrote.load_order
        offset 0)) as unseen
    join "sys".stages as loaded using (load_order)
    -- What the model's own stage wrote before it built the model has been seen.
    where not exists (
        select from "sys".positions as seen
        where (seen.runid, seen.stage) = (loaded.runid, loaded.stage) and seen.pipe = '' and seen.mapping = %(mapping)s
        offset 0))
select (select fingerprint from built), exists (select from lost), exists (select from own),
    (select coalesce(array_agg(runid order by id desc), '{}') from undone),
    c.schemaname, c.tablename, c.load_order
from (values (1)) as one_row left join changes c on true
order by c.load_order;

-- see which columns the model has: dm.fact_lab_result
create temporary table pyelt_shape on commit drop as
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

-- read the columns
select attname::text, format_type(atttypid, atttypmod)
from pg_attribute
where attrelid = 'pg_temp.pyelt_shape'::regclass and attnum > 0 and not attisdropped
order by attnum;

-- forget the columns
drop table pg_temp.pyelt_shape;

-- run the model's query: dm.fact_lab_result  [dm.fact_lab_result]
create temporary table "model_dm_fact_lab_result" on commit drop as
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
left join dm.dim_patient d on d.patient_id = o.fk_patient_hub;

-- check the unique key: dm.fact_lab_result
select (select count(*) from pg_temp."model_dm_fact_lab_result" where "order_number" is null or "analyte_code" is null),
(select count(*) from (select from pg_temp."model_dm_fact_lab_result" group by "order_number", "analyte_code" having count(*) > 1) as several);

-- gather statistics
analyze pg_temp."model_dm_fact_lab_result";

-- note that the model was built  [dm.fact_lab_result]
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, 0, noted.before
from (
select '{"@built": "by run"}'::jsonb
) as noted (before);

-- note what rows are before they change  [dm.fact_lab_result]
insert into "sys".journal (runid, stage, pipe, schemaname, tablename, row_id, before)
select %(runid)s, %(stage)s, %(pipe)s, %(schema)s, %(table)s, 0, noted.before
from (
select to_jsonb(t)
from "dm"."fact_lab_result" t
join pg_temp."model_dm_fact_lab_result" n on t."order_number" = n."order_number" and t."analyte_code" = n."analyte_code"
where t."column" is distinct from n."column"
) as noted (before);

-- replace changed rows: dm.fact_lab_result  [dm.fact_lab_result]
update "dm"."fact_lab_result" t
set "column" = n."column", _runid = %(runid)s
from pg_temp."model_dm_fact_lab_result" n
where t."order_number" = n."order_number" and t."analyte_code" = n."analyte_code" and (t."column" is distinct from n."column");

-- add new rows: dm.fact_lab_result  [dm.fact_lab_result]
insert into "dm"."fact_lab_result" ("column", _runid)
select n."column", %(runid)s
from pg_temp."model_dm_fact_lab_result" n
where not exists (select from "dm"."fact_lab_result" t where t."order_number" = n."order_number" and t."analyte_code" = n."analyte_code");

-- drop the query's rows
drop table pg_temp."model_dm_fact_lab_result";

-- remember what the model has seen
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select '', %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- remember what the model looks like
insert into "sys".mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values ('', %(mapping)s, %(runid)s, %(stage)s, %(fingerprint)s, '');

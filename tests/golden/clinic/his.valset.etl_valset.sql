-- see what is new  [code_hstage -> Valueset]
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

-- look for changed rows  [code_hstage -> Valueset]
select exists (
select _id from "sor_his"."code_hstage" where _runid = any(%(runids)s::numeric[])
union
select _id from "sor_his"."code_hstage" where _finish_runid = any(%(runids)s::numeric[])
union
select row_id from "sys".journal
where schemaname = %(schema)s and tablename = %(table)s
    and runid = any(%(runids)s::numeric[]) and before ? '_valid'
union
select row_id from "sys".rejected_rows
where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null);

-- collect codes
savepoint mapping;

-- collect codes: valset.valueset  [code_hstage -> Valueset]
create temporary table pg_temp."codes_valset_valueset" on commit drop as
with source as (
    select (list)::text as "valueset_naam",
        (code)::text as "code",
        (description)::text as "omschrijving",
        0 as _mapping,
        array[s."list" collate "C", s."code" collate "C"]::text[] as _place
    from "sor_his"."code_hstage" s
    where s._active
  and s._valid)
select "valueset_naam", "code", "omschrijving", _mapping, min(_place) as _place, count(*) as _rows
from (select "valueset_naam", "code", "omschrijving", _mapping, _place from source) as s
group by "valueset_naam", "code", "omschrijving", _mapping;

release savepoint mapping;

-- count rows without a code, and codes with differing rows
select coalesce((select sum(_rows) from pg_temp."codes_valset_valueset" where not ("valueset_naam" is not null and "code" is not null)), 0)::bigint,
(select count(*) from (
    select from pg_temp."codes_valset_valueset" where "valueset_naam" is not null and "code" is not null group by "valueset_naam", "code" having count(*) > 1) as several);

-- choose one row per code
delete from pg_temp."codes_valset_valueset" r
where r."valueset_naam" is null or r."code" is null or exists (
    select from pg_temp."codes_valset_valueset" better
    where better."valueset_naam" = r."valueset_naam" and better."code" = r."code"
      and (better._mapping, better._place, jsonb_build_array(better."omschrijving"::text)) < (r._mapping, r._place, jsonb_build_array(r."omschrijving"::text)));

-- close changed codes: valset.valueset  [code_hstage -> Valueset]
update "valset"."valueset" t
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from pg_temp."codes_valset_valueset" r
where t."valueset_naam" = r."valueset_naam" and t."code" = r."code" and t._active and t._source_system = %(pipe)s
  and (t."omschrijving" is distinct from r."omschrijving");

-- add new and changed codes: valset.valueset  [code_hstage -> Valueset]
insert into "valset"."valueset"
    (_runid, _source_system, _insert_date, _active, _revision, _valid, "valueset_naam", "code", "omschrijving")
select %(runid)s, %(pipe)s, %(load_time)s, true,
    coalesce((select max(t._revision) + 1 from "valset"."valueset" t where t."valueset_naam" = r."valueset_naam" and t."code" = r."code" and t._source_system = %(pipe)s), 0),
    true, r."valueset_naam", r."code", r."omschrijving"
from pg_temp."codes_valset_valueset" r
where not exists (
    select from "valset"."valueset" t where t."valueset_naam" = r."valueset_naam" and t."code" = r."code" and t._active and t._source_system = %(pipe)s)
order by r."valueset_naam", r."code";

-- drop the collected codes
drop table pg_temp."codes_valset_valueset";

-- remember what was looked at  [code_hstage -> Valueset]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- see what is new  [tariff_hstage -> Tariff]
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

-- look for changed rows  [tariff_hstage -> Tariff]
select exists (
select _id from "sor_his"."tariff_hstage" where _runid = any(%(runids)s::numeric[])
union
select _id from "sor_his"."tariff_hstage" where _finish_runid = any(%(runids)s::numeric[])
union
select row_id from "sys".journal
where schemaname = %(schema)s and tablename = %(table)s
    and runid = any(%(runids)s::numeric[]) and before ? '_valid'
union
select row_id from "sys".rejected_rows
where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null);

-- collect codes
savepoint mapping;

-- collect codes: valset.tariff  [tariff_hstage -> Tariff]
create temporary table pg_temp."codes_valset_tariff" on commit drop as
with source as (
    select ('tariff')::text as "valueset_naam",
        (code)::text as "code",
        (valid_from)::date as "ingangsdatum",
        (description)::text as "omschrijving",
        (valid_to)::date as "einddatum",
        (amount)::numeric(10,2) as "amount",
        0 as _mapping,
        array[s."code" collate "C", s."valid_from" collate "C"]::text[] as _place
    from "sor_his"."tariff_hstage" s
    where s._active
  and s._valid)
select "valueset_naam", "code", "ingangsdatum", "omschrijving", "einddatum", "amount", _mapping, min(_place) as _place, count(*) as _rows
from (select "valueset_naam", "code", "ingangsdatum", "omschrijving", "einddatum", "amount", _mapping, _place from source) as s
group by "valueset_naam", "code", "ingangsdatum", "omschrijving", "einddatum", "amount", _mapping;

release savepoint mapping;

-- count rows without a code, and codes with differing rows
select coalesce((select sum(_rows) from pg_temp."codes_valset_tariff" where not ("valueset_naam" is not null and "code" is not null and "ingangsdatum" is not null)), 0)::bigint,
(select count(*) from (
    select from pg_temp."codes_valset_tariff" where "valueset_naam" is not null and "code" is not null and "ingangsdatum" is not null group by "valueset_naam", "code", "ingangsdatum" having count(*) > 1) as several);

-- choose one row per code
delete from pg_temp."codes_valset_tariff" r
where r."valueset_naam" is null or r."code" is null or r."ingangsdatum" is null or exists (
    select from pg_temp."codes_valset_tariff" better
    where better."valueset_naam" = r."valueset_naam" and better."code" = r."code" and better."ingangsdatum" = r."ingangsdatum"
      and (better._mapping, better._place, jsonb_build_array(better."omschrijving"::text, better."einddatum"::text, better."amount"::text)) < (r._mapping, r._place, jsonb_build_array(r."omschrijving"::text, r."einddatum"::text, r."amount"::text)));

-- close changed codes: valset.tariff  [tariff_hstage -> Tariff]
update "valset"."tariff" t
set _active = false, _finish_date = %(load_time)s, _finish_runid = %(runid)s
from pg_temp."codes_valset_tariff" r
where t."valueset_naam" = r."valueset_naam" and t."code" = r."code" and t."ingangsdatum" = r."ingangsdatum" and t._active and t._source_system = %(pipe)s
  and (t."omschrijving" is distinct from r."omschrijving" or t."einddatum" is distinct from r."einddatum" or t."amount" is distinct from r."amount");

-- add new and changed codes: valset.tariff  [tariff_hstage -> Tariff]
insert into "valset"."tariff"
    (_runid, _source_system, _insert_date, _active, _revision, _valid, "valueset_naam", "code", "ingangsdatum", "omschrijving", "einddatum", "amount")
select %(runid)s, %(pipe)s, %(load_time)s, true,
    coalesce((select max(t._revision) + 1 from "valset"."tariff" t where t."valueset_naam" = r."valueset_naam" and t."code" = r."code" and t."ingangsdatum" = r."ingangsdatum" and t._source_system = %(pipe)s), 0),
    true, r."valueset_naam", r."code", r."ingangsdatum", r."omschrijving", r."einddatum", r."amount"
from pg_temp."codes_valset_tariff" r
where not exists (
    select from "valset"."tariff" t where t."valueset_naam" = r."valueset_naam" and t."code" = r."code" and t."ingangsdatum" = r."ingangsdatum" and t._active and t._source_system = %(pipe)s)
order by r."valueset_naam", r."code", r."ingangsdatum";

-- drop the collected codes
drop table pg_temp."codes_valset_tariff";

-- remember what was looked at  [tariff_hstage -> Tariff]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- look for keys whose giver was taken back
select distinct schemaname, tablename from "sys".given_keys
where left_behind and (schemaname, tablename) in (
    select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
order by 1, 2;

-- see what is new  [invoice_hstage -> InvoicePatient]
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

-- see which waiting references have arrived: dv.invoice_patient_link  [invoice_hstage -> InvoicePatient]
update "sys".waiting_references w set resolved_runid = %(runid)s
where w.pipe = %(pipe)s and w.mapping = %(mapping)s and w.resolved_runid is null
  and (w.hub = %(hub_1)s and (select true from "dv"."invoice_hub" h where h.bk = w.missing_bk)
    or w.hub = %(hub_2)s and (select true from "dv"."patient_hub" h where h.bk = w.missing_bk)
    or (select true from "sor_billing"."invoice_hstage" s where s._id = w.row_id and s._active and s._valid) is null);

-- look up keys by index
set local random_page_cost = 1.1;

-- collect changed rows  [invoice_hstage -> InvoicePatient]
create temporary table pyelt_touched_1 on commit drop as
select changed._id as _touched
from (
    select _id from "sor_billing"."invoice_hstage" where _runid = any(%(runids)s::numeric[])
    union
    select row_id from "sys".journal
    where schemaname = %(schema)s and tablename = %(table)s
        and runid = any(%(runids)s::numeric[]) and before ? '_valid'
    union
    select row_id from "sys".rejected_rows
    where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null
    union
    select row_id from "sys".waiting_references
    where pipe = %(pipe)s and mapping = %(mapping)s and resolved_runid = %(runid)s
) as changed;

-- collect the rows of invoice_hstage -> InvoicePatient
savepoint mapping;

-- look up the references of changed rows: dv.invoice_patient_link  [invoice_hstage -> InvoicePatient]
create temporary table "pyelt_link_rows_1" on commit drop as
select c.row_id as row_id, true as usable,
    h1._id as "fk_invoice_hub", h2._id as "fk_patient_hub",
    case when h1._id is null then c.key_1 end as missing_1, case when h2._id is null then c.key_2 end as missing_2,
    c.key_1 is not null and c.key_2 is not null as keyed
from (
    select s._id as row_id, (invoice_number)::text as key_1, (patient_number)::text as key_2
    from "sor_billing"."invoice_hstage" s
    where s._active
      and s._valid
      and s._id in (select _touched from pyelt_touched_1)
) c
left join "dv"."invoice_hub" h1 on h1.bk = c.key_1
left join "dv"."patient_hub" h2 on h2.bk = c.key_2;

release savepoint mapping;

-- count unkeyed and missing references  [invoice_hstage -> InvoicePatient]
select count(*) filter (where not keyed), count(*) filter (where keyed and (missing_1 is not null or missing_2 is not null))
from "pyelt_link_rows_1"
where usable;

-- look for empty tables
select 0, not exists (select from "dv"."invoice_patient_link");

-- insert new links: dv.invoice_patient_link
insert into "dv"."invoice_patient_link" (_runid, _source_system, _insert_date, "fk_invoice_hub", "fk_patient_hub", type)
select %(runid)s, %(pipe)s, %(load_time)s, "fk_invoice_hub", "fk_patient_hub", type
from (
    select "fk_invoice_hub", "fk_patient_hub", type
    from (
    select "fk_invoice_hub", "fk_patient_hub", null::text as type from "pyelt_link_rows_1" where usable and "fk_invoice_hub" is not null and "fk_patient_hub" is not null
    ) found
) r
where not exists (select from "dv"."invoice_patient_link" l where l."fk_invoice_hub" = r."fk_invoice_hub" and l."fk_patient_hub" = r."fk_patient_hub")
order by "fk_invoice_hub", "fk_patient_hub", type
on conflict do nothing;

-- note that the pipe gives them, too  [invoice_hstage -> InvoicePatient]
insert into "sys".given_keys (schemaname, tablename, row_id, pipe, runid, only_for_links)
select %(schema)s, %(table)s, k._id, %(pipe)s, %(runid)s, false
from "dv"."invoice_patient_link" as k
where k._id in (
    select l._id from "pyelt_link_rows_1" as r join "dv"."invoice_patient_link" as l on l."fk_invoice_hub" = r."fk_invoice_hub" and l."fk_patient_hub" = r."fk_patient_hub" where r.usable)
    and (coalesce(k._source_system, %(pipe)s) <> %(pipe)s or exists (
        select from "sys".given_keys as made
        where made.only_for_links and made.row_id = k._id
            and (made.schemaname, made.tablename) = (%(schema)s, %(table)s)))
on conflict do nothing;

-- let links wait for keys that are missing: dv.invoice_patient_link  [invoice_hstage -> InvoicePatient]
insert into "sys".waiting_references (pipe, mapping, row_id, hub, role, missing_bk, runid, stage)
select %(pipe)s, %(mapping)s, r.row_id, m.hub, m.role, m.bk, %(runid)s, %(stage)s
from "pyelt_link_rows_1" r, lateral (values (%(hub_1)s, %(role_1)s, r.missing_1), (%(hub_2)s, %(role_2)s, r.missing_2)) m (hub, role, bk)
where r.usable and r.keyed and m.bk is not null
on conflict do nothing;

-- remember what was looked at  [invoice_hstage -> InvoicePatient]
insert into "sys".positions (pipe, mapping, schemaname, tablename, sor_runid, runid, stage)
select %(pipe)s, %(mapping)s, load.schemaname, load.tablename, load.number, %(runid)s, %(stage)s
from unnest(%(schemas)s::text[], %(tables)s::text[], %(loads)s::numeric[]) as load (schemaname, tablename, number)
on conflict do nothing;

-- see whether validations were removed
select s.mapping from "sys".mapping_states s
where s.pipe = %(pipe)s and s.mapping like %(validations)s and s.mapping <> all(%(names)s::text[])
  and s.fingerprint <> %(removed)s
  and not exists (
    select from "sys".mapping_states later
    where later.pipe = s.pipe and later.mapping = s.mapping and later.id > s.id)
order by s.mapping;

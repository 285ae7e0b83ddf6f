-- open the run again
update "sys".runs set finish_date = null where runid = %(runid)s and finish_date is not null;

-- look up which schemas are there
select w.name from unnest(%(schemas)s::text[]) as w (name)
where not exists (select from pg_namespace n where n.nspname = w.name)
order by w.name;

-- wait for other changes of tables
select pg_advisory_xact_lock(hashtextextended('pyelt ddl', 0));

-- change tables
savepoint mapping;

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

-- create schema dm
create schema if not exists "dm";

-- create schema dv
create schema if not exists "dv";

-- create schema sor_billing
create schema if not exists "sor_billing";

-- create schema sor_his
create schema if not exists "sor_his";

-- create schema sor_lab
create schema if not exists "sor_lab";

-- create schema valset
create schema if not exists "valset";

-- set how long to wait for locks
select set_config('lock_timeout', %(timeout)s, true);

release savepoint mapping;

-- check column types
savepoint mapping;

-- check the column type numeric(10,2)
select null::numeric(10,2) where false;

release savepoint mapping;

"""The tables of the bookkeeping schema (`sys`): runs, stages, attempts, steps, positions, journal and what waits.

Append or journal only: nothing here overwrites what an earlier run knew, so that a run can be taken back exactly.
"""

from __future__ import annotations

from pyelt_provider.identifiers import quote, text_literal
from pyelt_provider.statements.step import Count

SYS_VERSION = 8


def create_bookkeeping(sys_schema: str) -> str:
    """Return the DDL that makes the bookkeeping tables; every part is safe to run on a warehouse that has them."""
    s = quote(sys_schema)
    return f"""
create schema if not exists {s};

create table if not exists {s}.runs (
    runid numeric primary key, rundate timestamp, finish_date timestamp, exceptions text,
    sor_versions text, dv_version text, pyelt_version text);
alter table {s}.runs
    add column if not exists pipeline text,
    add column if not exists dag_id text,
    add column if not exists dag_run_id text,
    add column if not exists interval_start timestamp,
    add column if not exists interval_end timestamp,
    add column if not exists run_day date,
    add column if not exists debug boolean not null default false,
    add column if not exists fingerprint text,
    add column if not exists git_commit text,
    add column if not exists overtaken_by numeric;
create unique index if not exists runs_dag_run on {s}.runs (dag_id, dag_run_id);

create table if not exists {s}.currentversion (
    schemaname text primary key, version text, date timestamp);

-- One row per run and stage: the outcome that was committed with the data. load_order is given out in commit order
-- per pipe (a pipe's stages never run at the same time), so it says which of two runs loaded the pipe later.
create table if not exists {s}.stages (
    runid numeric not null, stage text not null, pipe text not null, kind text not null,
    state text not null check (state in ('done', 'to do', 'failed')),
    attempt integer not null, load_order bigint generated always as identity,
    fingerprint text not null, finished timestamp not null, seconds double precision not null,
    numbers jsonb not null default '{{}}',
    primary key (runid, stage));
create index if not exists stages_pipe on {s}.stages (pipe, kind, load_order);
create index if not exists stages_load_order on {s}.stages (load_order);

-- Written over a second connection while a stage works, so it is seen at once and survives a rollback.
create table if not exists {s}.attempts (
    runid numeric not null, stage text not null, attempt integer not null,
    dag_id text not null, dag_run_id text not null, try_number integer not null,
    backend_pid integer not null, backend_start timestamptz not null, worker text not null,
    started timestamp not null, ended timestamp, state text not null check (state in ('running', 'done', 'failed')),
    doing text, error text,
    primary key (runid, stage, attempt));
create index if not exists attempts_running on {s}.attempts (runid, stage) where state = 'running';

-- Seconds and rows per statement, committed with the data of the attempt.
create table if not exists {s}.steps (
    runid numeric not null, stage text not null, attempt integer not null, no integer not null,
    mapping text not null, schemaname text, tablename text, label text not null, count text, rows bigint,
    seconds double precision not null,
    primary key (runid, stage, attempt, no));
create index if not exists steps_table on {s}.steps (schemaname, tablename, runid);

-- Which staging loads (sor_runid) of which table a mapping has looked at, and in which run it did.
create table if not exists {s}.positions (
    pipe text not null, mapping text not null, schemaname text not null, tablename text not null,
    sor_runid numeric not null, runid numeric not null, stage text not null,
    primary key (pipe, mapping, schemaname, tablename, sor_runid));
create index if not exists positions_run on {s}.positions (runid, stage);

-- Which load (load_order of its stage) wrote rows of which table; gone: it was taken back, or done again, since.
create table if not exists {s}.writes (
    schemaname text not null, tablename text not null, load_order bigint not null, gone boolean not null default false,
    primary key (schemaname, tablename, load_order));
create index if not exists writes_load on {s}.writes (load_order);
create index if not exists writes_gone on {s}.writes (schemaname, tablename, load_order) where gone;

-- A mapping or model has seen every load of the table up to load_order, since that run; what came later is in positions.
create table if not exists {s}.horizons (
    pipe text not null, mapping text not null, schemaname text not null, tablename text not null,
    load_order bigint not null, runid numeric not null, stage text not null,
    primary key (pipe, mapping, schemaname, tablename, load_order));
create index if not exists horizons_run on {s}.horizons (runid, stage);

-- An older version looked these up in steps each time.
insert into {s}.writes (schemaname, tablename, load_order)
select distinct steps.schemaname, steps.tablename, stages.load_order
from {s}.steps join {s}.stages using (runid, stage, attempt)
where steps.rows > 0 and steps.tablename is not null and steps.count not in ({_looked_at()})
on conflict do nothing;
insert into {s}.writes (schemaname, tablename, load_order, gone)
select distinct schemaname, tablename, sor_runid::bigint, true
from {s}.positions
where pipe = '' and sor_runid > 0
    and not exists (select from {s}.stages where load_order = sor_runid and state in ('done', 'failed'))
on conflict (schemaname, tablename, load_order) do update set gone = true;

-- What a mapping looked like when it was loaded; a new row only when it changed. The newest (id) counts.
create table if not exists {s}.mapping_states (
    id bigint generated always as identity primary key,
    pipe text not null, mapping text not null, runid numeric not null, stage text not null,
    fingerprint text not null, key_fingerprint text not null);
-- The mapping's filter ('' is none), null where an older version did not note it, and for what is no mapping.
alter table {s}.mapping_states add column if not exists filter text;
create index if not exists mapping_states_mapping on {s}.mapping_states (pipe, mapping, id);

-- The position of changed_since sources: the greatest value seen, per load.
create table if not exists {s}.source_positions (
    pipe text not null, schemaname text not null, tablename text not null,
    runid numeric not null, position text not null,
    primary key (pipe, schemaname, tablename, runid));

-- Which file each load of a staging table read. sha256 is null where it was not read to its end, active where rows were
-- rejected: then the next load cannot tell from the file alone that nothing changed.
create table if not exists {s}.delivered_files (
    pipe text not null, schemaname text not null, tablename text not null, runid numeric not null,
    path text not null, size bigint not null, sha256 text, read_as text not null, rows bigint not null, active bigint,
    primary key (pipe, schemaname, tablename, runid));

-- What a run did to rows of earlier runs where no column says it: the values before, restored by taking back.
create table if not exists {s}.journal (
    id bigint generated always as identity primary key,
    runid numeric not null, stage text not null, pipe text not null,
    schemaname text not null, tablename text not null, row_id bigint not null, before jsonb not null);
create index if not exists journal_run on {s}.journal (runid, stage);
create index if not exists journal_table on {s}.journal (schemaname, tablename, runid);
create index if not exists journal_row on {s}.journal (schemaname, tablename, row_id);
create index if not exists journal_builds on {s}.journal (schemaname, tablename, id) where before ? '@built';

-- Who gives a key or link where no row of the vault says it: a pipe that fills no satellite of what another one brought;
-- and which keys of hubs nobody gives, that were made or are left only for links. left_behind: who gave the key was taken
-- back, so the links on it have to wait for it again.
create table if not exists {s}.given_keys (
    schemaname text not null, tablename text not null, row_id bigint not null, pipe text not null,
    runid numeric not null, only_for_links boolean not null,
    primary key (schemaname, tablename, row_id, pipe, only_for_links));
alter table {s}.given_keys add column if not exists left_behind boolean not null default false;
create index if not exists given_keys_run on {s}.given_keys (runid, pipe);
create index if not exists given_keys_left on {s}.given_keys (schemaname, tablename, row_id) where left_behind;

-- Staging rows that one mapping cannot use (a cast that fails); freed_runid says which run could use them again.
create table if not exists {s}.rejected_rows (
    id bigint generated always as identity primary key,
    pipe text not null, mapping text not null, schemaname text not null, tablename text not null,
    row_id bigint not null, message text not null, runid numeric not null, stage text not null, freed_runid numeric);
create unique index if not exists rejected_rows_open
    on {s}.rejected_rows (pipe, mapping, row_id) where freed_runid is null;
create index if not exists rejected_rows_run on {s}.rejected_rows (runid, stage);
create index if not exists rejected_rows_row on {s}.rejected_rows (pipe, mapping, row_id);
create index if not exists rejected_rows_freed
    on {s}.rejected_rows (freed_runid) where freed_runid is not null;

-- Link rows whose reference is not in its hub yet; resolved_runid says which run found it (or saw the row go).
create table if not exists {s}.waiting_references (
    id bigint generated always as identity primary key,
    pipe text not null, mapping text not null, row_id bigint not null, hub text not null, role text not null,
    missing_bk text not null, runid numeric not null, stage text not null, resolved_runid numeric);
create index if not exists waiting_references_key
    on {s}.waiting_references (hub, missing_bk) where resolved_runid is null;
create unique index if not exists waiting_references_open
    on {s}.waiting_references (pipe, mapping, row_id, role) where resolved_runid is null;
create index if not exists waiting_references_run on {s}.waiting_references (runid, stage);
create index if not exists waiting_references_resolved
    on {s}.waiting_references (resolved_runid, pipe, mapping) where resolved_runid is not null;

-- Extra SQL runs once per text.
create table if not exists {s}.extra_sql (
    digest text primary key, pipe text not null, name text not null, runid numeric not null, date timestamp not null);

-- What `pyelt rewind` took back: every run after to_runid, of one pipe or (null) of all pipes of the pipeline.
create table if not exists {s}.rewinds (
    id bigint generated always as identity primary key, date timestamp not null, pipeline text not null, pipe text,
    to_runid numeric not null, runs numeric[] not null, rows bigint not null, by text not null);

-- What `pyelt repair` mended in a warehouse that PyELT left; found: rows per table and kind of damage. Stages that were
-- loaded before (load_order) are not taken back any more where it changed their tables.
create table if not exists {s}.repairs (
    id bigint generated always as identity primary key, date timestamp not null, pipeline text not null,
    found jsonb not null, rows bigint not null, load_order bigint not null, by text not null);

-- Every row that a repair changed or removed, as it was before.
create table if not exists {s}.repaired_rows (
    id bigint generated always as identity primary key, repair bigint not null references {s}.repairs (id),
    schemaname text not null, tablename text not null, what text not null, before jsonb not null);
create index if not exists repaired_rows_table on {s}.repaired_rows (schemaname, tablename, repair);

-- Mails that went out: once per run, kind and outcome.
create table if not exists {s}.mails (
    runid numeric not null, kind text not null, outcome text not null, date timestamp not null,
    primary key (runid, kind, outcome));
"""


def _looked_at() -> str:
    return ", ".join(text_literal(count.value) for count in Count if not count.is_write)

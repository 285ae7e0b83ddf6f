-- A small warehouse as PyELT left it: int keys, text _finish_date, numeric(8,2) run ids, views, and what its runs broke.
-- Marked with "broken": what a healthy run would not leave behind.
create schema sys; create schema sor_his; create schema sor_lab; create schema valset; create schema dv; create schema reports;

create table sys.runs (runid numeric(8,2) primary key, rundate timestamp, finish_date timestamp, exceptions text,
    sor_versions text, dv_version text, pyelt_version text);
create table sys.currentversion (schemaname varchar primary key, version varchar, date timestamp);
insert into sys.runs values
    (811.00, '2017-03-01 02:00:01', '2017-03-01 02:09:00', null, '1', '1', '0.1'),
    (812.00, '2017-03-02 02:00:01', '2017-03-02 02:08:00', null, '1', '1', '0.1'),
    (812.01, '2017-03-02 14:00:01', null, null, null, null, '0.1');                              -- broken: never closed
insert into sys.currentversion values ('sor_his', '1', '2017-03-01'), ('dv', '1', '2017-03-01');

-- ---------------------------------------------------------------- staging
create table sor_his.patient_hstage (_id serial primary key, _runid numeric(8,2) not null, _active boolean default true,
    _source_system varchar, _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2),
    _revision int default 0, _valid boolean not null default true, _validation_msg varchar, _hash varchar,
    patientnummer text, achternaam text, geboortedatum text, mobiel text, thuis text, fk_patient_hub int);
create index on sor_his.patient_hstage (fk_patient_hub);
create unlogged table sor_his.patient_temp (_hash varchar, _status varchar, patientnummer text, achternaam text,
    geboortedatum text, mobiel text, thuis text);
create unlogged table sor_his.patient_temp_hash (patientnummer text, _hash varchar, _changed varchar);
create table sor_his.traject_hstage (_id serial primary key, _runid numeric(8,2) not null, _active boolean default true,
    _source_system varchar, _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2),
    _revision int default 0, _valid boolean not null default true, _validation_msg varchar, _hash varchar,
    trajectnummer text, patientnummer text, arts text, start text, rol text,
    fk_traject_hub int, fk_arts_hub int, fk_traject_arts_link int);
create unlogged table sor_his.traject_temp (_hash varchar, _status varchar, trajectnummer text, patientnummer text,
    arts text, start text, rol text);
create table sor_his.code_hstage (_id serial primary key, _runid numeric(8,2) not null, _active boolean default true,
    _source_system varchar, _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2),
    _revision int default 0, _valid boolean not null default true, _validation_msg varchar, _hash varchar,
    lijst text, code text, naam text);
create unlogged table sor_his.code_temp (_hash varchar, _status varchar, lijst text, code text, naam text);
create table sor_lab.bepaling_hstage (_id serial primary key, _runid numeric(8,2) not null, _active boolean default true,
    _source_system varchar, _insert_date timestamp, _finish_date timestamp, _deleted_runid numeric(8,2),
    _revision int default 0, _valid boolean not null default true, _validation_msg varchar, _hash varchar,
    nummer text, patient text, fk_patient_hub int);
create unlogged table sor_lab.bepaling_temp (_hash varchar, _status varchar, nummer text, patient text);
create table sor_his._exceptions (_runid numeric(8,2), schema varchar, table_name varchar, message varchar,
    key_fields varchar, fields varchar);

insert into sor_his.patient_hstage (_id, _runid, _active, _source_system, _insert_date, _finish_date, _deleted_runid,
        _revision, _valid, _validation_msg, _hash, patientnummer, achternaam, geboortedatum, mobiel, thuis, fk_patient_hub)
values
    (1, 811, false, 'his', '2017-03-01 02:01', '2017-03-02 02:01', null, 0, true, null, md5('1An1980-01-01061'), '1', 'An', '1980-01-01', '061', '', 1),
    (2, 811, true, 'his', '2017-03-01 02:01', null, null, 0, true, null, md5('2Bos1981-01-01'), '2', 'Bos', '1981-01-01', null, null, 2),
    (3, 811, false, 'his', '2017-03-01 02:01', '2017-03-02 02:01', 812, 0, true, null, md5('3Cox1982-01-01'), '3', 'Cox', '1982-01-01', null, null, 3),
    (4, 811, true, 'his', '2017-03-01 02:01', null, null, 0, false, 'Geen achternaam', md5('41983-01-01'), '4', '', '1983-01-01', null, null, null),
    (5, 811, true, 'his', '2017-03-01 02:01', null, null, 0, false, 'Dubbele sleutel', md5('5Eik1984-01-01'), '5', 'Eik', '1984-01-01', null, null, null), -- broken: frozen
    (6, 811, true, 'his', '2017-03-01 02:01', null, null, 0, false, 'Dubbele sleutel', md5('5Eyk1984-01-01'), '5', 'Eyk', '1984-01-01', null, null, null), -- broken: frozen
    (7, 811, true, 'his', '2017-03-01 02:01', null, null, 0, true, null, md5('6Fox1985-01-01066'), '6', 'Fox', '1985-01-01', '066', null, 6),
    (8, 812, true, 'his', '2017-03-02 02:01', null, null, 1, true, null, md5('1Anna1980-01-01061'), '1', 'Anna', '1980-01-01', '061', '', 1),
    (9, 812, true, 'his', '2017-03-02 02:01', null, null, 0, true, null, md5('7Gul1986-01-01'), '7', 'Gul', '1986-01-01', null, '077', 7),
    (10, 811, false, 'his', '2017-03-01 02:01', '2017-03-02 02:01', null, 0, true, null, md5('8'), '8', 'Hak', '1987-01-01', null, null, 8),
    (11, 812, true, 'his', '2017-03-02 02:01', null, null, 1, false, 'Dubbele sleutel', md5('8a'), '8', 'Hek', '1987-01-01', null, null, null), -- broken: frozen
    (12, 812, true, 'his', '2017-03-02 02:01', null, null, 1, false, 'Dubbele sleutel', md5('8b'), '8', 'Hik', '1987-01-01', null, null, null); -- broken: frozen
insert into sor_his.traject_hstage (_id, _runid, _active, _source_system, _insert_date, _finish_date, _revision, _hash,
        trajectnummer, patientnummer, arts, start, rol, fk_traject_hub, fk_arts_hub, fk_traject_arts_link) values
    (1, 811, true, 'his', '2017-03-01 02:01', null, 0, md5('t1'), 't1', '1', 'a1', '2017-01-01', 'regie', 1, 1, 2),
    (2, 811, true, 'his', '2017-03-01 02:01', null, 0, md5('t2'), 't2', '2', 'a1', '2017-01-02', 'regie', 2, 1, 3),
    (3, 811, true, 'his', '2017-03-01 02:01', null, 0, md5('t3'), 't3', '6', null, '2017-01-03', null, 3, null, null);
insert into sor_his.code_hstage (_runid, _source_system, _insert_date, _hash, lijst, code, naam) values
    (811, 'his', '2017-03-01 02:01', md5('gm'), 'geslacht', 'm', 'man'), (811, 'his', '2017-03-01 02:01', md5('gv'), 'geslacht', 'v', 'vrouw');
insert into sor_lab.bepaling_hstage (_runid, _source_system, _insert_date, _hash, nummer, patient, fk_patient_hub) values
    (811, 'lab', '2017-03-01 02:02', md5('b1'), 'b1', '2', 2), (811, 'lab', '2017-03-01 02:02', md5('b2'), 'b2', '9', 9);
insert into sor_his._exceptions values                                                           -- broken: repeated
    (811, 'sor_his', 'patient_hstage', 'Geen achternaam', '4', '4;;1983-01-01'),
    (812, 'sor_his', 'patient_hstage', 'Geen achternaam', '4', '4;;1983-01-01'),
    (812.01, 'sor_his', 'patient_hstage', 'Geen achternaam', '4', '4;;1983-01-01'),
    (811, 'sor_his', 'patient_hstage', 'Dubbele sleutel', '5', '5;Eik;1984-01-01');

-- ---------------------------------------------------------------- vault
create table dv.patient_hub (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar, bk varchar unique);
create table dv.traject_hub (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar, bk varchar unique);
create table dv.arts_hub (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar, bk varchar unique);
insert into dv.patient_hub (_id, _runid, _source_system, _insert_date, type, bk) values
    (1, 811, 'his', '2017-03-01 02:03', 'patient', '1'), (2, 811, 'his', '2017-03-01 02:03', 'patient', '2'),
    (3, 811, 'his', '2017-03-01 02:03', 'patient', '3'), (6, 811, 'his', '2017-03-01 02:03', 'patient', '6'),
    (7, 812, 'his', '2017-03-02 02:03', 'patient', '7'), (8, 811, 'his', '2017-03-01 02:03', 'patient', '8'),
    (9, 811, 'lab', '2017-03-01 02:03', 'patient', '9');
insert into dv.traject_hub (_id, _runid, _source_system, _insert_date, type, bk) values
    (1, 811, 'his', '2017-03-01 02:03', 'traject', 't1'), (2, 811, 'his', '2017-03-01 02:03', 'traject', 't2'),
    (3, 811, 'his', '2017-03-01 02:03', 'traject', 't3');
insert into dv.arts_hub (_id, _runid, _source_system, _insert_date, type, bk) values (1, 811, 'his', '2017-03-01 02:03', 'arts', 'a1');

create table dv.patient_sat (_id int not null references dv.patient_hub (_id), _runid numeric(8,2) not null,
    _source_system varchar, _insert_date timestamp, _finish_date text, _active boolean default true,
    _revision int default 0, _valid boolean default true, _validation_msg varchar, geboortedatum date,
    primary key (_id, _runid));
create index on dv.patient_sat (_active);
create table dv.patient_sat_personalia (_id int not null, _runid numeric(8,2) not null,
    _source_system varchar, _insert_date timestamp, _finish_date text, _active boolean default true,
    _revision int default 0, _valid boolean default true, _validation_msg varchar, achternaam text,
    primary key (_id, _runid));
create table dv.patient_sat_contact (_id int not null references dv.patient_hub (_id), type varchar, _runid numeric(8,2) not null,
    _source_system varchar, _insert_date timestamp, _finish_date text, _active boolean default true,
    _revision int default 0, _valid boolean default true, _validation_msg varchar, telnummer text,
    primary key (_id, type, _runid));
create table dv.patient_sat_status (_id int not null references dv.patient_hub (_id), _runid numeric(8,2) not null,
    _source_system varchar, _insert_date timestamp, _finish_date text, _active boolean default true,
    _revision int default 0, _valid boolean default true, _validation_msg varchar, record_status text,
    primary key (_id, _runid));
create table dv.traject_sat (_id int not null references dv.traject_hub (_id), _runid numeric(8,2) not null,
    _source_system varchar, _insert_date timestamp, _finish_date text, _active boolean default true,
    _revision int default 0, _valid boolean default true, _validation_msg varchar, start date,
    primary key (_id, _runid));
insert into dv.patient_sat (_id, _runid, _source_system, _insert_date, geboortedatum) values
    (1, 811, 'his', '2017-03-01 02:03', '1980-01-01'), (2, 811, 'his', '2017-03-01 02:03', '1981-01-01'),
    (3, 811, 'his', '2017-03-01 02:03', '1982-01-01'), (6, 811, 'his', '2017-03-01 02:03', '1985-01-01'),
    (7, 812, 'his', '2017-03-02 02:03', '1986-01-01'), (8, 811, 'his', '2017-03-01 02:03', '1987-01-01');
insert into dv.patient_sat_personalia (_id, _runid, _source_system, _insert_date, _finish_date, _active, _revision, achternaam)
values
    (1, 811, 'his', '2017-03-01 02:03', '2017-03-02 02:03:00', false, 0, 'An'),
    (1, 812, 'his', '2017-03-02 02:03', null, true, 1, 'Anna'),
    (2, 811, 'his', '2017-03-01 02:03', null, true, 0, 'Bos'),
    (3, 811, 'his', '2017-03-01 02:03', null, true, 0, 'Cox'),
    (6, 811, 'his', '2017-03-01 02:03', null, true, 0, 'Fux'),                                    -- broken: active twice
    (6, 812, 'his', '2017-03-02 02:03', null, true, 0, 'Fox'),
    (7, 812, null, '2017-03-02 02:03', null, true, 0, 'Gul'),                                     -- broken: no source
    (8, 811, 'his', '2017-03-01 02:03', null, true, 0, 'Hak'),
    (77, 811, 'his', '2017-03-01 02:03', null, true, 0, 'Nobody');                                -- broken: no such hub
insert into dv.patient_sat_contact (_id, type, _runid, _source_system, _insert_date, telnummer) values
    (1, 'mobiel', 811, 'his', '2017-03-01 02:03', '061'), (1, 'thuis', 811, 'his', '2017-03-01 02:03', ''),
    (6, 'mobiel', 811, 'his', '2017-03-01 02:03', '066'),
    (6, 'mobiel', 812, 'his', '2017-03-02 02:03', '066'),                                         -- broken: active twice
    (7, 'thuis', 812, 'his', '2017-03-02 02:03', '077');
insert into dv.patient_sat_status (_id, _runid, _source_system, _insert_date, record_status) values
    (3, 812, 'his', '2017-03-02 02:03', 'deleted');
insert into dv.traject_sat (_id, _runid, _source_system, _insert_date, start) values
    (1, 811, 'his', '2017-03-01 02:03', '2017-01-01'), (2, 811, 'his', '2017-03-01 02:03', '2017-01-02'),
    (3, 811, 'his', '2017-03-01 02:03', '2017-01-03');

create table dv.traject_arts_link (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar,
    fk_traject_hub int references dv.traject_hub (_id), fk_arts_hub int references dv.arts_hub (_id));
create table dv.traject_arts_sat (_id int not null, _runid numeric(8,2) not null,
    _source_system varchar, _insert_date timestamp, _finish_date text, _active boolean default true,
    _revision int default 0, _valid boolean default true, _validation_msg varchar, rol text,
    primary key (_id, _runid));
create table dv.patient_traject_link (_id serial primary key, _runid numeric(8,2) not null, _source_system varchar,
    _valid boolean default true, _validation_msg varchar, _insert_date timestamp, type varchar,
    fk_patient_hub int references dv.patient_hub (_id), fk_traject_hub int references dv.traject_hub (_id));
insert into dv.traject_arts_link (_id, _runid, _source_system, _insert_date, fk_traject_hub, fk_arts_hub) values
    (1, 811, 'his', '2017-03-01 02:04', 1, 1),
    (2, 811, 'his', '2017-03-01 02:04', 1, 1),                                                    -- broken: there twice
    (3, 811, 'his', '2017-03-01 02:04', 2, 1),
    (4, 811, 'his', '2017-03-01 02:04', 3, null);                                                 -- broken: half a link
insert into dv.traject_arts_sat (_id, _runid, _source_system, _insert_date, _finish_date, _active, _revision, rol) values
    (1, 811, 'his', '2017-03-01 02:04', null, true, 0, 'hulp'),
    (2, 811, 'his', '2017-03-01 02:04', '2017-03-02 02:04:00', false, 0, 'hulp'),
    (2, 812, 'his', '2017-03-02 02:04', null, true, 1, 'regie'),
    (3, 811, 'his', '2017-03-01 02:04', null, true, 0, 'regie'), (4, 811, 'his', '2017-03-01 02:04', null, true, 0, null);
insert into dv.patient_traject_link (_id, _runid, _source_system, _insert_date, fk_patient_hub, fk_traject_hub) values
    (1, 811, 'his', '2017-03-01 02:04', 1, 1), (2, 811, 'his', '2017-03-01 02:04', 2, 2),
    (3, 811, 'his', '2017-03-01 02:04', 6, 3);
create table dv._exceptions (_runid numeric(8,2), schema varchar, table_name varchar, message varchar,
    key_fields varchar, fields varchar);

-- ---------------------------------------------------------------- valuesets, views, what others made of it
create table valset.valueset (_runid numeric(8,2) not null, _source_system varchar, _insert_date timestamp, _finish_date text,
    _active boolean default true, _revision int default 0, _valid boolean default true, _validation_msg varchar,
    valueset_naam text, code text, omschrijving text, unique (valueset_naam, code));
insert into valset.valueset (_runid, _source_system, _insert_date, valueset_naam, code, omschrijving) values
    (811, 'his', '2017-03-01 02:02', 'geslacht', 'm', 'man'),
    (811, null, '2017-03-01 02:02', 'geslacht', 'v', 'vrouw');                                    -- broken: no source

create view dv.patient_view as
    select hub._id, hub._runid, hub._source_system, hub.type, hub.bk, d.geboortedatum as default_geboortedatum,
        p.achternaam as personalia_achternaam
    from dv.patient_hub hub
    left join dv.patient_sat d on d._id = hub._id and d._active
    left join dv.patient_sat_personalia p on p._id = hub._id and p._active;
create view reports.patients as select bk, personalia_achternaam from dv.patient_view;
grant select on dv.patient_view, reports.patients to public;

select setval('sor_his.patient_hstage__id_seq', 100), setval('sor_his.traject_hstage__id_seq', 100),
    setval('dv.patient_hub__id_seq', 100), setval('dv.traject_hub__id_seq', 100), setval('dv.arts_hub__id_seq', 100),
    setval('dv.traject_arts_link__id_seq', 100), setval('dv.patient_traject_link__id_seq', 100);

"""Datamart models become tables, views and incremental tables, in the order of what they read, when that changed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from databases import Database
from loading import Loader
from pyelt_provider.execution.outcome import StageOutcome
from written_projects import deliver, done, labels, loader

DOMAIN = """
hubs:
  Patient:
    satellites: {Default: {name: text, born: date}}
  Ward: {satellites: {Default: {name: text}}}
valuesets: {}
"""

PIPE = """
pipe: his
source_path: his
sor_schema: sor_his
sor:
  patient_hstage: {csv: patients.csv, columns: [nr, name, born], key: [nr]}
  ward_hstage: {csv: wards.csv, columns: [nr, name], key: [nr]}
entities:
  - {from: patient_hstage, to: Patient, bk: nr, fields: {Default.name: name, Default.born: born}}
  - {from: ward_hstage, to: Ward, bk: nr, fields: {Default.name: name}}
"""

DIM = """
-- materialized: table
-- description: Patients, 100% of them
select bk as nr, default_name as name from dv.patient_view;
"""
FACT = """
-- materialized: incremental
-- unique_key: nr
select d.nr, d.name, length(d.name) as size from dm.dim_patient d
"""
VIEW = """
-- materialized: view
select left(name, 1) as initial, count(*) as patients from dm.dim_patient group by 1
"""
WARDS = "-- materialized: table\nselect bk, default_name from dv.ward_view -- all of them"

MODELS = {
    "datamarts__dim_patient___sql": DIM,
    "datamarts__a_fact___sql": FACT,
    "datamarts__initials___sql": VIEW,
    "datamarts__wards___sql": WARDS,
}

DM = ["ddl_dm", "etl_dm"]


def project(warehouse: Database, folder: Path, **models: str) -> Loader:
    return loader(warehouse, folder, DOMAIN, pipe=PIPE, **{**MODELS, **models})


def patients(folder: Path, text: str) -> None:
    deliver(folder, "nr,name,born\n" + text)
    deliver(folder, "nr,name\nw1,Ward 1\n", "his/wards.csv")


def built(outcome: StageOutcome) -> list[str]:
    """The models that the stage wrote, in its order."""
    writes = ("build anew", "replace changed rows", "add new rows")
    return [str(step.table).removeprefix("dm.") for step in outcome.steps if step.label in writes]


def test_models_are_built_in_the_order_of_what_they_read(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,1980-01-01\n3,Aad,\n")
    outcomes = project(warehouse, tmp_path).run(date(2026, 1, 1))
    assert warehouse.rows("select * from dm.dim_patient order by 1") == [("1", "Anna"), ("2", "Bert"), ("3", "Aad")]
    assert warehouse.rows("select nr, name, size, _runid::text from dm.a_fact order by 1") == [
        ("1", "Anna", 4, "1.00"),
        ("2", "Bert", 4, "1.00"),
        ("3", "Aad", 3, "1.00"),
    ]
    assert warehouse.rows("select * from dm.initials order by 1") == [("A", 2), ("B", 1)]
    assert warehouse.rows("select * from dm.wards") == [("w1", "Ward 1")]
    assert outcomes["etl_dm"].numbers["dm.dim_patient"] == {"inserted": 3}


def test_nothing_is_built_when_nothing_changed(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n")
    load = project(warehouse, tmp_path)
    load.run(date(2026, 1, 1))
    outcomes = load.run(date(2026, 1, 2))
    assert labels(outcomes["ddl_dm"]) == ["look up what is there"]
    assert built(outcomes["etl_dm"]) == []
    assert outcomes["etl_dm"].numbers == {}


def test_only_what_reads_the_changed_tables_is_built(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,1980-01-01\n")
    load = project(warehouse, tmp_path)
    load.run(date(2026, 1, 1))
    patients(tmp_path, "1,Anne,1990-01-01\n2,Bert,1980-01-01\n3,Cor,\n")
    outcome = load.run(date(2026, 1, 2))["etl_dm"]
    assert built(outcome) == ["dim_patient", "a_fact", "a_fact"]
    assert outcome.numbers["dm.a_fact"] == {"changed": 1, "inserted": 1}
    assert warehouse.rows("select nr, name, _runid::text from dm.a_fact order by 1") == [
        ("1", "Anne", "2.00"),
        ("2", "Bert", "1.00"),
        ("3", "Cor", "2.00"),
    ]
    assert built(load.run(date(2026, 1, 3))["etl_dm"]) == []


def test_after_a_corrected_delivery_the_datamarts_are_as_if_it_had_come_at_once(
    warehouse: Database, tmp_path: Path
) -> None:
    load = project(warehouse, tmp_path)
    patients(tmp_path, "1,Anna,1990-01-01\n9,Wrong,\n")
    load.run(date(2026, 1, 1))
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,\n")
    load.run(date(2026, 1, 1))
    assert warehouse.rows("select nr, name from dm.a_fact order by 1") == [("1", "Anna"), ("2", "Bert")]
    assert warehouse.rows("select nr, name from dm.dim_patient order by 1") == [("1", "Anna"), ("2", "Bert")]


def test_a_cleared_task_builds_everything_again(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    patients(tmp_path, "1,Anna,1990-01-01\n")
    load.run(date(2026, 1, 1))
    warehouse.execute("delete from dm.dim_patient; truncate dm.a_fact")
    outcome = load.run(date(2026, 1, 1), stages=["etl_dm"])["etl_dm"]
    assert built(outcome) == ["dim_patient", "a_fact", "wards"]
    assert warehouse.rows("select nr, name from dm.dim_patient join dm.a_fact using (nr, name)") == [("1", "Anna")]
    assert built(load.run(date(2026, 1, 2))["etl_dm"]) == []


def test_rows_that_an_incremental_model_gives_no_more_stay(warehouse: Database, tmp_path: Path) -> None:
    window = FACT + "where d.nr >= '2'"
    load = project(warehouse, tmp_path)
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,\n")
    load.run(date(2026, 1, 1))
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bart,\n")
    project(warehouse, tmp_path, datamarts__a_fact___sql=window).run(date(2026, 1, 2))
    assert warehouse.rows("select nr, name from dm.a_fact order by 1") == [("1", "Anna"), ("2", "Bart")]


def test_a_key_that_does_not_identify_a_row_is_refused_and_nothing_is_changed(
    warehouse: Database, tmp_path: Path
) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,\n3,,\n")
    wrong = FACT.replace("unique_key: nr", "unique_key: size")
    error = project(warehouse, tmp_path, datamarts__a_fact___sql=wrong).fails(date(2026, 1, 1))
    assert "datamarts/a_fact.sql: unique_key (size) of dm.a_fact does not identify a row" in error
    assert "1 rows have a null in it, 1 keys occur more than once" in error
    assert warehouse.rows("select count(*) from dm.dim_patient") == [(0,)]


def test_with_on_errors_log_the_other_models_are_built(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,\n")
    load = loader(
        warehouse,
        tmp_path,
        DOMAIN,
        pipe=PIPE,
        pipeline="on_errors: log",
        **{**MODELS, "datamarts__a_fact___sql": FACT.replace("length(d.name)", "1 / (length(d.name) - 4)")},
    )
    outcome = load.run(date(2026, 1, 1))["etl_dm"]
    assert [mapping for mapping, _ in outcome.failures] == ["dm.a_fact"]
    assert "22012" in outcome.failures[0][1]
    assert warehouse.rows("select count(*) from dm.wards") == [(1,)]


def test_a_changed_model_keeps_its_grants_its_dependents_and_a_dbas_index(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n")
    project(warehouse, tmp_path).run(date(2026, 1, 1))
    role = f"reporter_{warehouse.name}"
    warehouse.as_dba(f"create role {role}")
    warehouse.execute(f"""
        create schema report; grant select on dm.dim_patient, dm.initials to {role};
        create index own_index on dm.dim_patient (name);
        create view report.names as select nr, upper(name) as name from dm.dim_patient;
        grant select on report.names to {role};
    """)
    changed = DIM.replace("default_name as name", "default_born as born, initcap(default_name)::varchar(30) as name")
    load = project(warehouse, tmp_path, datamarts__dim_patient___sql=changed)
    outcomes = load.run(date(2026, 1, 2))
    assert "rebuild view: report.names" in done(outcomes["ddl_dm"])
    assert warehouse.rows("select nr, name, born::text from dm.dim_patient") == [("1", "Anna", "1990-01-01")]
    assert warehouse.rows("select * from report.names") == [("1", "ANNA")]
    for relation in ("dm.dim_patient", "dm.initials", "report.names"):
        assert warehouse.rows("select has_table_privilege(%s, %s, 'select')", (role, relation)) == [(True,)]
    assert labels(load.run(date(2026, 1, 3))["ddl_dm"]) == ["look up what is there"]


def test_a_column_that_the_model_has_no_more_stays_and_is_empty(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n")
    project(warehouse, tmp_path).run(date(2026, 1, 1))
    shrunk = WARDS.replace("bk, default_name", "bk")
    project(warehouse, tmp_path, datamarts__wards___sql=shrunk).run(date(2026, 1, 2))
    assert warehouse.rows("select bk, default_name from dm.wards") == [("w1", None)]


def test_a_model_whose_query_does_not_work_is_named_with_its_file_and_the_others_are_not_made(
    warehouse: Database, tmp_path: Path
) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n")
    error = project(
        warehouse,
        tmp_path,
        datamarts__dim_patient___sql=DIM.replace("default_name", "default_nam"),
        datamarts__wards___sql=WARDS.replace("bk,", "bkk,"),
    ).fails(date(2026, 1, 1))
    assert "the query of dm.dim_patient does not work" in error
    assert 'column "default_nam" does not exist' in error
    assert "the query of dm.wards does not work" in error
    assert warehouse.rows("select relname from pg_class where relnamespace = 'dm'::regnamespace") == []


def test_a_model_with_the_day_in_it_is_built_every_day(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n")
    daily = WARDS.replace("default_name", "default_name, current_date as today")
    load = project(warehouse, tmp_path, datamarts__wards___sql=daily)
    load.run(date(2026, 1, 1))
    assert built(load.run(date(2026, 1, 2))["etl_dm"]) == ["wards"]


def test_a_changed_function_builds_the_models_that_call_it(warehouse: Database, tmp_path: Path) -> None:
    patients(tmp_path, "1,Anna,1990-01-01\n")
    function = (
        "create or replace function dv.nice(t text) returns text language sql immutable as $$ select initcap(t) $$;"
    )
    files = {"datamarts__wards___sql": WARDS.replace("default_name", "dv.nice(default_name) as name")}
    load = project(warehouse, tmp_path, functions__nice___sql=function, **files)
    load.run(date(2026, 1, 1))
    assert built(load.run(date(2026, 1, 2))["etl_dm"]) == []
    changed = function.replace("initcap", "upper")
    outcomes = project(warehouse, tmp_path, functions__nice___sql=changed, **files).run(date(2026, 1, 3))
    assert "create function dv.nice" in labels(outcomes["prepare"])
    assert built(outcomes["etl_dm"]) == ["wards"]
    assert warehouse.rows("select name from dm.wards") == [("WARD 1",)]


def test_readers_of_a_table_see_the_old_rows_until_the_new_ones_are_there(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    patients(tmp_path, "1,Anna,1990-01-01\n")
    load.run(date(2026, 1, 1))
    patients(tmp_path, "1,Anna,1990-01-01\n2,Bert,\n")
    broken = project(warehouse, tmp_path, datamarts__wards___sql=WARDS.replace("bk,", "1 / length(bk) / 0 as bk,"))
    broken.fails(date(2026, 1, 2))
    assert warehouse.rows("select * from dm.dim_patient") == [("1", "Anna")]


def test_a_table_that_a_foreign_key_points_at_is_filled_all_the_same(warehouse: Database, tmp_path: Path) -> None:
    load = project(warehouse, tmp_path)
    patients(tmp_path, "1,Anna,1990-01-01\n")
    load.run(date(2026, 1, 1))
    warehouse.execute("""
        alter table dm.dim_patient add primary key (nr);
        create schema own; create table own.note (nr text references dm.dim_patient deferrable initially deferred);
        insert into own.note values ('1');
    """)
    patients(tmp_path, "1,Anne,1990-01-01\n")
    load.run(date(2026, 1, 2))
    assert warehouse.rows("select name from dm.dim_patient join own.note using (nr)") == [("Anne",)]


def test_an_incremental_model_may_bring_its_own_run_number(warehouse: Database, tmp_path: Path) -> None:
    load = project(
        warehouse,
        tmp_path,
        datamarts__a_fact___sql="-- materialized: incremental\n-- unique_key: bk\nselect * from dv.patient_view",
    )
    patients(tmp_path, "1,Anna,1990-01-01\n")
    load.run(date(2026, 1, 1))
    patients(tmp_path, "1,Anne,1990-01-01\n2,Bert,\n")
    load.run(date(2026, 1, 2))
    assert warehouse.rows("select bk, default_name, _runid::text from dm.a_fact order by 1") == [
        ("1", "Anne", "1.00"),
        ("2", "Bert", "2.00"),
    ]

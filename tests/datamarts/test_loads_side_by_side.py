"""A load of another DAG that is committed while a model is being built is seen by the next run, whatever its load order is."""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path

from databases import Database
from datamarts.test_datamarts import DM, DOMAIN, PIPE, built, patients
from pyelt_provider.statements.sql.loads import LOAD_LOCK
from written_projects import loader

PEOPLE = "-- materialized: table\nselect p.bk, s.name from dv.patient_hub p join dv.patient_sat s on s._id = p._id and s._active"
NIGHTS = [date(2026, 1, number) for number in range(1, 6)]


def test_a_load_with_a_smaller_load_order_that_commits_later_is_seen_in_the_next_run(
    warehouse: Database, tmp_path: Path
) -> None:
    load = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, datamarts__people___sql=PEOPLE)
    patients(tmp_path, "1,Anna,\n")
    load.run(NIGHTS[0])
    with contextlib.closing(warehouse.connect()) as other, other.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (LOAD_LOCK,))
        cursor.execute(
            """with load as (
                insert into sys.stages (runid, stage, pipe, kind, state, attempt, fingerprint, finished, seconds)
                values (1.5, 'lab.dv.etl_hubs', 'lab', 'etl_hubs', 'done', 1, '', now(), 0) returning load_order)
            insert into sys.writes (schemaname, tablename, load_order) select 'dv', 'patient_sat', load_order from load"""
        )
        patients(tmp_path, "1,Anne,\n")
        assert built(load.run(NIGHTS[1])["etl_dm"]) == ["people"]
        assert built(load.run(NIGHTS[2])["etl_dm"]) == []
        other.commit()

    assert built(load.run(NIGHTS[3])["etl_dm"]) == ["people"]
    assert built(load.run(NIGHTS[4], stages=["prepare", *DM])["etl_dm"]) == []


def test_a_model_passes_over_what_it_has_seen_once_nobody_is_committing(warehouse: Database, tmp_path: Path) -> None:
    load = loader(warehouse, tmp_path, DOMAIN, pipe=PIPE, datamarts__people___sql=PEOPLE)
    for number, name in enumerate(("Anna", "Anne")):
        patients(tmp_path, f"1,{name},\n")
        load.run(NIGHTS[number])
        newest = "select max(load_order) from sys.writes where tablename = 'patient_sat'"
        passed = "select max(load_order) from sys.horizons where (mapping, tablename) = ('dm.people', 'patient_sat')"
        assert warehouse.rows(f"select ({passed}) >= ({newest})") == [(True,)]

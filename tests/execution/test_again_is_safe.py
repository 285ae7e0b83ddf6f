"""A stage that is run again leaves the warehouse as if nothing had gone wrong; killed at any point it is done whole later."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from databases import Database
from loading import Loader
from pyelt_provider.errors import OlderRunOpen, OrderRefused
from pyelt_provider.execution.environment import LocalEnvironment
from pyelt_provider.execution.rewinding import rewind
from pyelt_provider.execution.runner import _LOG
from small_project import deliver, small_pipeline

DAY_1, DAY_2, DAY_3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)

VAULT = """
    select 'hub', bk, type, null, null, null from dv.patient_hub
    union all select 'arts', bk, type, null, null, null from dv.arts_hub
    union all select 'sat', h.bk, s.naam, s.plaats, s._active::text, s._revision::text
        from dv.patient_sat s join dv.patient_hub h using (_id)
    union all select 'contact', h.bk, s.telefoon, s._source_system, s._active::text, s._revision::text
        from dv.patient_sat_contact s join dv.patient_hub h using (_id)
    union all select 'status', h.bk, s.record_status, s._source_system, s._active::text, s._revision::text
        from dv.patient_sat_record_status s join dv.patient_hub h using (_id)
    union all select 'link', p.bk, a.bk, null, null, null
        from dv.patient_arts_link l join dv.patient_hub p on p._id = l.fk_patient_hub
        join dv.arts_hub a on a._id = l.fk_arts_hub
    union all select 'link status', p.bk, a.bk, s.record_status, s._active::text, s._revision::text
        from dv.patient_arts_sat_status s join dv.patient_arts_link l using (_id)
        join dv.patient_hub p on p._id = l.fk_patient_hub join dv.arts_hub a on a._id = l.fk_arts_hub
    union all select 'sor', nr, naam, plaats, _active::text, _revision::text || _valid::text || coalesce(_validation_msg, '')
        from sor_his.patients_hstage
    order by 1, 2, 3, 4, 5, 6
"""

FIRST = "1;Anna;Zeist;a1\n2;Bert;Utrecht;a1\n3;Cor;Amersfoort;a2\n"
SECOND = "1;Anna;Soest;a2\n2;Bert;Utrecht;a1\n4;Dirk;Zeist;a3\n"
WRONG = "1;Anna;Soest;a9\n3;Cor;Nergens;a2\n5;Eva;Zeist;a9\n"


def day_1(loader: Loader, root: Path) -> None:
    deliver(root, DAY_1, patients=FIRST, relations="1;0612\n2;0613\n")
    loader.run(DAY_1)


def state_after_two_days(warehouse: Database, root: Path) -> list[tuple[object, ...]]:
    loader = Loader(warehouse, small_pipeline(root))
    day_1(loader, root)
    deliver(root, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    loader.run(DAY_2)
    return loader.rows(VAULT)


def test_two_days_give_this_vault(warehouse: Database, tmp_path: Path) -> None:
    assert state_after_two_days(warehouse, tmp_path) == [
        ("arts", "a1", "arts", None, None, None),
        ("arts", "a2", "arts", None, None, None),
        ("arts", "a3", "arts", None, None, None),
        ("contact", "1", "0612", "crm", "false", "0"),
        ("contact", "1", "0614", "crm", "true", "1"),
        ("contact", "2", "0613", "crm", "true", "0"),
        ("contact", "4", "0615", "crm", "true", "0"),
        ("hub", "1", "patient", None, None, None),
        ("hub", "2", "patient", None, None, None),
        ("hub", "3", "patient", None, None, None),
        ("hub", "4", "patient", None, None, None),
        ("link", "1", "a1", None, None, None),
        ("link", "1", "a2", None, None, None),
        ("link", "2", "a1", None, None, None),
        ("link", "3", "a2", None, None, None),
        ("link", "4", "a3", None, None, None),
        ("link status", "1", "a1", "ended", "true", "0"),
        ("link status", "3", "a2", "ended", "true", "0"),
        ("sat", "1", "Anna", "Soest", "true", "1"),
        ("sat", "1", "Anna", "Zeist", "false", "0"),
        ("sat", "2", "Bert", "Utrecht", "true", "0"),
        ("sat", "3", "Cor", "Amersfoort", "true", "0"),
        ("sat", "4", "Dirk", "Zeist", "true", "0"),
        ("sor", "1", "Anna", "Soest", "true", "1true"),
        ("sor", "1", "Anna", "Zeist", "false", "0true"),
        ("sor", "2", "Bert", "Utrecht", "true", "0true"),
        ("sor", "3", "Cor", "Amersfoort", "false", "0true"),
        ("sor", "4", "Dirk", "Zeist", "true", "0true"),
        ("status", "2", "deleted", "crm", "true", "0"),
        ("status", "3", "deleted", "his", "true", "0"),
    ]


@pytest.fixture
def expected(server: object, tmp_path: Path) -> list[tuple[object, ...]]:
    from databases import fresh_database

    with fresh_database(server, "expected") as database:  # type: ignore[arg-type]
        return state_after_two_days(database, tmp_path / "expected")


def test_a_corrected_file_and_a_clear_give_what_it_would_have_given_at_once(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=WRONG, relations="1;0619\n3;0617\n")
    loader.run(DAY_2)
    assert loader.rows(VAULT) != expected
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    loader.run(DAY_2)
    assert loader.rows(VAULT) == expected


def test_clearing_only_the_staging_stage_also_takes_back_what_later_stages_made_of_it(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=WRONG, relations="1;0614\n4;0615\n")
    loader.run(DAY_2)
    deliver(tmp_path, DAY_2, patients=SECOND)
    loader.run(DAY_2, stages=["his.sor.etl_sor"])
    assert loader.rows(
        "select stage, state from sys.stages where runid = 2 and pipe = 'his' and state <> 'done' order by 1"
    ) == [
        ("his.dv.etl_hubs", "to do"),
        ("his.dv.etl_links", "to do"),
    ]
    loader.run(DAY_2, stages=["his.dv.etl_hubs", "his.dv.etl_links"])
    assert loader.rows(VAULT) == expected


def test_every_stage_run_twice_changes_nothing(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    for stage in loader.plan().stages:
        loader.run(DAY_2, stages=[stage.id])
        loader.run(DAY_2, stages=[stage.id])
    assert loader.rows(VAULT) == expected


def test_an_interval_that_is_loaded_again_by_another_run_changes_nothing_when_nothing_changed(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    loader.run(DAY_2)
    outcomes = loader.run(DAY_2, name="manual__again")
    assert loader.rows(VAULT) == expected
    assert outcomes["his.dv.etl_hubs"].numbers.get("dv.patient_sat", {}).get("inserted", 0) == 0


def test_an_earlier_interval_is_refused_and_rewinding_makes_it_possible(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_3, patients=WRONG, relations="1;0619\n3;0617\n")
    loader.run(DAY_3)
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    with pytest.raises(OrderRefused, match=r"loaded by the later run 2\.00.*pyelt rewind PROJECT --to 1\.00"):
        loader.run(DAY_2, stages=["his.sor.etl_sor"])
    taken = list(rewind(loader.pipeline, Decimal("1.00"), LocalEnvironment(), now=loader._tick(DAY_3)(), log=_LOG))
    assert [(back.run, back.pipe) for back in taken] == [(Decimal("2.00"), "his"), (Decimal("2.00"), "crm")]
    loader.run(DAY_2)
    assert loader.rows(VAULT) == expected


def test_a_warehouse_of_an_older_version_can_be_rewound(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    loader.run(DAY_2)
    warehouse.execute("drop table sys.delivered_files; comment on schema sys is 'PyELT bookkeeping, version 1'")

    taken = list(rewind(loader.pipeline, Decimal("1.00"), LocalEnvironment(), now=loader._tick(DAY_3)(), log=_LOG))

    assert [(back.run, back.pipe) for back in taken] == [(Decimal("2.00"), "his"), (Decimal("2.00"), "crm")]
    loader.run(DAY_2)
    assert loader.rows(VAULT) == expected


def test_a_stage_of_an_older_run_is_refused_once_a_later_run_loaded_its_pipe(
    warehouse: Database, tmp_path: Path
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    loader.run(DAY_2)
    before = loader.rows(VAULT)
    with pytest.raises(OrderRefused):
        loader.run(DAY_1, stages=["his.dv.etl_hubs"])
    assert loader.rows(VAULT) == before


def test_a_run_waits_while_an_older_run_of_its_pipe_is_open(warehouse: Database, tmp_path: Path) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    deliver(tmp_path, DAY_1, patients=FIRST, relations="1;0612\n")
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n")
    loader.run(DAY_1, stages=["prepare", "ddl_dv", "his.sor.ddl_sor"])
    loader.run(DAY_2, stages=["prepare"])
    # Both runs started on days that are far apart for a clock; the older one gave its last sign of life just now.
    warehouse.execute(
        "update sys.attempts set started = '2026-01-02 02:00', ended = '2026-01-02 02:00' where runid = 1"
    )
    with pytest.raises(OlderRunOpen, match=r"run 1\.00 of pipe his is older and still open"):
        loader.run(DAY_2, stages=["his.sor.etl_sor"])


def test_a_finished_run_that_is_started_again_is_waited_for(warehouse: Database, tmp_path: Path) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    for day in (DAY_1, DAY_2, DAY_3):
        deliver(tmp_path, day, patients=SECOND, relations="1;0614\n")
        loader.run(day)
    rewind(loader.pipeline, Decimal("1.00"), LocalEnvironment(), now=loader._tick(DAY_3)(), log=_LOG)
    finished = "select runid::text from sys.runs where finish_date is not null order by 1"
    assert loader.rows(finished) == [("1.00",)]
    warehouse.execute("update sys.runs set finish_date = rundate")
    loader.run(DAY_2, stages=["prepare"])
    assert loader.rows(finished) == [("1.00",), ("3.00",)]
    warehouse.execute(
        "update sys.attempts set started = '2026-01-03 02:00', ended = '2026-01-03 02:00' where runid = 2"
    )
    with pytest.raises(OlderRunOpen, match=r"run 2\.00 of pipe his is older and still open"):
        loader.run(DAY_3, stages=["his.sor.etl_sor"])


KILLED_WORKER = """
import sys
from datetime import date
from pathlib import Path
from databases import Database
from loading import Loader
from small_project import small_pipeline
url, root, stage = sys.argv[1:]
Loader(Database(name="", url=url), small_pipeline(Path(root))).run(date(2026, 1, 2), stages=[stage])
"""


@pytest.mark.parametrize("stage", ["his.sor.etl_sor", "his.dv.etl_hubs", "his.dv.etl_links"])
def test_a_stage_whose_worker_is_killed_leaves_nothing_and_does_not_block_the_next_attempt(
    warehouse: Database, tmp_path: Path, expected: list[tuple[object, ...]], stage: str
) -> None:
    loader = Loader(warehouse, small_pipeline(tmp_path))
    day_1(loader, tmp_path)
    deliver(tmp_path, DAY_2, patients=SECOND, relations="1;0614\n4;0615\n")
    stages = [s.id for s in loader.plan().stages]
    loader.run(DAY_2, stages=stages[: stages.index(stage)])
    before = loader.rows(VAULT)
    # A session of a bystander holds the outcome table, so the stage has done its work and waits, uncommitted.
    with contextlib.closing(warehouse.connect()) as bystander, bystander.cursor() as cursor:
        cursor.execute("lock table sys.stages in exclusive mode")
        worker = subprocess.Popen(
            [sys.executable, "-c", KILLED_WORKER, warehouse.url, str(tmp_path), stage],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        _wait_for(
            warehouse,
            "select 1 from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'stages' and not granted",
        )
        worker.kill()
        worker.wait()
        bystander.rollback()
        # The ghost may or may not have noticed that its worker is gone: the next attempt must not care.
        started = time.monotonic()
        loader.run(DAY_2, stages=[stage])
        assert time.monotonic() - started < 30
    assert loader.rows(VAULT) != before or stage == "his.dv.etl_links"
    loader.run(DAY_2, stages=stages[stages.index(stage) + 1 :])
    assert loader.rows(VAULT) == expected
    assert loader.rows("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def _wait_for(warehouse: Database, query: str) -> None:
    for _ in range(600):
        if warehouse.rows(query):
            return
        time.sleep(0.05)
    raise AssertionError("the worker never came to its last statement")

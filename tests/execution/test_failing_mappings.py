"""on_errors: log: mappings that fail are rolled back alone, the others commit, and the next attempt repairs just those."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from crash.state import State, difference, state_of
from databases import Database, fresh_database
from killed_steps import killed
from loading import Loader
from pyelt_provider.embedded.server import EmbeddedServer
from written_projects import deliver, loader

DOMAIN = """
hubs:
  Patient: {satellites: {Default: {name: text}}}
  Ward: {satellites: {Default: {name: text}}}
links:
  Stay: {references: {patient: Patient, ward: Ward}}
  Home: {references: {patient: Patient, ward: Ward}, satellites: {Default: {name: text}}}
valuesets:
  Names: {}
  Wards: {}
validations:
  - {table: patient_sat, when: "name = (select text from own.helper h where h.kind = 'vault')",
     message: Nobody}
  - {table: ward_sat, when: name = 'nobody', message: Nobody}
"""
PIPE = """
pipe: his
source_path: his
sor:
  patient_hstage: {csv: patients.csv, key: [nr], columns: [nr, name, ward]}
  ward_hstage: {csv: wards.csv, key: [nr], columns: [nr, name]}
validations:
  - {table: ward_hstage, when: "name = (select text from own.helper h where h.kind = 'sor')", message: Nowhere}
entities:
  - {from: patient_hstage, to: Patient, bk: nr, fields: {Default.name: name}, name: patients}
  - {from: ward_hstage, to: Ward, bk: nr, name: wards,
     fields: {Default.name: "name || (select text from own.helper h where h.kind = 'hubs')"}}
links:
  - {from: patient_hstage, to: Stay, references: {patient: nr, ward: ward}, name: stays}
  - {from: patient_hstage, to: Home, references: {patient: nr, ward: ward}, name: homes,
     fields: {Default.name: "name || (select text from own.helper h where h.kind = 'links')"}}
valuesets:
  - {from: patient_hstage, to: Names, fields: {valueset_naam: "'n'", code: nr, omschrijving: name}, name: names}
  - {from: ward_hstage, to: Wards, name: ward names,
     fields: {valueset_naam: "'w'", code: nr, omschrijving: "name || (select text from own.helper h where h.kind = 'valset')"}}
"""
MARTS = {
    "datamarts__people___sql": "select p.bk, s.name from dv.patient_hub p join dv.patient_sat s on s._id = p._id and s._active",
    "datamarts__places___sql": "select p.bk, s.name || (select text from own.helper h where h.kind = 'dm') as name\n"
    "from dv.ward_hub p join dv.ward_sat s on s._id = p._id and s._active",
}
KINDS = ["sor", "valset", "hubs", "links", "vault", "dm"]
DAY_1, DAY_2, DAY_3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)
COMPARED = ("sor_his.", "dv.", "valset.", "dm.", "sys.rejected_rows", "sys.waiting_references", "sys.positions")


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A stage in which one of two mappings fails: what it is called, and what the other one writes."""

    stage: str
    failing: str
    other: str


BROKEN = {
    "sor": Broken(stage="his.sor.etl_sor", failing="ward_hstage", other="sor_his.patient_hstage"),
    "valset": Broken(stage="his.valset.etl_valset", failing="ward names", other="valset.names"),
    "hubs": Broken(stage="his.dv.etl_hubs", failing="wards", other="dv.patient_sat"),
    "links": Broken(stage="his.dv.etl_links", failing="homes", other="dv.stay_link"),
    "vault": Broken(stage="his.dv.etl_links", failing="validations of dv.patient_sat", other="dv.stay_link"),
    "dm": Broken(stage="etl_dm", failing="dm.places", other="dm.people"),
}


def project(warehouse: Database, folder: Path) -> Loader:
    warehouse.execute(
        "create schema own; create table own.helper (kind text, text text); insert into own.helper "
        "select unnest(array['sor', 'valset', 'hubs', 'links', 'vault', 'dm']), ''"
    )
    return loader(warehouse, folder, DOMAIN, pipe=PIPE, pipeline="on_errors: log", **MARTS)


def first_night(folder: Path) -> None:
    deliver(folder, "nr,name,ward\n1,Ann,A\n2,Bob,A\n", "his/patients.csv")
    deliver(folder, "nr,name\nA,Ward A\nB,Ward B\n", "his/wards.csv")


def second_night(folder: Path) -> None:
    deliver(folder, "nr,name,ward\n1,Anna,B\n2,Bob,A\n3,Cas,B\n", "his/patients.csv")
    deliver(folder, "nr,name\nA,Ward Alpha\nB,Ward B\nC,Ward C\n", "his/wards.csv")


def third_night(folder: Path) -> None:
    deliver(folder, "nr,name,ward\n1,Anna,C\n2,Bob,A\n4,Dirk,B\n", "his/patients.csv")
    deliver(folder, "nr,name\nA,Ward Alpha\nB,Ward Beta\nC,Ward C\n", "his/wards.csv")


def break_it(warehouse: Database, kind: str) -> None:
    """A second row makes the mapping's subquery an error of the whole statement, not of one row's data."""
    warehouse.execute(f"insert into own.helper values ('{kind}', '')")


def mend(warehouse: Database) -> None:
    warehouse.execute("delete from own.helper a using own.helper b where a.kind = b.kind and a.ctid > b.ctid")


def state(warehouse: Database) -> State:
    with closing(warehouse.connect()) as connection:
        found = state_of(connection, scratch=False)
    found["sys.positions"] = [row for row in found["sys.positions"] if '"stage": "etl_dm"' not in row]
    return {table: rows for table, rows in found.items() if table.startswith(COMPARED)}


@pytest.fixture(scope="module")
def undisturbed(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> dict[date, State]:
    """The state after each of three nights in which nothing fails."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with fresh_database(server, "undisturbed") as database:
        load = project(database, folder)
        states = {}
        for day, night in ((DAY_1, first_night), (DAY_2, second_night), (DAY_3, third_night)):
            night(folder)
            load.run(day)
            states[day] = state(database)
        return states


def failed_night(warehouse: Database, folder: Path, kind: str) -> Loader:
    """Load a good night, and a second one in which one mapping of the stage fails and the others are committed."""
    load, broken = project(warehouse, folder), BROKEN[kind]
    first_night(folder)
    load.run(DAY_1)
    break_it(warehouse, kind)
    second_night(folder)
    stages = [stage.id for stage in load.plan().stages if stage.id != "close"]
    outcomes = load.run(DAY_2, stages=stages)
    assert {stage: outcome.failures for stage, outcome in outcomes.items() if outcome.failures}.keys() == {broken.stage}
    assert [name for name, _ in outcomes[broken.stage].failures] == [broken.failing]
    assert "21000" in outcomes[broken.stage].failures[0][1]
    assert sum(outcomes[broken.stage].numbers[broken.other].values()) > 0
    return load


def cleared(load: Loader, kind: str) -> list[str]:
    """The stages that are done again when the failed one is cleared with downstream."""
    ids = [stage.id for stage in load.plan().stages]
    return ids[ids.index(BROKEN[kind].stage) :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_clear_repairs_the_failed_mapping_and_does_no_other_again(
    kind: str, undisturbed: dict[date, State], warehouse: Database, tmp_path: Path
) -> None:
    load, broken = failed_night(warehouse, tmp_path, kind), BROKEN[kind]
    mend(warehouse)

    outcomes = load.run(DAY_2, stages=cleared(load, kind))

    assert str(outcomes[broken.stage].state) == "done"
    assert difference(undisturbed[DAY_2], state(warehouse)) == []
    repaired = outcomes[broken.stage]
    assert sum(repaired.numbers.get(broken.other, {}).values()) == 0
    assert not any(step.label.startswith("take back") for step in repaired.steps if str(step.table) == broken.other)
    third_night(tmp_path)
    load.run(DAY_3)
    assert difference(undisturbed[DAY_3], state(warehouse)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_mapping_that_nobody_clears_is_made_up_for_in_the_next_night(
    kind: str, undisturbed: dict[date, State], warehouse: Database, tmp_path: Path
) -> None:
    load = failed_night(warehouse, tmp_path, kind)
    mend(warehouse)
    third_night(tmp_path)
    outcomes = load.run(DAY_3)
    assert not [failure for outcome in outcomes.values() for failure in outcome.failures]
    active = "select count(*), count(distinct name) from dv.ward_sat where _active"
    assert warehouse.rows(active) == [(3, 3)]
    assert warehouse.rows("select bk, name from dm.places order by 1") == [
        ("A", "Ward Alpha"), ("B", "Ward Beta"), ("C", "Ward C"),
    ]  # fmt: skip
    assert warehouse.rows("select bk, name from dm.people order by 1") == [
        ("1", "Anna"), ("2", "Bob"), ("3", "Cas"), ("4", "Dirk"),
    ]  # fmt: skip
    for table in ("dv.stay_link", "dv.home_link"):
        assert warehouse.rows(
            f"select p.bk, w.bk from {table} l join dv.patient_hub p on p._id = l.fk_patient_hub "
            "join dv.ward_hub w on w._id = l.fk_ward_hub "
            "join sor_his.patient_hstage s on s._active and (s.nr, s.ward) = (p.bk, w.bk) order by 1"
        ) == [("1", "C"), ("2", "A"), ("4", "B")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_repair_may_be_killed_anywhere(
    kind: str, undisturbed: dict[date, State], warehouse: Database, tmp_path: Path
) -> None:
    load, stage = failed_night(warehouse, tmp_path, kind), BROKEN[kind].stage
    mend(warehouse)
    steps, kills = 1, 0
    while killed(lambda: load.run(DAY_2, stages=[stage]), steps):
        kills, steps = kills + 1, steps + 5
    assert kills >= 2
    load.run(DAY_2, stages=cleared(load, kind))
    assert difference(undisturbed[DAY_2], state(warehouse)) == []


def test_when_another_table_got_a_corrected_file_everything_is_loaded_again(
    undisturbed: dict[date, State], warehouse: Database, tmp_path: Path
) -> None:
    load = failed_night(warehouse, tmp_path, "sor")
    mend(warehouse)
    deliver(tmp_path, "nr,name,ward\n1,Wrong,B\n2,Wrong,A\n", "his/patients.csv")
    load.run(DAY_2, stages=cleared(load, "sor"))
    assert warehouse.rows("select name from sor_his.patient_hstage where _active order by nr") == [
        ("Wrong",),
        ("Wrong",),
    ]
    second_night(tmp_path)
    load.run(DAY_2, stages=cleared(load, "sor"))
    assert difference(undisturbed[DAY_2], state(warehouse)) == []


def test_a_table_that_fails_again_leaves_the_one_that_was_loaded(
    undisturbed: dict[date, State], warehouse: Database, tmp_path: Path
) -> None:
    load = failed_night(warehouse, tmp_path, "sor")
    for _ in range(2):
        again = load.run(DAY_2, stages=["his.sor.etl_sor"])["his.sor.etl_sor"]
        assert [name for name, _ in again.failures] == ["ward_hstage"]
        assert "sor_his.patient_hstage" not in {str(step.table) for step in again.steps if step.count is not None}
    mend(warehouse)
    load.run(DAY_2, stages=cleared(load, "sor"))
    assert difference(undisturbed[DAY_2], state(warehouse)) == []
    load.run(DAY_2, stages=cleared(load, "sor"))
    assert difference(undisturbed[DAY_2], state(warehouse)) == []

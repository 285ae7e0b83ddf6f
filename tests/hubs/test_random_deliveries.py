"""Whatever is delivered night after night: the vault equals a simple model, twice is once, and the order of pipes is nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from databases import fresh_database
from hubs.care import DAY_1, Care, entity, hub, pipe, record_status, satellite
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.staging import Validation

HEADER = "nr;doctor;room;beds;kind"
HEADERS = {"his_visit": HEADER, "crm_visit": HEADER}
DOCTOR = hub("Doctor", satellite("Doctor", room="text", beds="integer"), record_status("Doctor"))


@dataclass(frozen=True)
class Row:
    """A delivered row; `kind` bad is rejected by a validation, beds that are no number by the mapping."""

    doctor: str
    room: str
    beds: str
    kind: str

    @property
    def stands(self) -> bool:
        return self.kind != "bad" and self.beds != "many"

    def csv(self, number: int) -> str:
        return f"{number};{self.doctor};{self.room};{self.beds};{self.kind}"


Night = dict[int, Row]
KEYS, ROOMS, BEDS = st.sampled_from(["", "D1", "D2", "D3"]), st.sampled_from("ab"), st.sampled_from(["1", "2", "many"])
ROWS = st.builds(Row, doctor=KEYS, room=ROOMS, beds=BEDS, kind=st.sampled_from(["good", "good", "good", "bad"]))
CHANGES = st.dictionaries(st.integers(1, 5), st.none() | ROWS)


def nights_of(changes: list[dict[int, Row | None]]) -> list[Night]:
    """Return the full deliveries that these changes make: a row that is None is not delivered any more."""
    nights: list[Night] = []
    rows: Night = {}
    for change in changes:
        rows = {number: row for number, row in {**rows, **change}.items() if row is not None}
        nights.append(rows)
    return nights


NIGHTS = st.lists(CHANGES, min_size=3, max_size=5).map(nights_of)


@dataclass
class Model:
    """What one pipe's nights mean for the vault, without any SQL."""

    stood: dict[int, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    values: dict[str, tuple[str, int]] = field(default_factory=dict)

    def night(self, rows: Night) -> None:
        self.stood = {number: key for number, key in self.stood.items() if number in rows}
        self.stood |= {number: row.doctor for number, row in rows.items() if row.stands}
        given = {row.doctor for row in rows.values() if row.stands and row.doctor}
        self.keys |= given
        kept = {self.stood.get(number, "") for number, row in rows.items() if not row.stands}
        self.gone = {key for key in self.keys if key not in given and (key in self.gone or key not in kept)}
        for key in given:
            winner = min(number for number, row in rows.items() if row.stands and row.doctor == key)
            self.values[key] = (rows[winner].room, int(rows[winner].beds))


def doctors_of(name: str, bk: str = "doctor") -> Pipe:
    rule = Validation(table="visit_hstage", when="kind = 'bad'", message="A bad row")
    mapping = entity("visit", "Doctor", bk=bk, room="room", beds="beds")
    return pipe(name, {"visit": HEADER}, mapping, validations=[rule])


def vault(care: Care, source: str) -> tuple[set[str], set[str], dict[str, tuple[Any, ...]]]:
    """Return the keys with values, the keys that are gone, and the active values of a source."""
    found = care.rows(
        "select h.bk, s.room, s.beds from dv.doctor_sat s join dv.doctor_hub h using (_id) "
        "where s._active and s._source_system = %s",
        (source,),
    )
    gone = care.rows(
        "select h.bk from dv.doctor_sat_record_status s join dv.doctor_hub h using (_id) "
        "where s._active and s.record_status = 'deleted' and s._source_system = %s",
        (source,),
    )
    assert len({key for key, _, _ in found}) == len(found)
    return {key for key, _, _ in found}, {key for (key,) in gone}, {key: (room, beds) for key, room, beds in found}


def check(care: Care, **nights: list[Night]) -> list[tuple[Any, ...]]:
    """Deliver the nights and compare each with the models; return the history without what is luck."""
    models = {source: Model() for source in nights}
    for number, deliveries in enumerate(zip(*nights.values(), strict=True)):
        day = DAY_1 + timedelta(days=number)
        files = {}
        for (source, model), rows in zip(models.items(), deliveries, strict=True):
            model.night(rows)
            files[f"{source}_visit"] = [row.csv(key) for key, row in rows.items()]
        care.deliver(day, HEADERS, **files)
        for again in (False, True):
            if again:
                care.run(day, stages=[f"{source}.dv.etl_hubs" for source in models])
            for source, model in models.items():
                assert vault(care, source) == (model.keys, model.gone, model.values), (day, source, again)
            every_key = set().union(*(model.keys for model in models.values()))
            assert {key for (key,) in care.rows("select bk from dv.doctor_hub")} == every_key, (day, again)
    return care.rows(
        "select h.bk, s._source_system, s._runid, s._revision, s.room, s.beds, s._active, s._finish_runid "
        "from dv.doctor_sat s join dv.doctor_hub h using (_id) order by 1, 2, 4"
    )


# Each example is a whole warehouse of its own, so examples are few, and the same ones each time.
FEW = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@FEW
@given(nights=NIGHTS)
def test_a_key_that_several_rows_may_give(server: EmbeddedServer, nights: list[Night]) -> None:
    with fresh_database(server, "model") as warehouse, TemporaryDirectory() as folder:
        check(Care(warehouse, Path(folder), doctors_of("his"), hubs=[DOCTOR]), his=nights)


@FEW
@given(nights=NIGHTS)
def test_a_key_that_is_the_key_of_the_source(server: EmbeddedServer, nights: list[Night]) -> None:
    numbered = [{n: replace(row, doctor=f"{n}_his") for n, row in night.items()} for night in nights]
    with fresh_database(server, "model") as warehouse, TemporaryDirectory() as folder:
        check(Care(warehouse, Path(folder), doctors_of("his", "nr || '_his'"), hubs=[DOCTOR]), his=numbered)


@FEW
@given(changes=st.lists(st.tuples(CHANGES, CHANGES), min_size=2, max_size=4))
def test_two_pipes_in_either_order(
    server: EmbeddedServer, changes: list[tuple[dict[int, Row | None], dict[int, Row | None]]]
) -> None:
    nights = {"his": nights_of([his for his, _ in changes]), "crm": nights_of([crm for _, crm in changes])}
    histories = []
    for order in (("his", "crm"), ("crm", "his")):
        with fresh_database(server, "model") as warehouse, TemporaryDirectory() as folder:
            pipes = [doctors_of(name) for name in order]
            histories.append(check(Care(warehouse, Path(folder), *pipes, hubs=[DOCTOR]), **nights))
    assert histories[0] == histories[1]

"""Random deliveries: links, their status and their values equal a simple model of what a night means."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from databases import Database
from links.visits import DAY_1, Clinic, link, pipe, remarks, visit
from pyelt_provider.model.mapping import FieldMapping
from pyelt_provider.model.staging import Validation

NIGHTS, ROWS, PATIENTS, DOCTORS = 7, 7, 3, 3
Pair = tuple[str, str]


@dataclass
class Row:
    """A visit as it is delivered; `bad` ones are rejected by a validation."""

    patient: str
    doctor: str
    bad: bool
    rank: int
    remark: str

    @property
    def pair(self) -> Pair | None:
        return (self.patient, self.doctor) if self.patient and self.doctor else None

    def csv(self, number: int) -> str:
        kind = "bad" if self.bad else "good"
        return f"{number};{self.patient};{self.doctor};{kind};2026-01-{self.rank:02d};{self.remark}"


@dataclass
class Model:
    """What the vault has after each night, by the rules and without any SQL."""

    driving: bool
    delivered: dict[int, Row] = field(default_factory=dict)
    stood: dict[int, Pair | None] = field(default_factory=dict)
    links: set[Pair] = field(default_factory=set)
    ended: set[Pair] = field(default_factory=set)
    values: dict[Pair, str] = field(default_factory=dict)

    def night(self, rows: dict[int, Row], doctors: set[str]) -> None:
        for number in self.stood.keys() - rows.keys():
            del self.stood[number]
        for number, row in rows.items():
            if not row.bad:
                self.stood[number] = row.pair
        usable = {n: row for n, row in rows.items() if not row.bad and row.pair and row.doctor in doctors}
        active = self.links - self.ended
        self.links |= {row.pair for row in usable.values() if row.pair}
        held = {row.pair for row in usable.values()}
        rejected = [self.stood.get(number) for number, row in rows.items() if row.bad]
        held |= {pair for pair in rejected if pair in active}
        if self.driving:
            held = self._one_for_each_patient(rows, held)
        self.ended = {pair for pair in self.links if pair not in held}
        for pair in {row.pair for row in usable.values() if row.pair}:
            winner = min((row.rank, number) for number, row in usable.items() if row.pair == pair)
            self.values[pair] = usable[winner[1]].remark

    def _one_for_each_patient(self, rows: dict[int, Row], held: set[Pair | None]) -> set[Pair | None]:
        """The partner that `prefer` (the smallest rank) puts first; the test makes ranks that never tie."""
        best: dict[str, tuple[int, Pair]] = {}
        for row in rows.values():
            if not row.bad and row.pair and row.pair in held:
                best[row.patient] = min(best.get(row.patient, (99, row.pair)), (row.rank, row.pair))
        return {pair for _, pair in best.values()}


def deliveries(seed: int, *, with_bad: bool) -> list[tuple[dict[int, Row], set[str]]]:
    """For each night the rows by number, and the doctors that are known: one of them comes later."""
    chosen = random.Random(seed)
    rows: dict[int, Row] = {}
    nights = []
    for night in range(NIGHTS):
        for number in range(1, ROWS + 1):
            if number in rows and chosen.random() < 0.25:
                del rows[number]
            elif (number not in rows and chosen.random() < 0.5) or (number in rows and chosen.random() < 0.4):
                rows[number] = Row(
                    patient=chosen.choice(["", *(f"P{n}" for n in range(PATIENTS) for _ in range(3))]),
                    doctor=chosen.choice(["", *(f"D{n}" for n in range(DOCTORS) for _ in range(3))]),
                    bad=with_bad and chosen.random() < 0.25,
                    rank=number * 2 + chosen.randrange(2),
                    remark=chosen.choice("abc"),
                )
        doctors = {f"D{n}" for n in range(DOCTORS) if n < DOCTORS - 1 or night > 2}
        nights.append((dict(rows), doctors))
    return nights


@pytest.mark.parametrize("driving", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_links_status_and_values_are_those_of_the_model(
    warehouse: Database, tmp_path: Path, seed: int, driving: bool
) -> None:
    check(warehouse, tmp_path, seed, driving)


def check(warehouse: Database, folder: Path, seed: int, driving: bool) -> None:
    mapping = visit(
        prefer="day",
        fields=(FieldMapping(satellite="Default", column="remark", expression="remark"),),
    )
    rule = Validation(table="visit_hstage", when="kind = 'bad'", message="Not a visit")
    clinic = Clinic(
        warehouse,
        folder,
        pipe(links=[mapping], validations=[rule]),
        visits=link(status=True, driving="patient" if driving else None, satellites=(remarks(),)),
    )
    model = Model(driving)
    day: date = DAY_1
    for rows, doctors in deliveries(seed, with_bad=not driving):
        model.night(rows, doctors)
        clinic.deliver(
            day,
            his_patients=" ".join(f"P{n}" for n in range(PATIENTS)),
            his_doctors=" ".join(sorted(doctors)),
            his_visits=" ".join(row.csv(number) for number, row in rows.items()),
        )
        for again in (False, True):
            if again:
                clinic.run(day, stages=["his.dv.etl_links"])
            assert set(clinic.links) == model.links and len(clinic.links) == len(model.links), (day, again)
            assert ended(clinic) == model.ended, (day, again)
            assert values(clinic) == model.values, (day, again)
        day += timedelta(days=1)


def ended(clinic: Clinic) -> set[Pair]:
    return {
        (patient, doctor) for patient, doctor, _, _, status, active in clinic.status if active and status == "ended"
    }


def values(clinic: Clinic) -> dict[Pair, str]:
    rows = clinic.rows(
        "select p.bk, d.bk, s.remark from dv.visit_sat s join dv.visit_link l on l._id = s._id "
        "join dv.patient_hub p on p._id = l.fk_patient_hub join dv.doctor_hub d on d._id = l.fk_doctor_hub "
        "where s._active"
    )
    assert len({row[:2] for row in rows}) == len(rows)
    return {(patient, doctor): remark for patient, doctor, remark in rows}

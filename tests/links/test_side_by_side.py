"""Two pipes that load the same link at the same time: every link once, nobody waits for ever."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from databases import Database
from links.visits import DAY_1, DAY_2, Clinic, link, pipe, visit
from pyelt_provider.model.mapping import MissingReference


@pytest.mark.parametrize("policy", [MissingReference.WAIT, MissingReference.CREATE_HUB])
def test_two_pipes_that_load_one_link_at_once_make_every_link_once(
    warehouse: Database, tmp_path: Path, policy: MissingReference
) -> None:
    mapping = visit(missing_reference=policy)
    his = pipe("his", links=[mapping])
    lab = pipe("lab", files=("visits",), links=[mapping])
    clinic = Clinic(warehouse, tmp_path, his, lab, visits=link(status=True))
    people = {
        "his_patients": " ".join(f"P{number}" for number in range(300)),
        "his_doctors": " ".join(f"D{number}" for number in range(10)),
    }
    clinic.deliver(DAY_1, **people, his_visits="0;P0;D0", lab_visits="0;P0;D0")
    loading = ("his.dv.etl_links", "lab.dv.etl_links")

    # Both bring the same new links, in another order, and some whose doctor nobody knows.
    pairs = [(f"P{number}", f"D{number % 12}") for number in range(300)]
    deliveries = {}
    for name, seed in (("his_visits", 1), ("lab_visits", 2)):
        shuffled = random.Random(seed).sample(pairs, k=len(pairs))
        deliveries[name] = " ".join(f"{n};{patient};{doctor}" for n, (patient, doctor) in enumerate(shuffled, 1))
    clinic.write(DAY_2, **people, **deliveries)
    clinic.run(DAY_2, stages=[stage.id for stage in clinic.plan().stages if stage.id not in (*loading, "close")])
    with ThreadPoolExecutor() as pool:
        for outcomes in pool.map(lambda stage: clinic.run(DAY_2, stages=[stage]), loading):
            assert [str(outcome.state) for outcome in outcomes.values()] == ["done"]

    known = [pair for pair in pairs if policy is MissingReference.CREATE_HUB or pair[1] not in ("D10", "D11")]
    assert clinic.links == sorted({*known, ("P0", "D0")})
    assert clinic.rows(
        "select pipe, count(*) from sys.waiting_references where resolved_runid is null group by pipe order by pipe"
    ) == ([] if policy is MissingReference.CREATE_HUB else [("his", 50), ("lab", 50)])
    assert clinic.status == []

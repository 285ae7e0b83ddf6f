"""PostgreSQL is stopped with ``-m immediate`` in the middle of a stage: a clear error, and the same state after its restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from crash.breaking import Ground, Undisturbed, ground
from crash.project import SECOND
from databases import Database, throwaway_server

GONE = (
    "the connection to the source database was lost",
    "server closed the connection unexpectedly",
    "terminating connection",
    "cannot be reached",
)


@pytest.fixture(scope="module")
def own_ground() -> Iterator[Ground]:
    """A ground on a server that no other test uses, because it will be stopped."""
    with throwaway_server() as own, ground(own) as made:
        yield made


def harm(ground: Ground, undisturbed: Undisturbed, kind: str, at: dict[str, int], **more: Any) -> dict[str, Any]:
    (told,) = ground.run([{**undisturbed.job(at), "harm": kind, **more}], "crash.harms")
    assert "\n".join(told["found"]) == ""
    assert sorted(told["harmed"]) == sorted(at)
    unclear = [
        f"{stage}: {ended['kind']}: {ended['error'][-500:]}"
        for stage, ended in told["harmed"].items()
        if ended["kind"] not in ("StageFailed", "StepFailed", "PyeltError", "DeliveryRefused")
        or not any(text in ended["error"].splitlines()[-1] for text in GONE)
    ]
    assert "\n".join(unclear) == ""
    return told


@pytest.mark.parametrize("name", ["first", "second"])
def test_each_stage_survives_that_the_server_is_stopped_in_its_middle(own_ground: Ground, name: str) -> None:
    undisturbed = own_ground.scenario(name)

    harm(
        own_ground,
        undisturbed,
        "server_stopped",
        {entry["stage"]: len(entry["instants"]) * 2 // 3 for entry in undisturbed.stages},
    )


def test_a_server_that_stops_at_the_commit_has_committed_all_or_nothing(own_ground: Ground) -> None:
    undisturbed = own_ground.scenario("cleared")

    harm(
        own_ground,
        undisturbed,
        "server_stopped",
        {
            entry["stage"]: number
            for entry in undisturbed.stages
            for number, text in enumerate(entry["instants"], start=1)
            if text.startswith("just before the commit")
        },
    )


def test_each_stage_that_reads_the_source_survives_that_its_sessions_are_cut(own_ground: Ground) -> None:
    undisturbed = own_ground.scenario("second")
    at = {
        stage: max(
            number
            for number, text in enumerate(undisturbed.instants(stage), start=1)
            if text.startswith("before source")
        )
        for stage in ("crm.sor.ddl_sor", "crm.sor.etl_sor")
    }

    told = harm(own_ground, undisturbed, "source_cut", at, until="crm.sor.etl_sor")

    assert all("relation" in ended["error"].splitlines()[-1] for ended in told["harmed"].values())


def test_a_source_whose_server_stops_while_it_sends_rows_is_read_again(own_ground: Ground) -> None:
    with throwaway_server() as elsewhere:
        elsewhere.ensure_database("large")
        SECOND.write_source(Database("large", elsewhere.url("large")))
        second = own_ground.scenario("second")
        scenario = replace(second.scenario, source=elsewhere.url("large"))
        at = {
            "crm.sor.etl_sor": next(
                number
                for number, text in enumerate(second.instants("crm.sor.etl_sor"), start=1)
                if text.startswith("after block 1 of COPY")
            )
        }

        told = harm(
            own_ground,
            replace(second, scenario=scenario),
            "source_stopped",
            at,
            until="crm.sor.etl_sor",
            source_folder=str(elsewhere.data_folder),
        )

    assert "public.relation" in told["harmed"]["crm.sor.etl_sor"]["error"].splitlines()[-1]

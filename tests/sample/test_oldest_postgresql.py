"""The sample's story on the oldest PostgreSQL that is supported."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg2
import pytest

from pyelt_provider.embedded.binaries import OLDEST_MAJOR
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.sample.expected import problems
from sample.clinic import NIGHTS, clinic


def test_the_story_ends_the_same_and_its_last_night_can_be_done_again(
    oldest_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clinic(oldest_server, tmp_path, monkeypatch) as told:
        told.whole_story()
        assert problems(told.warehouse.url) == []
        told.night(NIGHTS[-1])
        assert problems(told.warehouse.url) == []


def test_it_is_another_version_than_the_demo_has(oldest_server: EmbeddedServer) -> None:
    connection = psycopg2.connect(oldest_server.url("postgres"))
    major = connection.server_version // 10_000
    connection.close()

    assert major in (OLDEST_MAJOR, OLDEST_MAJOR + 1)
    assert major == OLDEST_MAJOR or "CI" not in os.environ, ".ci/run installs PostgreSQL 15, and it is not there"

"""Random nights equal the model, whatever goes wrong in between, and whichever pipe comes first.

A failing story can be looked at with `random_story(seed)`; more of them: `PYELT_STORIES=200 pytest tests/nights`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from databases import fresh_database
from nights.comparison import check
from nights.story import random_story
from pyelt_provider.embedded.server import EmbeddedServer

STORIES = int(os.environ.get("PYELT_STORIES", "1"))


@settings(
    max_examples=STORIES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(min_value=0, max_value=1_000_000))
def test_random_nights_equal_the_model_with_and_without_accidents(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    assert stories(server, tmp_path_factory.mktemp("nights"), seed) == []


@pytest.mark.parametrize("seed", [20, 21, 114])
def test_stories_that_once_differed(server: EmbeddedServer, tmp_path: Path, seed: int) -> None:
    """A row that the filter leaves away gives no key, so nothing goes with it, and nothing stays because of it."""
    assert stories(server, tmp_path, seed) == []


def stories(server: EmbeddedServer, folder: Path, seed: int) -> list[str]:
    with fresh_database(server, "straight") as straight, fresh_database(server, "troubled") as troubled:
        return check(straight, troubled, folder, random_story(seed))

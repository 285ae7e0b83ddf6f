"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crash.breaking import Ground, ground
from pyelt_provider.embedded.server import EmbeddedServer


@pytest.fixture(scope="session")
def broken_ground(server: EmbeddedServer) -> Iterator[Ground]:
    """One ground for the whole test process: its scenarios cost seconds."""
    with ground(server) as made:
        yield made

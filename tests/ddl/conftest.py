"""Tables and views are made on the newest PostgreSQL and on the oldest that is supported."""

from __future__ import annotations

import pytest

from pyelt_provider.embedded.server import EmbeddedServer


@pytest.fixture(scope="session", params=["newest", "oldest"])
def server(request: pytest.FixtureRequest, server: EmbeddedServer, oldest_server: EmbeddedServer) -> EmbeddedServer:
    return server if request.param == "newest" else oldest_server

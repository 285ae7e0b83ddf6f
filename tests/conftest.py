"""Fixtures for every test: a real PostgreSQL."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from databases import Database, Source, fresh_database, fresh_source, oldest_binaries, throwaway_server
from pyelt_provider.embedded.server import EmbeddedServer

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to Ctrl-C, and every process that a test starts inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """One embedded PostgreSQL for the whole test process, gone at its end."""
    with throwaway_server() as running:
        yield running


@pytest.fixture(scope="session")
def oldest_server() -> Iterator[EmbeddedServer]:
    """The same with the oldest supported PostgreSQL that there is."""
    with throwaway_server(oldest_binaries()) as running:
        yield running


@pytest.fixture
def warehouse(server: EmbeddedServer) -> Iterator[Database]:
    """A fresh, empty database to load."""
    with fresh_database(server, "warehouse") as database:
        yield database


@pytest.fixture
def source_database(server: EmbeddedServer) -> Iterator[Source]:
    """A fresh, empty database which stands for a source system."""
    with fresh_source(server, "source") as database:
        yield database

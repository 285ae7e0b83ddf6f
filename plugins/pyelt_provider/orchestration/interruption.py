"""Ends what a task is doing in the warehouse when the task is killed or runs out of time."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psycopg2

ENDING_SIGNALS = frozenset({signal.SIGTERM, signal.SIGALRM, signal.SIGINT})


class Interruption:
    """Knows the warehouse session that a task works in, and cancels what runs on it.

    Python's own signal handlers only get their turn between two bytecodes, so while the driver waits for a long statement
    nothing would happen. Inside `watched` a small thread hears of the signal at once and cancels the statement; then
    Python's handler runs as usual.
    """

    def __init__(self) -> None:
        self._session: Any = None

    def watch(self, session: Any) -> None:
        """Say which session to cancel from now on."""
        self._session = session

    def cancel(self) -> None:
        """Ask the server to end the statement that runs in the session; safe at any time, from any thread."""
        # A session that was just closed has nothing left to cancel.
        with contextlib.suppress(psycopg2.Error):
            if self._session is not None and not self._session.closed:
                self._session.cancel()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """While inside, a signal that ends the task also ends the statement that it waits for."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        listener = threading.Thread(target=self._listen, args=(reading,), name="pyelt-interruption", daemon=True)
        listener.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            os.close(writing)
            listener.join()
            os.close(reading)

    def _listen(self, reading: int) -> None:
        while arrived := os.read(reading, 64):
            if any(number in ENDING_SIGNALS for number in arrived):
                self.cancel()

"""Does a piece of work in a process that is killed on its way."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable


class _Killer(logging.Handler):
    """Kills the process when so many steps were done."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def emit(self, record: logging.LogRecord) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], object], steps: int) -> bool:
    """Do the work in a process that is killed after so many steps; False when it ended before."""
    child = os.fork()
    if child == 0:
        log = logging.getLogger("pyelt")
        log.setLevel(logging.INFO)
        log.addHandler(_Killer(steps))
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

"""Plays the colleague who sends one file of the sample too late: after a task has looked for it in vain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyelt_provider.demo.api import Api
from pyelt_provider.demo.places import PIPELINE
from pyelt_provider.sample.deliveries import late_delivery, write_late_deliveries

WAITING_TASK = "his.sor.ddl_sor"


class LateDelivery:
    """Writes the sample's late file as soon as a task waits for it; the story so is the same on slow machines."""

    def __init__(self, data_root: Path, api: Api, say: Callable[[str], None]) -> None:
        self._data_root = data_root
        self._api = api
        self._say = say

    def look(self) -> None:
        """Write the file when its time has come; does nothing before and after."""
        path = late_delivery(self._data_root)
        if not path.exists() and self._api.is_waiting(PIPELINE, WAITING_TASK):
            write_late_deliveries(self._data_root)
            self._say(f"  a task waited for {path.parent.name}/{path.name}; now the file has come")

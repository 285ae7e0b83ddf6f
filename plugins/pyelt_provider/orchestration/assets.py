"""The Airflow asset of a warehouse table: the same from every task and every pipeline that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.planning.stages import Stage, StageKind

if TYPE_CHECKING:
    from airflow.sdk import Asset

LOADING = frozenset(
    {StageKind.ETL_SOR, StageKind.ETL_VALSET, StageKind.ETL_HUBS, StageKind.ETL_LINKS, StageKind.ETL_DM}
)
"""Stages that bring tables up to date; the stages before them only make the tables."""

SCHEME = "x-pyelt"
"""A scheme of our own: Airflow's ``postgres://`` assets name a host and database, which a connection id hides."""


def warehouse_name(ref: ConnectionRef) -> str:
    """Return a warehouse's name for people and assets: its connection id, or host and database of a URL, no secret."""
    if not ref.is_url:
        return ref.text
    parts = urlsplit(ref.text)
    return "/".join(filter(None, (parts.hostname, parts.path.strip("/"))))


def asset_uri(ref: ConnectionRef, table: TableName) -> str:
    """Return ``x-pyelt://<warehouse>/<schema>/<table>``."""
    return f"{SCHEME}://{quote(warehouse_name(ref))}/{quote(table.schema)}/{quote(table.name)}"


def asset_name(ref: ConnectionRef, table: TableName) -> str:
    """Return ``<warehouse>.<schema>.<table>``: what a schedule on assets names."""
    return f"{warehouse_name(ref)}.{table}"


class TableAssets:
    """Makes the assets of one warehouse, each once, so that tasks share them."""

    def __init__(self, ref: ConnectionRef) -> None:
        self._ref = ref
        self._made: dict[TableName, Asset] = {}

    def of(self, stage: Stage) -> list[Asset]:
        """Return the assets that are up to date when the stage has succeeded, in the order of its targets."""
        if stage.kind not in LOADING:
            return []
        return [self._asset(target.table) for target in stage.writes]

    def _asset(self, table: TableName) -> Asset:
        asset = self._made.get(table)
        if asset is None:
            from airflow.sdk import Asset

            asset = Asset(name=asset_name(self._ref, table), uri=asset_uri(self._ref, table))
            self._made[table] = asset
        return asset

"""The stages of a run as pure data: a stage can be printed, compared and pickled, and does nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.datamart import DatamartModel
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline


class StageKind(StrEnum):
    """What a stage does; the value is the last part of its id (PyELT's `Pipeline.run`, cut into stages)."""

    PREPARE = "prepare"
    DDL_VALSET = "ddl_valset"
    DDL_DV = "ddl_dv"
    DDL_SOR = "ddl_sor"
    CHECK_MAPPINGS = "check_mappings"
    ETL_SOR = "etl_sor"
    ETL_VALSET = "etl_valset"
    ETL_HUBS = "etl_hubs"
    ETL_LINKS = "etl_links"
    DDL_DM = "ddl_dm"
    ETL_DM = "etl_dm"
    CLOSE = "close"


class Layer(StrEnum):
    """The layer that a stage works for: the `parts` that a run can be limited to (`sys` is never left out)."""

    SYS = "sys"
    SOR = "sor"
    VALSET = "valset"
    DV = "dv"
    DM = "dm"


class TargetKind(StrEnum):
    """What kind of table a stage writes; decides how its rows are taken back."""

    STAGING = "staging"
    VALUESET = "valueset"
    HUB = "hub"
    SATELLITE = "satellite"
    LINK = "link"
    DATAMART = "datamart"
    VIEW = "view"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A table that a stage writes, and its kind."""

    table: TableName
    kind: TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One unit of work, which one task runs in one transaction.

    `id` is unique in the plan and is the Airflow task id: ``prepare``, ``his.sor.etl_sor``. `fingerprint` changes when
    anything that the stage does changes; two stages are equal when all but the model objects are.
    """

    id: str
    kind: StageKind
    layer: Layer
    title: str
    writes: tuple[Target, ...] = ()
    reads: tuple[TableName, ...] = ()
    fingerprint: str = ""
    pipeline: Pipeline = field(repr=False, compare=False)
    pipe: Pipe | None = field(default=None, repr=False, compare=False)
    datamarts: tuple[DatamartModel, ...] = field(default=(), repr=False, compare=False)
    """The models that a ddl_dm or etl_dm stage builds: those of this plan's schedule, in dependency order."""

    @property
    def pipe_name(self) -> str:
        """The pipe's name, or an empty text for stages of the whole pipeline."""
        return self.pipe.name if self.pipe else ""

    @property
    def the_pipe(self) -> Pipe:
        """The pipe of a stage that has one (a stage of kind ddl_sor .. etl_links always has)."""
        if self.pipe is None:
            raise LookupError(f"stage {self.id} belongs to the pipeline, not to a pipe")
        return self.pipe

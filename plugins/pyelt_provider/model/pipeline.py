"""A pipeline: one warehouse, its domains, its pipes and its datamarts, and how Airflow is to run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from pyelt_provider.model.connection import ConnectionRef, secrets_in
from pyelt_provider.model.datamart import DatamartModel
from pyelt_provider.model.domain import Domain, EnsembleView, Hub, Link, Valueset
from pyelt_provider.model.pipe import DatabaseFunction, Pipe
from pyelt_provider.model.place import NOWHERE, Place
from pyelt_provider.model.source import DatabaseSource
from pyelt_provider.model.staging import CsvFile, FixedWidthFile


class OnErrors(StrEnum):
    """What a failing mapping does: end the stage at once (throw), or let the others go on and fail at the end (log)."""

    THROW = "throw"
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSchedule:
    """A cron text or preset (``@daily``); runs get data intervals in the pipeline's timezone.

    `start_date` is the first day of this schedule where it is another than the pipeline's.
    """

    cron: str
    start_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimetableSchedule:
    """A timetable class by its import path, with keyword arguments."""

    import_path: str
    arguments: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSchedule:
    """Runs when all of these assets (by URI or name) were updated."""

    assets: tuple[str, ...]


Schedule = CronSchedule | TimetableSchedule | AssetSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSettings:
    """Which mails go out, to whom, through which Airflow SMTP connection."""

    to: tuple[str, ...]
    sender: str | None = None
    subject: str = ""
    message: str = ""
    send_mail_before_run: bool = False
    send_log_mail_after_run: bool = False
    conn_id: str = "smtp_default"


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowSettings:
    """What Airflow needs to know of the pipeline's DAGs and tasks."""

    owner: str = "pyelt"
    tags: tuple[str, ...] = ()
    catchup: bool = False
    max_active_runs: int = 1
    retries: int = 0
    retry_delay: timedelta = timedelta(minutes=5)
    pool: str | None = None
    execution_timeout: timedelta | None = None
    dagrun_timeout: timedelta | None = None
    end_date: date | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPaths:
    """Folders (templates) that get a file per run, pipe and kind next to Airflow's own log; None writes none."""

    log: str | None = None
    ddl: str | None = None
    sql: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A project as it was read and checked; everything below the config floor works from this alone."""

    name: str
    warehouse: ConnectionRef
    description: str = ""
    schedule: Schedule | None = None
    schedules: tuple[tuple[str, Schedule], ...] = ()
    timezone: str = "UTC"
    start_date: date = date(2026, 1, 1)
    data_root: str = "."
    transfer_path: str | None = None
    create_views: bool = True
    on_errors: OnErrors = OnErrors.THROW
    debug: bool = False
    ask_confirm_on_db_changes: bool = False
    sys_schema: str = "sys"
    datamart_schema: str = "dm"
    email: EmailSettings | None = None
    airflow: AirflowSettings = AirflowSettings()
    logs: LogPaths = LogPaths()
    domains: tuple[Domain, ...] = ()
    pipes: tuple[Pipe, ...] = ()
    functions: tuple[DatabaseFunction, ...] = ()
    datamarts: tuple[DatamartModel, ...] = ()
    lock_timeout: timedelta = timedelta(minutes=5)
    work_memory_mb: int = 256
    """PostgreSQL's work_mem for the statements of a load, in megabytes."""
    project_folder: str = field(default="", compare=False)
    python: str | None = field(default=None, compare=False)
    """The program that the project is made by, where it is one: ``package.module:function`` or ``package.module``."""
    place: Place = field(default=NOWHERE, compare=False)

    def pipe(self, name: str) -> Pipe:
        return next(pipe for pipe in self.pipes if pipe.name == name)

    @property
    def secrets(self) -> frozenset[str]:
        """The passwords that stand in the project's own URLs; those of connections by id are not among them."""
        urls = [self.warehouse.text, self.data_root, self.transfer_path or ""]
        for pipe in self.pipes:
            for source in (pipe.source, *pipe.all_sources):
                urls.append(source.connection.text if isinstance(source, DatabaseSource) else source.path)
            files = [table.source for table in pipe.tables]
            urls += [file.path for file in files if isinstance(file, CsvFile | FixedWidthFile)]
        return frozenset().union(*map(secrets_in, urls))

    @property
    def hubs(self) -> dict[str, Hub]:
        return {hub.name: hub for domain in self.domains for hub in domain.hubs}

    def parents_of(self, hub: Hub) -> tuple[Hub, ...]:
        """Return the hubs that it extends, the nearest first; the more there are, the more specific it is."""
        hubs, parents = self.hubs, list[Hub]()
        name = hub.extends
        while name is not None:
            parents.append(hubs[name])
            name = hubs[name].extends
        return tuple(parents)

    @property
    def links(self) -> dict[str, Link]:
        return {link.name: link for domain in self.domains for link in domain.links}

    @property
    def ensemble_views(self) -> tuple[EnsembleView, ...]:
        return tuple(view for domain in self.domains for view in domain.views)

    @property
    def valuesets(self) -> dict[str, Valueset]:
        return {valueset.name: valueset for domain in self.domains for valueset in domain.valuesets}

"""A pipe with one staging table that reads a CSV file, and the deliveries that a test writes for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from databases import Database
from loading import Loader
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.source import FileSource
from pyelt_provider.model.staging import CsvFile, StagingTable, Validation

TABLE = "sor_his.patient_hstage"


class Town:
    """A warehouse and a folder of deliveries; each `deliver` writes the file, `load` runs the pipeline for a day."""

    def __init__(self, warehouse: Database, folder: Path, pipe: Mapping[str, Any] | None = None, **table: Any) -> None:
        self.folder = folder
        settings: dict[str, Any] = {"source": CsvFile(path="patients.csv"), "key": ("nr",), **table}
        staging = StagingTable(schema="sor_his", name="patient_hstage", **settings)
        parts: dict[str, Any] = {"source": FileSource(path=""), "tables": (staging,), **(pipe or {})}
        pipeline = Pipeline(
            name="town",
            warehouse=ConnectionRef(warehouse.url),
            project_folder=str(folder),
            pipes=(Pipe(name="his", sor_schema="sor_his", **parts),),
        )
        self.warehouse = warehouse
        self.loader = Loader(warehouse, pipeline)

    def configure(
        self, pipe: Mapping[str, Any] | None = None, pipeline: Mapping[str, Any] | None = None, **table: Any
    ) -> None:
        """Change the config: of the table, of the pipe, of the pipeline."""
        old = self.loader.pipeline
        staging = replace(old.pipes[0].tables[0], **table)
        self.loader.pipeline = replace(
            old, pipes=(replace(old.pipes[0], **{"tables": (staging,), **(pipe or {})}),), **(pipeline or {})
        )

    def deliver(self, content: str | bytes, name: str = "patients.csv") -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)

    def load(self, content: str | bytes | None = None, day: int = 1, **allowed: bool) -> dict[str, dict[str, int]]:
        """Deliver (unless None), run all stages and return the numbers of etl_sor."""
        if content is not None:
            self.deliver(content)
        return self.loader.run(_day(day), **allowed)["his.sor.etl_sor"].numbers

    def refuses(self, content: str | bytes | None, day: int = 2, **arguments: Any) -> str:
        """Deliver, run, and return the text of the error; shows that staging is exactly what it was before."""
        if content is not None:
            self.deliver(content)
        before = self.everything()
        message = self.loader.fails(_day(day), **arguments)
        assert self.everything() == before
        return message

    def everything(self) -> list[tuple[Any, ...]]:
        """Every column of every row of staging and of its exceptions, and the columns that the table has."""
        there = self.rows("select to_regclass('sor_his.patient_hstage') is not null")[0][0]
        if not there:
            return []
        return [
            *self.rows(f"select t::text from {TABLE} as t order by _id"),
            *self.rows("select t::text from sor_his._exceptions as t order by _id"),
            *self.rows(
                "select runid, stage, state from sys.stages where state = 'done' and stage like '%%etl%%' order by 1, 2"
            ),
        ]

    def rows(self, query: str, params: Any = None) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(query, params)

    def history(self, columns: str = "naam", order: str = "_id") -> list[tuple[Any, ...]]:
        """Key, columns, active, revision, first run, run that closed, run that deleted - of every row."""
        return self.rows(
            f"select nr, {columns}, _active, _revision, _runid::text, _finish_runid::text, _deleted_runid::text "
            f"from {TABLE} order by {order}"
        )

    def active(self, columns: str = "nr, naam") -> list[tuple[Any, ...]]:
        return self.rows(f"select {columns} from {TABLE} where _active order by nr")

    def rejected(self) -> list[tuple[Any, ...]]:
        return self.rows(
            f"select nr, naam, _active, _validation_msg, _runid::text from {TABLE} where not _valid order by _id"
        )

    def exceptions(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select key_fields, fields, message, _runid::text, _last_runid::text from sor_his._exceptions order by _id"
        )


def _day(day: int) -> date:
    return date(2026, 1, day)


def many(count: int, start: int = 1) -> str:
    """A delivery of `count` patients, numbered."""
    return "nr,naam\n" + "".join(f"{number:05d},naam {number}\n" for number in range(start, start + count))


def rule(message: str = "bad", **judged: Any) -> Validation:
    return Validation(table="patient_hstage", message=message, **judged)

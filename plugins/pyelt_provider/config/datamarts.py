"""datamarts/*.sql -> models: their header, the tables that they read, and an order in which each comes after those."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from pyelt_provider.config.physical_names import Names
from pyelt_provider.config.spots import Cursor, Problems, Spot, nearest
from pyelt_provider.config.sql_text import header_lines, qualified_names, without_noise
from pyelt_provider.identifiers import TableName, checked
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.model.place import Place

HEADER_KEYS = {
    "materialized": "table (built anew, the default), view, or incremental (rows are added and replaced by unique_key)",
    "unique_key": "the columns that identify a row of an incremental model, with ',' between them",
    "schema": "the schema of its table, where it is another than datamart_schema",
    "description": "what a row of it is",
    "schedule": "a name of the pipeline's schedules; without it, every DAG that loads a table it reads builds it",
}
"""The keys that may stand in the first comment lines of a datamart's file, and what they do."""


@dataclass(frozen=True, slots=True)
class SqlFile:
    """An SQL file of the project: its name below the project folder, its stem and its text."""

    file: str
    stem: str
    text: str
    place: Place | None = None
    """Where a program says it, when no file of its own holds it."""

    def cursor(self, problems: Problems) -> Cursor:
        """Return the cursor at its first line."""
        at = self.place or Place(self.file, 1)
        return Cursor(at.file, Spot(at.line), "", problems)


def build_datamarts(
    files: list[SqlFile], schema: str, schedules: list[str], names: Names, known_names: bool, problems: Problems
) -> tuple[DatamartModel, ...]:
    """Return the models so that each stands behind those that it reads; report circles and tables that nobody has."""
    cursors = {}
    for file in files:
        cursors[file.stem] = file.cursor(problems)
        own_schema = _header(file).get("schema", schema)
        if own_schema.startswith("pg_") or own_schema == "information_schema":
            cursors[file.stem].wrong(f"the schema {own_schema!r} is PostgreSQL's own", "give it another name")
        names.claim(cursors[file.stem], f"datamart {file.stem}", own_schema, checked, file.stem)
    models = [_model(file, schema, schedules, names, known_names, cursors[file.stem]) for file in files]
    return _in_order(models, cursors)


def _header(file: SqlFile) -> dict[str, str]:
    """Return what the first comment lines say; what is wrong with them is told when the model is made."""
    return {key: value for key, value, _ in header_lines(file.text)}


def _model(
    file: SqlFile, schema: str, schedules: list[str], names: Names, known_names: bool, cursor: Cursor
) -> DatamartModel:
    header: dict[str, str] = {}
    for key, value, line in header_lines(file.text):
        at = Cursor(file.file, Spot(line), key, cursor.problems)
        if key not in HEADER_KEYS:
            if get_close_matches(key.lower(), list(HEADER_KEYS), n=1, cutoff=0.75):
                at.wrong(f"the key {key!r} is not known here", nearest(key, HEADER_KEYS))
            continue
        if key in header:
            at.wrong("the key stands twice", "keep one of them")
        header[key] = value
        if key == "materialized" and value not in list(Materialization):
            at.unknown("materialization", value, list(Materialization))
        if key == "schedule" and value not in schedules:
            at.unknown("schedule", value, schedules)
    schema = header.get("schema", schema)
    written = header.get("materialized", "table")
    materialization = Materialization(written) if written in list(Materialization) else Materialization.TABLE
    unique_key = tuple(part.strip() for part in header.get("unique_key", "").split(",") if part.strip())
    if materialization is Materialization.INCREMENTAL and not unique_key:
        cursor.wrong("an incremental model needs the key of its rows", "add a line -- unique_key: column, column")
    if materialization is not Materialization.INCREMENTAL and unique_key and written in list(Materialization):
        cursor.wrong(
            f"'unique_key' has no effect on a {materialization}", "leave it out, or write materialized: incremental"
        )
    _check_query(file, cursor)
    return DatamartModel(
        schema=schema,
        name=file.stem,
        sql=file.text.strip().rstrip(";").rstrip(),
        file=file.file,
        materialization=materialization,
        unique_key=unique_key,
        reads=_reads(file, schema, names, known_names, cursor),
        schedule=header.get("schedule"),
        description=header.get("description", ""),
        place=cursor.place,
    )


def _check_query(file: SqlFile, cursor: Cursor) -> None:
    query = without_noise(file.text).strip().rstrip("; \n\t")
    if not re.match(r"(?i)\(*\s*(select|with|values|table)\b", query):
        cursor.wrong("the file is not a query", "write one select behind the comment lines")
    elif ";" in re.sub('"[^"]*"', "", query):
        cursor.wrong(
            "the file has more than one statement", "write one select; statements belong into a hook or extra_sql"
        )


def _reads(file: SqlFile, schema: str, names: Names, known_names: bool, cursor: Cursor) -> tuple[TableName, ...]:
    reads = set()
    clean = without_noise(file.text)
    for found_schema, name, line in qualified_names(file.text):
        table = TableName(found_schema, name)
        if table == TableName(schema, file.stem):
            continue
        if table in names:
            reads.add(table)
        elif known_names and found_schema in names.schemas and _is_read(clean, found_schema, name):
            at = Cursor(file.file, Spot(line), "", cursor.problems)
            at.unknown("table", str(table), [str(t) for t in names if t.schema == found_schema])
    return tuple(sorted(reads))


def _is_read(clean: str, schema: str, name: str) -> bool:
    pattern = rf'\b(from|join)\s+(only\s+)?(lateral\s+)?"?{re.escape(schema)}"?\s*\.\s*"?{re.escape(name)}\b'
    return re.search(pattern, clean, re.IGNORECASE) is not None


def _in_order(models: list[DatamartModel], cursors: dict[str, Cursor]) -> tuple[DatamartModel, ...]:
    by_table = {model.table: model for model in models}
    done: dict[str, DatamartModel] = {}
    told: set[str] = set()

    def visit(model: DatamartModel, path: tuple[str, ...]) -> None:
        if model.name in done:
            return
        if model.name in path:
            circle = path[path.index(model.name) :]
            if told.isdisjoint(circle):
                told.update(circle)
                what = f"datamarts read each other in a circle: {' reads '.join([*circle, circle[0]])}"
                cursors[circle[0]].wrong(what, "let one of them read the vault instead")
            return
        for table in model.reads:
            if table in by_table:
                visit(by_table[table], (*path, model.name))
        done[model.name] = model

    for model in models:
        visit(model, ())
    return tuple(done.values())

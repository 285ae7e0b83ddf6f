"""The `sor:` and `validations:` of a pipe's file -> staging tables, their sources and their validations."""

from __future__ import annotations

from dataclasses import replace

from pyelt_provider.config import pipe_file as keys
from pyelt_provider.config.connection_text import check_connection
from pyelt_provider.config.environment_text import with_environment
from pyelt_provider.config.physical_names import STAGING_COLUMNS, column_fits, columns_fit, name_fits
from pyelt_provider.config.pipe_context import PipeContext
from pyelt_provider.config.pipeline_file import PipelineFile
from pyelt_provider.config.shapes import MISSING
from pyelt_provider.config.source_kinds import check_kind
from pyelt_provider.config.spots import Cursor
from pyelt_provider.config.sql_text import check_fragment
from pyelt_provider.config.template_text import check_path, check_template
from pyelt_provider.identifiers import checked, hub_table
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Hub
from pyelt_provider.model.limits import Limits
from pyelt_provider.model.source import DatabaseSource, FileSource
from pyelt_provider.model.staging import (
    CsvFile,
    Delivery,
    FixedColumn,
    FixedWidthFile,
    Source,
    SourceQuery,
    SourceTable,
    StagingTable,
    Validation,
)

_KINDS = ("csv", "fixed_width", "table", "query")


def build_stagings(pipe: PipeContext) -> None:
    """Fill the pipe's staging tables and take their names in the warehouse."""
    for name, written in pipe.content.sor.items():
        cursor = pipe.cursor / "sor" / name
        content = with_environment(written, cursor, pipe.environment)
        name_fits(cursor, "staging table", name.removesuffix("_hstage"))
        for suffix, stem in (("", name), ("_temp", _stem(name)), ("_temp_hash", _stem(name))):
            what = f"pipe {pipe.name}'s {name}" + (" (its temporary table)" if suffix else "")
            if pipe.names.claim(cursor, what, pipe.sor_schema, _with_suffix, stem, suffix) is None:
                break
        source = _source(content, cursor, pipe)
        names = _column_names(content)
        columns_fit(cursor / "columns", len(names))
        for column in names:
            column_fits(cursor / "columns", column, STAGING_COLUMNS, "staging table")
        for index, column in enumerate(content.key):
            at = cursor / "key" / index
            if column in content.key[:index]:
                at.wrong(f"the key has {column!r} twice", "leave one out")
            elif names and column != MISSING and column not in names:
                if "columns" not in cursor.spot.removed and column not in (cursor / "columns").spot.removed:
                    at.unknown("column", column, names)
            elif not names and column != MISSING:
                column_fits(at, column, STAGING_COLUMNS, "staging table")
        _deliveries(content, cursor)
        _columns_to_take(content, cursor)
        check_fragment(content.deleted_when, cursor / "deleted_when")
        check_fragment(content.filter, cursor / "filter")
        pipe.stagings[name] = StagingTable(
            schema=pipe.sor_schema,
            name=name,
            source=source,
            key=tuple(content.key),
            delivery=Delivery(content.delivery),
            columns=names,
            ignored=tuple(content.ignore),
            deleted_when=content.deleted_when,
            changed_since=content.changed_since,
            limits=_limits(content, pipe.limits),
            wait_for=content.wait_for,
            fk_columns=_fk_columns(content, cursor, names, pipe),
            taken_from=_taken_from(content, cursor, source, pipe),
            description=content.description,
            place=cursor.place,
        )


def _taken_from(
    content: keys.SorKeys, cursor: Cursor, source: Source, pipe: PipeContext
) -> FileSource | DatabaseSource | None:
    """Return where the table is read from, None where that is the pipe's own source."""
    if isinstance(source, CsvFile | FixedWidthFile):
        return pipe.files if pipe.database is not None else None
    if content.source_connection is None:
        if content.default_schema is not None and "source_connection" not in cursor.spot.removed:
            what = "'default_schema' has no effect without a source_connection of the table"
            (cursor / "default_schema").wrong(what, "leave it out, or write the table as schema.name")
        return None
    check_connection(content.source_connection, cursor / "source_connection")
    return DatabaseSource(connection=ConnectionRef(content.source_connection), default_schema=content.default_schema)


def _columns_to_take(content: keys.SorKeys, cursor: Cursor) -> None:
    """Report columns that are left out and needed, and names that could not be told apart."""
    for index, column in enumerate(content.ignore):
        if column in (*content.key, content.changed_since, *content.take):
            what = f"the column {column!r} is needed, so it cannot be left out"
            (cursor / "ignore" / index).wrong(what, "take it off the list")
    for index, column in enumerate(content.take):
        if content.columns and column not in content.columns:
            (cursor / "take" / index).unknown("column", column, content.columns)
    for old, new in content.rename.items():
        column_fits(cursor / "rename" / old, new, STAGING_COLUMNS, "staging table")
        if list(content.rename.values()).count(new) > 1:
            (cursor / "rename" / old).wrong(f"two columns would be called {new!r}", "give them different names")


def limits_of(written: keys.SorKeys | keys.PipeFile | PipelineFile | None) -> Limits:
    """Return the limits that a table, a pipe or a pipeline gives itself."""
    if written is None:
        return Limits()
    return Limits(min_rows=written.min_rows, max_deleted=written.max_deleted, max_rejected=written.max_rejected)


def _limits(content: keys.SorKeys, above: Limits) -> Limits:
    """Return the table's limits; a delta delivery is never too short, and deletes only what it says."""
    limits = limits_of(content).or_else(above)
    if content.delivery == "delta":
        return replace(limits, min_rows=None, max_deleted=limits.max_deleted if content.deleted_when else None)
    return limits


def _stem(name: str) -> str:
    return name.removesuffix("_hstage")


def _with_suffix(stem: str, suffix: str) -> str:
    return checked(stem + suffix)


def _column_names(content: keys.SorKeys) -> tuple[str, ...]:
    return tuple(content.take or content.columns)


def _source(content: keys.SorKeys, cursor: Cursor, pipe: PipeContext) -> Source:
    given = [kind for kind in _KINDS if getattr(content, kind) is not None]
    if len(given) != 1 and not cursor.spot.removed & {*_KINDS}:
        what = "it does not say where the rows come from" if not given else f"it has {' and '.join(given)}"
        if given or not cursor.spot.removed:
            cursor.wrong(what, "give exactly one of csv, fixed_width, table and query")
    kind = given[0] if given else "csv"
    if given:
        check_kind(content, kind, cursor, pipe)
        (check_path if kind in ("csv", "fixed_width") else check_template)(getattr(content, kind), cursor / kind)
    columns = content.columns if isinstance(content.columns, list) else []
    if isinstance(content.columns, list):
        for index, name in enumerate(columns):
            if name in columns[:index]:
                (cursor / "columns" / index).wrong(f"the column {name!r} stands twice", "leave one out")
    match kind:
        case "fixed_width":
            places = content.columns if isinstance(content.columns, dict) else {}
            return FixedWidthFile(
                path=content.fixed_width or "",
                columns=tuple(FixedColumn(name=n, start=place[0], width=place[1]) for n, place in places.items()),
                encoding=content.encoding,
                skip_lines=content.skip_lines,
                strip=content.strip,
            )
        case "table":
            schema, _, name = (content.table or "").rpartition(".")
            return SourceTable(name=name, schema=schema or None, columns=tuple(columns), filter=content.filter)
        case "query":
            return SourceQuery(sql=content.query or "")
        case _:
            return CsvFile(
                path=content.csv or "",
                delimiter=content.delimiter,
                quote=content.quote,
                escape=content.escape,
                encoding=content.encoding,
                header=content.header,
                names=tuple(columns),
                null=content.null,
                clean_names=content.clean_names,
                renamed=tuple(content.rename.items()),
            )


def _deliveries(content: keys.SorKeys, cursor: Cursor) -> None:
    if content.delivery == "delta":
        if content.min_rows is not None:
            what = "'min_rows' goes for full deliveries; a delta delivery may always be short"
            (cursor / "min_rows").wrong(what, "leave it out, or write delivery: full")
        if (
            content.max_deleted is not None
            and content.deleted_when is None
            and "deleted_when" not in cursor.spot.removed
        ):
            what = "'max_deleted' has no effect on a delta delivery that deletes nothing"
            (cursor / "max_deleted").wrong(what, "leave it out, or write deleted_when")
        return
    for name in ("deleted_when", "changed_since"):
        if name == "changed_since" and (content.csv or content.fixed_width):
            continue  # that it goes with databases only has been told
        if getattr(content, name) is not None and "delivery" not in cursor.spot.removed:
            what = f"{name!r} has no effect with a full delivery, in which a missing row was deleted"
            (cursor / name).wrong(what, "write delivery: delta, or leave it out")


def _fk_columns(
    content: keys.SorKeys, cursor: Cursor, names: tuple[str, ...], pipe: PipeContext
) -> tuple[tuple[str, str], ...]:
    for column, target in content.fk_columns.items():
        at = cursor / "fk_columns" / column
        pipe.vault.hub_or_link(target, at)
        if column in names:
            at.wrong(f"the source has a column {column!r} too", "give it another name")
        column_fits(at, column, STAGING_COLUMNS, "staging table")
    return tuple(content.fk_columns.items())


def fk_column(hub: Hub) -> str:
    """Return PyELT's name of the staging column with the _id of a mapping's hub: ``fk_{type}{hub table}``."""
    return f"fk_{hub.type if hub.root != hub.name else ''}{hub_table(hub.root)}"


def build_validations(pipe: PipeContext) -> tuple[Validation, ...]:
    """Return the validations of the pipe's file."""
    validations = []
    for index, written in enumerate(pipe.content.validations):
        cursor = pipe.cursor / "validations" / index
        staging = pipe.staging(written.table, cursor / "table")
        if (written.when is None) == (written.unique is None) and not cursor.spot.removed & {"when", "unique"}:
            what = "it has both when and unique" if written.when else "it has neither when nor unique"
            cursor.wrong(what, "give exactly one of them")
        check_fragment(written.when, cursor / "when")
        for position, column in enumerate(written.unique or ()):
            if staging is not None and staging.columns and column not in staging.columns:
                (cursor / "unique" / position).unknown("column", column, staging.columns, staging.name)
        validations.append(
            Validation(
                table=written.table,
                message=written.message,
                when=written.when,
                unique=tuple(written.unique or ()),
                place=cursor.place,
            )
        )
    return tuple(validations)

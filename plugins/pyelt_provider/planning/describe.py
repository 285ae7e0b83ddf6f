"""What a stage does, as text for people: the same for the task's docs in Airflow and for `pyelt plan`."""

from __future__ import annotations

from pyelt_provider.model.connection import masked
from pyelt_provider.model.domain import EnsembleView, Hub, Link
from pyelt_provider.model.mapping import (
    EntityMapping,
    FieldMapping,
    LinkMapping,
    Mapping,
    MappingSource,
    ValuesetMapping,
)
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.source import DatabaseSource, FileSource
from pyelt_provider.model.staging import CsvFile, FixedWidthFile, SourceQuery, SourceTable, StagingTable
from pyelt_provider.planning.plan import Plan
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.shown_text import code, code_block, markdown


def describe_plan(plan: Plan) -> str:
    """Return the docs of a DAG as markdown: what it loads, from which pipes, with the plan's fingerprint."""
    lines = [
        markdown(plan.pipeline.description) or f"Loads the pipeline {plan.pipeline.name}.",
        "",
        "| pipe | source | about |",
        "|---|---|---|",
    ]
    for pipe in plan.pipes:
        note = "" if pipe.active else " (inactive: shown, not run)"
        lines.append(f"| {pipe.name}{note} | {_text(source_text(pipe))} | {_text(pipe.description)} |")
    lines += ["", f"Warehouse: {code(str(plan.pipeline.warehouse))}. Plan `{plan.fingerprint}`."]
    return "\n".join(lines)


def describe(stage: Stage) -> str:
    """Return the docs of a stage as markdown: source, targets, mappings and settings; never a secret."""
    lines = [f"**{stage.title}**" + (f" of pipe `{stage.pipe_name}`." if stage.pipe else ".")]
    if stage.pipe is not None and stage.pipe.description:
        lines += ["", markdown(stage.pipe.description)]
    if stage.pipe is not None and not stage.pipe.active:
        lines += ["", "This pipe is inactive: it is shown, and skipped."]
    lines += ["", *_body(stage)]
    if stage.writes:
        lines += ["", "Writes: " + ", ".join(f"{code(str(target.table))} ({target.kind})" for target in stage.writes)]
    if stage.reads:
        lines += ["", "Reads: " + ", ".join(code(str(table)) for table in stage.reads)]
    lines += [
        "",
        f"Warehouse {code(str(stage.pipeline.warehouse))}, on_errors `{stage.pipeline.on_errors}`. "
        f"Fingerprint `{stage.fingerprint}`.",
    ]
    return "\n".join(lines)


def source_text(pipe: Pipe) -> str:
    """Return where a pipe's deliveries come from, as one line without secrets."""
    return "; ".join(map(_place_text, pipe.all_sources))


def _place_text(source: FileSource | DatabaseSource) -> str:
    if isinstance(source, DatabaseSource):
        schema = f", schema {source.default_schema}" if source.default_schema else ""
        return f"database {source.connection}{schema}"
    return f"files in {masked(source.path)}"


def delivery_text(table: StagingTable) -> str:
    """Return what fills a staging table, as one line."""
    text = _delivery_text(table)
    return text if table.taken_from is None else f"{text}; {_place_text(table.taken_from)}"


def _delivery_text(table: StagingTable) -> str:
    match table.source:
        case CsvFile() as file:
            return f"CSV {masked(file.path)}, delimiter {file.delimiter!r}, {file.encoding}"
        case FixedWidthFile() as file:
            return f"fixed width {masked(file.path)}, {len(file.columns)} columns, {file.encoding}"
        case SourceTable() as source:
            return f"table {source.schema + '.' if source.schema else ''}{source.name}"
        case SourceQuery() as query:
            return f"query {' '.join(query.sql.split())}"


def _body(stage: Stage) -> list[str]:
    pipe, pipeline = stage.pipe, stage.pipeline
    match stage.kind:
        case StageKind.PREPARE:
            return ["Gives out the run id, makes schemas and bookkeeping tables, checks the domain before any DDL."]
        case StageKind.DDL_VALSET:
            return ["Valuesets: " + ", ".join(code(str(v.table)) for v in pipeline.valuesets.values())]
        case StageKind.DDL_DV:
            entities: list[Hub | Link | EnsembleView] = [*pipeline.hubs.values(), *pipeline.links.values()]
            entities += pipeline.ensemble_views
            return [f"- {code(str(entity.table))}: {_text(entity.description or entity.name)}" for entity in entities]
        case StageKind.DDL_DM | StageKind.ETL_DM:
            models = [
                f"- {code(str(model.table))} ({model.materialization}, {_text(model.file)}): {_text(model.description)}"
                for model in stage.datamarts
            ]
            return models if stage.kind is StageKind.DDL_DM else models + _sql_blocks([m.sql for m in stage.datamarts])
        case StageKind.CLOSE:
            return [
                "Records versions, counts and the finish date, mails the log when asked, and fails when a stage failed."
            ]
        case StageKind.DDL_SOR | StageKind.ETL_SOR if pipe:
            return _staging_lines(pipe)
        case StageKind.CHECK_MAPPINGS if pipe:
            mappings: tuple[Mapping, ...] = (*pipe.valuesets, *pipe.entities, *pipe.links)
            names = [mapping.name for mapping in mappings]
            return ["Checks every expression on the real tables, before anything is loaded:"] + [
                f"- {_text(name)}" for name in names
            ]
        case StageKind.ETL_VALSET if pipe:
            return _mapping_lines(pipe.valuesets)
        case StageKind.ETL_HUBS if pipe:
            return _mapping_lines(pipe.entities)
        case StageKind.ETL_LINKS if pipe:
            return _mapping_lines(pipe.links)
        case _:
            return []


def _staging_lines(pipe: Pipe) -> list[str]:
    lines = [f"Source: {_text(source_text(pipe))}", "", "| table | delivery | key | kind |", "|---|---|---|---|"]
    lines += [
        f"| {_code_cell(str(t.table))} | {_text(delivery_text(t))} | {_text(', '.join(t.key))} | {t.delivery} |"
        for t in pipe.tables
    ]
    if pipe.validations:
        lines += ["", "Validations:"]
        for rule in pipe.validations:
            text = code(rule.when) if rule.when else _text(f"unique ({', '.join(rule.unique)})")
            lines.append(f"- {_text(rule.table)}: {text}: {_text(rule.message)}")
    for label, names in (
        ("Before", [hook.target for hook in pipe.before_sor]),
        ("After", [hook.target for hook in pipe.after_sor]),
        ("Functions", [function.name for function in pipe.functions]),
        ("Extra SQL", [extra.name for extra in pipe.extra_sql]),
    ):
        if names:
            lines += ["", f"{label}: " + ", ".join(code(name) for name in names)]
    return lines


def _mapping_lines(
    mappings: tuple[EntityMapping, ...] | tuple[LinkMapping, ...] | tuple[ValuesetMapping, ...],
) -> list[str]:
    lines: list[str] = []
    for mapping in mappings:
        lines += [
            "",
            f"#### {_text(mapping.name)}",
            "",
            markdown(mapping.description),
            "",
            f"From {mapping_source_text(mapping.source)}",
            "",
        ]
        lines += ["| target | expression |", "|---|---|"]
        match mapping:
            case EntityMapping():
                lines.append(f"| {_text(mapping.hub)}.bk | {_code_cell(mapping.bk)} |")
            case LinkMapping():
                lines += [f"| {_text(f'{mapping.link}.{r.role}')} | {_code_cell(r.bk)} |" for r in mapping.references]
            case ValuesetMapping():
                pass
        lines += [f"| {_text(_field(item))} | {_code_cell(item.expression)} |" for item in mapping.fields]
    return lines


def mapping_source_text(source: MappingSource) -> str:
    """Return what a mapping reads, as one line."""
    what = source.staging or (str(source.view) if source.view else f"query {' '.join((source.query or '').split())}")
    join = f" {' '.join(source.join.split())}" if source.join else ""
    return code(what + join) + (f" where {code(source.filter)}" if source.filter else "")


def _field(item: FieldMapping) -> str:
    satellite = f"{item.satellite}." if item.satellite else ""
    return f"{satellite}{item.column}" + (f"[{item.type}]" if item.type else "")


def _text(text: str) -> str:
    """A text of the project in a line, a list or a cell, shown as it was written."""
    return markdown(" ".join(text.split()))


def _code_cell(text: str) -> str:
    # Within a table a | ends the cell, in code too.
    return code(text).replace("|", "\\|")


def _sql_blocks(texts: list[str]) -> list[str]:
    return [line for text in texts for line in ("", *code_block(text, "sql"))]

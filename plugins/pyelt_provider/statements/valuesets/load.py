"""The stage that loads the valuesets of a pipe from its staging tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyelt_provider.model.domain import Hub
from pyelt_provider.model.mapping import EntityMapping, ValuesetMapping
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.tables import valueset_columns, valueset_key
from pyelt_provider.statements.mappings.deltas import (
    Delta,
    forget_removed,
    mapping_delta,
    mapping_fingerprint,
    record_position,
    touched_parameters,
    touched_rows,
)
from pyelt_provider.statements.mappings.mapped_rows import Group, MappedEntity, MappedField, Work, key_fingerprint
from pyelt_provider.statements.mappings.order import each_mapping
from pyelt_provider.statements.mappings.row_isolation import (
    DATA_ERRORS,
    fenced_relation,
    isolate_rows,
    judge_rejected_again,
    keep_rejections,
)
from pyelt_provider.statements.step import Count, Isolated, Number, Program, Routine, Statement, one
from pyelt_provider.statements.valuesets.rows import (
    Codes,
    CodeSource,
    add_new,
    choose_codes,
    close_changed,
    codes_of,
    collect_codes,
    count_codes,
)


def etl_valset(stage: Stage, run: Run) -> Program:
    """Load every valueset that the pipe's mappings fill; mappings on one valueset are one load.

    A valueset whose sources have nothing new costs three small statements per mapping. Else its codes are compared as a whole:
    a new code becomes a row, a changed one a new row in place of the old, and a code that the pipe does not give any
    more stays as it is, because rows of the vault may still carry it. A row without a code is counted as unkeyed, one
    with a value that does not fit its column is rejected. Where rows of one code differ, the first by `prefer` wins,
    else the first by the staging key, and the code is counted.
    """
    by_valueset: dict[str, list[_Mapped]] = {}
    for number, mapping in enumerate(stage.the_pipe.valuesets, 1):
        mapped = _Mapped(mapping=mapping, entity=_as_entity(stage, number, mapping))
        by_valueset.setdefault(mapping.valueset, []).append(mapped)
    done: list[Delta] = []
    units = [
        (", ".join(mapped.entity.name for mapped in group), _load(stage, run, name, group, done))
        for name, group in by_valueset.items()
    ]
    yield from each_mapping(units, stage.pipeline.on_errors)
    if len(done) == len(stage.the_pipe.valuesets) and any(delta.others_went for delta in done):
        yield forget_removed(stage, run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapped:
    """A valueset mapping, and the same as the isolation of rows sees it."""

    mapping: ValuesetMapping
    entity: MappedEntity


def _as_entity(stage: Stage, number: int, mapping: ValuesetMapping) -> MappedEntity:
    """A code is to a valueset what a business key is to a hub; only names and expressions are used of this."""
    valueset = stage.pipeline.valuesets[mapping.valueset]
    types = {column.name: column.type for column in valueset_columns(valueset)}
    expressions = {field.column: field.expression for field in mapping.fields}
    fields = tuple(
        MappedField(
            field=replace(field, satellite=valueset.name), column_type=types[field.column], value=f"_value_{place}"
        )
        for place, field in enumerate(mapping.fields, 1)
        if field.column != "code"
    )
    texts = sorted(f"{name}={expression}::{types[name]}" for name, expression in expressions.items())
    bk = expressions.get("code", "null")
    return MappedEntity(
        number=number,
        mapping=EntityMapping(
            name=mapping.name, source=mapping.source, hub=valueset.name, bk=bk, prefer=mapping.prefer
        ),
        hub=Hub(schema=valueset.schema, name=valueset.name, root=valueset.name),
        staging=stage.the_pipe.table(mapping.source.staging) if mapping.source.staging else None,
        fields=fields,
        pipe=stage.the_pipe,
        fingerprint=mapping_fingerprint(stage, mapping.source, (valueset.name, *texts, mapping.prefer or "")),
        key_fingerprint=key_fingerprint(stage, *(expressions.get(name, "") for name in valueset_key(valueset))),
    )


def _load(stage: Stage, run: Run, name: str, group: list[_Mapped], done: list[Delta]) -> Program:
    deltas: list[Delta] = []
    has_news = False
    for mapped in group:
        entity, source = mapped.entity, mapped.mapping.source
        delta = yield from mapping_delta(stage, run, entity.name, source, entity.fingerprint, entity.key_fingerprint)
        deltas.append(delta)
        has_news = has_news or (yield from _has_news(stage, entity, delta))
    if has_news:
        codes = codes_of(stage.pipeline.valuesets[name], stage.the_pipe, tuple(mapped.mapping for mapped in group))
        yield from _collect(stage, run, codes, group, deltas)
        yield from _compare(stage, run, codes, ", ".join(mapped.entity.name for mapped in group))
    for mapped, delta in zip(group, deltas, strict=True):
        entity = mapped.entity
        yield from record_position(stage, run, entity.name, delta, entity.fingerprint, entity.key_fingerprint)
    done += deltas


def _has_news(stage: Stage, entity: MappedEntity, delta: Delta) -> Routine[bool]:
    """A load of the staging table that touched no row is no reason to compare codes."""
    if delta.full or delta.is_empty or entity.staging is None:
        return not delta.is_empty
    touched = touched_rows(entity.staging, stage.pipeline.sys_schema, delta, stage.pipe_name, entity.name)
    result = yield Statement(
        label="look for changed rows",
        mapping=entity.name,
        fetch=True,
        assumed=((True,),),
        parameters=touched_parameters(entity.staging, delta, stage.pipe_name, entity.name),
        sql=f"select exists (\n    {touched})",
    )
    return result.value is True


def _collect(stage: Stage, run: Run, codes: Codes, group: list[_Mapped], deltas: list[Delta]) -> Program:
    """Collect all rows; those that cannot be evaluated are rejected for their mapping alone, and the rest flows."""
    works = [Work(entity=mapped.entity, delta=Delta(full=True)) for mapped in group]
    excluded = [delta.has_rejected for delta in deltas]
    for work, has_rejected in zip(works, excluded, strict=True):
        if has_rejected:
            yield from judge_rejected_again(stage, work)
    guarded = yield Isolated(
        label="collect codes", program=one(collect_codes(codes, _sources(group, excluded))), only=DATA_ERRORS
    )
    if guarded.error is not None:
        for work, made_room in zip(works, excluded, strict=True):
            alone = Group(number=work.entity.number, works=(work,), keeps_status=False)
            yield from isolate_rows(alone, work, made_room=made_room)
        excluded = [True for _ in group]
        yield collect_codes(codes, _sources(group, excluded))
    for work, is_excluded in zip(works, excluded, strict=True):
        if is_excluded:
            yield from keep_rejections(stage, run, work, touched=False)


def _sources(group: list[_Mapped], excluded: list[bool]) -> tuple[CodeSource, ...]:
    return tuple(
        CodeSource(
            mapping=mapped.mapping, relation=fenced_relation(mapped.entity) if fenced else mapped.entity.relation
        )
        for mapped, fenced in zip(group, excluded, strict=True)
    )


def _compare(stage: Stage, run: Run, codes: Codes, names: str) -> Program:
    counted = yield count_codes(codes)
    unkeyed, differing = (int(str(value)) for value in counted.rows[0])
    for label, count, rows in (
        ("rows without a code", Count.UNKEYED, unkeyed),
        ("codes with differing rows", Count.DIFFERING, differing),
    ):
        if rows:
            yield Number(label=label, table=codes.table, count=count, rows=rows, mapping=names)
    yield choose_codes(codes)
    load = {"runid": run.number, "pipe": stage.pipe_name, "load_time": run.load_time}
    yield replace(close_changed(codes, load), mapping=names)
    yield replace(add_new(codes, load), mapping=names)
    yield Statement(label="drop the collected codes", sql=f"drop table {codes.rows}")

"""The stage that loads the valuesets of a pipe from its staging tables."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.model.mapping import ValuesetMapping
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.deltas import Delta, digest, mapping_delta, mapping_fingerprint, record_position
from pyelt_provider.statements.mapping_order import each_mapping
from pyelt_provider.statements.step import Count, Number, Program, Statement
from pyelt_provider.statements.tables import valueset_columns, valueset_key
from pyelt_provider.statements.valueset_rows import (
    Codes,
    add_new,
    choose_codes,
    close_changed,
    codes_of,
    collect_codes,
    count_codes,
    source_of,
)


def etl_valset(stage: Stage, run: Run) -> Program:
    """Load every valueset that the pipe's mappings fill; mappings on one valueset are one load.

    A valueset whose sources have nothing new costs one statement per mapping. Else its codes are compared as a whole:
    a new code becomes a row, a changed one a new row in place of the old, and a code that the pipe does not give any
    more stays as it is, because rows of the vault may still carry it. A row without a code is counted as unkeyed. Where
    rows of one code differ, the first by `prefer` wins, else the first by the staging key, and the code is counted.
    """
    by_valueset: dict[str, list[ValuesetMapping]] = {}
    for mapping in stage.the_pipe.valuesets:
        by_valueset.setdefault(mapping.valueset, []).append(mapping)
    units = [
        (", ".join(mapping.name for mapping in mappings), _load(stage, run, name, tuple(mappings)))
        for name, mappings in by_valueset.items()
    ]
    yield from each_mapping(units, stage.pipeline.on_errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A mapping with what it has not looked at yet, and its fingerprints."""

    mapping: ValuesetMapping
    delta: Delta
    fingerprint: str
    key_fingerprint: str


def _load(stage: Stage, run: Run, name: str, mappings: tuple[ValuesetMapping, ...]) -> Program:
    works = []
    for mapping in mappings:
        fingerprint, key_fingerprint = _fingerprints(stage, mapping)
        delta = yield from mapping_delta(stage, run, mapping.name, mapping.source, fingerprint, key_fingerprint)
        works.append(_Work(mapping=mapping, delta=delta, fingerprint=fingerprint, key_fingerprint=key_fingerprint))
    if any(not work.delta.is_empty for work in works):
        codes = codes_of(stage.pipeline.valuesets[name], stage.the_pipe, mappings)
        yield collect_codes(codes, tuple(source_of(stage.the_pipe, mapping) for mapping in mappings))
        yield from _compare(stage, run, codes, ", ".join(mapping.name for mapping in mappings))
    for work in works:
        yield from record_position(stage, run, work.mapping.name, work.delta, work.fingerprint, work.key_fingerprint)


def _compare(stage: Stage, run: Run, codes: Codes, names: str) -> Program:
    counted = yield count_codes(codes)
    unkeyed, differing = counted.rows[0]
    yield Number(
        label="rows without a code", table=codes.table, count=Count.UNKEYED, rows=int(str(unkeyed)), mapping=names
    )
    yield Number(
        label="codes with differing rows",
        table=codes.table,
        count=Count.DIFFERING,
        rows=int(str(differing)),
        mapping=names,
    )
    yield choose_codes(codes)
    load = {"runid": run.number, "pipe": stage.pipe_name, "load_time": run.load_time}
    yield close_changed(codes, load)
    yield add_new(codes, load)
    yield Statement(label="drop the collected codes", sql=f"drop table {codes.rows}")


def _fingerprints(stage: Stage, mapping: ValuesetMapping) -> tuple[str, str]:
    valueset = stage.pipeline.valuesets[mapping.valueset]
    types = {column.name: column.type for column in valueset_columns(valueset)}
    texts = [f"{field.column}={field.expression}::{types[field.column]}" for field in mapping.fields]
    key = [text for text in texts if text.partition("=")[0] in valueset_key(valueset)]
    fingerprint = mapping_fingerprint(stage, mapping.source, (*sorted(texts), mapping.prefer or ""))
    return fingerprint, digest(*sorted(key))

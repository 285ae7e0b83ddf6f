"""Checks every SQL expression of a pipe against the tables as they are, before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import assert_never

from pyelt_provider.errors import ConfigError, Problem
from pyelt_provider.identifiers import TableName, opaque, quote, quote_all
from pyelt_provider.model.domain import SatelliteKind
from pyelt_provider.model.mapping import (
    EntityMapping,
    FieldMapping,
    LinkMapping,
    Mapping,
    MappingSource,
    ValuesetMapping,
)
from pyelt_provider.model.pipe import Pipe
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.place import Place
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.catalog import read_catalog
from pyelt_provider.statements.ddl.tables import specs_of, valueset_columns
from pyelt_provider.statements.mappings.sources import conditions_of, relation_of
from pyelt_provider.statements.sql.casts import cast_expression, key_expression
from pyelt_provider.statements.sql.expressions import names_in
from pyelt_provider.statements.step import Isolated, Program, Result, Routine, Statement

_WRONG_SQL = ("42", "22", "0A", "3F")
"""SQLSTATE classes of SQL that cannot work: syntax and names, values of constants, features, schemas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One piece of the user's SQL: `selected` over `relation`, and where it was written."""

    path: str
    text: str
    place: Place
    relation: str
    selected: str = "1"
    behind: str = ""
    table: TableName | None = None

    @property
    def statement(self) -> Statement:
        return Statement(
            label=f"check {self.path}", sql=f"explain select {self.selected}\nfrom {self.relation}\n{self.behind}"
        )


def check_mappings(stage: Stage, run: Run) -> Program:
    """Explain every expression of the pipe's mappings and validations; nothing is read and nothing changes.

    Raises ConfigError with every expression that cannot work, each with its place. Passed over when the pipe's mappings
    are the same as at the last check that found nothing.
    """
    seen = yield Statement(
        label="see whether the mappings changed",
        fetch=True,
        parameters={"stage": stage.id, "pipe": stage.pipe_name, "fingerprint": stage.fingerprint},
        sql=f"""
select 1 from (
    select fingerprint from {quote(stage.pipeline.sys_schema)}.stages
    where pipe = %(pipe)s and stage = %(stage)s and kind = 'check_mappings' and state = 'done'
    order by load_order desc limit 1) last
where last.fingerprint = %(fingerprint)s""",
    )
    if seen.rows:
        return
    problems = yield from mapping_problems(stage.pipeline, stage.the_pipe)
    if problems:
        raise ConfigError(problems)


def mapping_problems(pipeline: Pipeline, pipe: Pipe) -> Routine[tuple[Problem, ...]]:
    """Return what is wrong with the SQL of a pipe's mappings and validations, by the database's own judgement."""
    checks = tuple(_checks(pipeline, pipe))
    together = yield Isolated(label="check the mappings", program=_all(checks), only=_WRONG_SQL)
    if together.error is None:
        return ()
    problems = []
    for check in checks:
        result = yield Isolated(label=f"check {check.path}", program=_all((check,)), only=_WRONG_SQL)
        if result.error is not None and not (yield from _is_not_made_yet(check, result, pipeline)):
            problems.append((yield from _problem(check, result.error)))
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))


def _all(checks: tuple[Check, ...]) -> Program:
    for check in checks:
        yield check.statement


def _checks(pipeline: Pipeline, pipe: Pipe) -> Iterator[Check]:
    mappings: tuple[Mapping, ...] = (*pipe.valuesets, *pipe.entities, *pipe.links)
    for entity in pipe.entities:
        yield _over(pipe, entity, "bk", entity.bk, key_expression(entity.bk))
    for link in pipe.links:
        for reference in link.references:
            path = f"references.{reference.role}"
            yield _over(pipe, link, path, reference.bk, key_expression(reference.bk), reference.place)
    for mapping in mappings:
        if mapping.source.join or mapping.source.query or mapping.source.filter:
            text = mapping.source.filter or mapping.source.join or "query"
            yield _over(pipe, mapping, "source", text, "1", behind=conditions_of(mapping.source))
        if mapping.prefer:
            yield _over(pipe, mapping, "prefer", mapping.prefer, "1", behind=f"order by {opaque(mapping.prefer)}")
        types = _column_types(pipeline, mapping)
        for field in mapping.fields:
            selected = cast_expression(field.expression, types.get((field.satellite, field.column), "text"))
            yield _over(pipe, mapping, f"fields.{_field_name(field)}", field.expression, selected, field.place)
    for staging in pipe.tables:
        relation = f"{staging.table.sql} s"
        if staging.deleted_when:
            yield Check(
                path=f"{staging.name}.deleted_when",
                text=staging.deleted_when,
                place=staging.place,
                relation=relation,
                behind=f"where ({opaque(staging.deleted_when)})",
                table=staging.table,
            )
    for number, rule in enumerate(pipe.validations, 1):
        table = pipe.table(rule.table).table
        yield Check(
            path=f"validations.{number}",
            text=rule.when or ", ".join(rule.unique),
            place=rule.place,
            relation=f"{table.sql} s",
            selected=quote_all(rule.unique) if rule.unique else "1",
            behind=f"where ({opaque(rule.when)})" if rule.when else "",
            table=table,
        )


def _over(
    pipe: Pipe, mapping: Mapping, part: str, text: str, selected: str, place: Place | None = None, behind: str = ""
) -> Check:
    source: MappingSource = mapping.source
    table = pipe.table(source.staging).table if source.staging is not None else source.view
    return Check(
        path=f"{mapping.name}: {part}",
        text=text,
        place=place if place is not None and place.file else mapping.place,
        relation=relation_of(pipe, source),
        selected=selected,
        behind=behind,
        table=table,
    )


def _field_name(field: FieldMapping) -> str:
    of_type = f"[{field.type}]" if field.type else ""
    return f"{field.satellite}.{field.column}{of_type}" if field.satellite else field.column


def _column_types(pipeline: Pipeline, mapping: Mapping) -> dict[tuple[str, str], str]:
    match mapping:
        case ValuesetMapping():
            columns = valueset_columns(pipeline.valuesets[mapping.valueset])
            return {("", column.name): column.type for column in columns}
        case EntityMapping():
            satellites = pipeline.hubs[mapping.hub].satellites
        case LinkMapping():
            satellites = pipeline.links[mapping.link].satellites
        case _:
            assert_never(mapping)
    return {
        (satellite.name, column.name): column.type
        for satellite in satellites
        if satellite.kind is not SatelliteKind.RECORD_STATUS
        for column in satellite.columns
    }


def _is_not_made_yet(check: Check, result: Result, pipeline: Pipeline) -> Routine[bool]:
    """A join may name a table of a pipe whose first load has not begun: then the load itself will tell."""
    error = result.error or ""
    if "42P01" not in error and "3F000" not in error:
        return False
    known = {table.table for pipe in pipeline.pipes for table in pipe.tables}
    known |= {spec.table for spec in specs_of(pipeline)} | {model.table for model in pipeline.datamarts}
    known |= {hub.view for hub in pipeline.hubs.values()} | {link.view for link in pipeline.links.values()}
    names = names_in(check.relation.replace("%%", "%")) | names_in(check.selected) | names_in(check.behind)
    named = {table for table in known if table.name in names}
    catalog = yield from read_catalog(named)
    return any(table not in catalog.tables for table in named)


def _problem(check: Check, error: str) -> Routine[Problem]:
    nearest = ""
    missing = re.search(r'column "?(?:s\.)?([^"\s]+)"? does not exist', error)
    if missing and check.table is not None:
        catalog = yield from read_catalog([check.table])
        found = catalog.tables.get(check.table)
        columns = [name for name in found.columns if not name.startswith("_")] if found else []
        close = get_close_matches(missing[1], columns, n=1)
        if close:
            nearest = f"did you mean {close[0]!r}?"
        elif columns:
            nearest = f"{check.table} has the columns {', '.join(columns[:20])}"
    reason = re.sub(r"^.*?(?=\b[0-9A-Z]{5} )", "", error, count=1)
    return Problem(
        check.place.file,
        check.place.line,
        check.path,
        f"{' '.join(check.text.split())!r} does not work: {reason}",
        nearest,
    )

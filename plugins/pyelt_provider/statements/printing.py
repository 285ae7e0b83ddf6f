"""Prints what a stage would run: walks through the same program that the executor does, with assumed results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from pyelt_provider.model.staging import CsvFile, FixedWidthFile
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.shown_text import visible
from pyelt_provider.statements.programs import statements_for
from pyelt_provider.statements.step import (
    CallHook,
    CopyDelivery,
    Failure,
    IdentifyFile,
    Isolated,
    Number,
    Program,
    ReadColumns,
    Result,
    Statement,
    Step,
)


def printed_stage(stage: Stage, run: Run) -> str:
    """Return every statement of a stage as text, each under its label; parameters stand as psycopg2's %(name)s places.

    Where a program asks the database, its usual answer is assumed: tables are there, rows changed, nothing failed.
    """
    return "\n\n".join(_blocks(statements_for(stage, run))) + "\n"


def _blocks(program: Program) -> Iterator[str]:
    try:
        step = next(program)
        while True:
            yield from _block(step)
            step = program.send(_assumed(step))
    except StopIteration:
        return


def _block(step: Step) -> Iterator[str]:
    match step:
        case Statement():
            heading = f"-- {step.label}" + (f": {step.table}" if step.table else "")
            mapping = f"  [{step.mapping}]" if step.mapping else ""
            yield f"{visible(heading + mapping)}\n{_dedented(step.sql)};"
        case CopyDelivery():
            columns = ", ".join(step.columns)
            if step.hashes is not None:
                names = ", ".join((*step.hashes.key, "_hash"))
                yield _remark(
                    f"read keys and hashes: {step.staging.table}", f"copy {step.hashes.into} ({names}) from stdin"
                )
                for statement in (step.hashes.compare, step.hashes.count, step.hashes.keys):
                    yield from _block(statement)
            how = f"the worker streams the delivery: copy {step.into} ({columns}) from stdin"
            yield _remark(f"{step.label}: {step.staging.table}", how)
        case IdentifyFile():
            how = "the worker compares size and SHA-256; if so, rows are not compared"
            yield _remark(f"{step.label}: {step.staging.table}", how)
        case ReadColumns():
            yield _remark(f"{step.label}: {step.staging.table}", "the worker reads which columns the delivery has")
        case CallHook():
            yield _remark(step.label, f"the worker calls {step.hook.target}")
        case Isolated():
            yield f"{_remark(step.label)}\nsavepoint mapping;"
            yield from _blocks(step.program)
            yield "release savepoint mapping;"
        case Number() | Failure():
            return
        case _:
            assert_never(step)


def _remark(*lines: str) -> str:
    """Return SQL comments; a line end in a name must not end the comment."""
    return "\n".join(f"-- {visible(line)}" for line in lines)


def _assumed(step: Step) -> Result:
    match step:
        case Statement():
            return Result(row_count=1, rows=step.assumed)
        case ReadColumns():
            return Result(row_count=len(step.assumed), rows=step.assumed)
        case CopyDelivery():
            source = step.staging.source
            rows = ((source.path, 0, None),) if isinstance(source, CsvFile | FixedWidthFile) else ()
            return Result(row_count=1, rows=rows)
        case IdentifyFile():
            return Result(rows=((False,),))
        case CallHook() | Number() | Isolated() | Failure():
            return Result(row_count=1)
        case _:
            assert_never(step)


def _dedented(sql: str) -> str:
    lines = sql.strip("\n").rstrip().split("\n")
    rest = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    first = len(lines[0]) - len(lines[0].lstrip())
    margin = min([*rest, first]) if first else min(rest, default=0)
    head = lines[0][first:] if not first else lines[0][margin:]
    return "\n".join([head, *(line[margin:].rstrip() for line in lines[1:])]).rstrip(";")

"""Runs the mappings of a stage one after the other, as `on_errors` says."""

from __future__ import annotations

from collections.abc import Iterable

from pyelt_provider.model.pipeline import OnErrors
from pyelt_provider.statements.step import Failure, Isolated, Program


def each_mapping(units: Iterable[tuple[str, Program]], on_errors: OnErrors) -> Program:
    """Run every (mapping name, program) in turn.

    With ``throw`` the first database error ends the stage. With ``log`` every unit is a savepoint: one that fails is
    rolled back alone and reported, the others go on, and the stage ends failed with all their names.
    """
    for mapping, program in units:
        if on_errors is OnErrors.THROW:
            yield from program
            continue
        result = yield Isolated(label=f"load {mapping}", program=program, mapping=mapping)
        if result.error is not None:
            yield Failure(mapping=mapping, error=result.error)

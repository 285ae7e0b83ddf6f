"""Judges row by row where a validation cannot be evaluated for some row, so that one bad value stops no other row."""

from __future__ import annotations

from pyelt_provider.identifiers import opaque
from pyelt_provider.model.staging import StagingTable, Validation
from pyelt_provider.statements.mappings.row_isolation import dollar_quoted
from pyelt_provider.statements.step import Program, Statement


def careful_condition(number: int) -> str:
    """Return the condition of the rule with that number over a row ``s``, which never fails: a row that it cannot be
    evaluated for counts as one that it rejects."""
    return f"{_function(number)}(s._id)"


def prepare_careful_judging(staging: StagingTable, rules: tuple[Validation, ...]) -> Program:
    """Make a function of the session per condition, which catches what goes wrong with the data of one row."""
    for number, rule in enumerate(rules):
        if rule.when is None:
            continue
        body = f"""
#variable_conflict use_column
begin
    return (select ({opaque(rule.when)}) from {staging.table.sql} as s where s._id = pyelt_row);
exception when data_exception then
    return true;
end
"""
        yield Statement(
            label="prepare to judge row by row",
            table=staging.table,
            sql=f"""
create or replace function {_function(number)}(pyelt_row bigint) returns boolean language plpgsql as {dollar_quoted(body)}""",
        )


def _function(number: int) -> str:
    return f"pg_temp.pyelt_rejects_{number}"

"""Fills the fk columns of staging tables that the project names: the `_id` of the hub key or link that each row gave."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.identifiers import quote
from pyelt_provider.model.staging import StagingTable
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows
from pyelt_provider.statements.step import Program, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenIds:
    """Which `_id` each collected row gave, as SQL: the rows as ``r``, what is joined to them, a condition, and the id.

    `row` is the row's own `_id` in staging. `others` and `same` say where several ids may be meant (an old warehouse has
    links that are there twice): the column stays when it names a row ``d`` of `others` for which `same` holds.
    """

    rows: str
    row: str
    joined: str
    id: str
    where: str = ""
    others: str = ""
    same: str = ""

    def differs(self, column: str) -> str:
        """Return the condition that the staging row ``t`` has another id in the column than it gave."""
        differs = f"t.{quote(column)} is distinct from {self.id}"
        if not self.others:
            return differs
        kept = f"select from {self.others} as d where d._id = t.{quote(column)} and {self.same}"
        return f"{differs}\n    and (t.{quote(column)} is null or not exists ({kept}))"


def fill_fk_columns(
    stage: Stage, run: Run, mapping: str, staging: StagingTable | None, target: str, given: GivenIds
) -> Program:
    """Fill the columns that name the hub or link `target`, in the rows that were collected; earlier rows are journalled.

    Where several mappings of one table give the same target, the last one counts.
    """
    if staging is None:
        return
    for column in stage.the_pipe.fk_columns_of(staging.name, target):
        yield _note(stage, run, mapping, staging, column, given)
        yield _fill(mapping, staging, column, given)


def _note(stage: Stage, run: Run, mapping: str, staging: StagingTable, column: str, given: GivenIds) -> Statement:
    return Statement(
        label=f"note what {column} was",
        mapping=mapping,
        parameters={**journal_parameters(stage, run, staging.table), "column": column},
        sql=journal_rows(
            stage,
            f"""t._id,
    jsonb_build_object(%(column)s::text, t.{quote(column)})
from {staging.table.sql} as t
join {given.rows} as r on {given.row} = t._id{given.where}
join {given.joined}
where t._runid <> %(runid)s and {given.differs(column)}
""",
        ),
    )


def _fill(mapping: str, staging: StagingTable, column: str, given: GivenIds) -> Statement:
    return Statement(
        label=f"fill {column}",
        mapping=mapping,
        table=staging.table,
        sql=f"""
update {staging.table.sql} as t set {quote(column)} = {given.id}
from {given.rows} as r
join {given.joined}
where t._id = {given.row}{given.where} and {given.differs(column)}
""",
    )

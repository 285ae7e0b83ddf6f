"""Brings the datamarts back with the vault when whole runs are taken back."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pyelt_provider.identifiers import quote
from pyelt_provider.model.datamart import DatamartModel, Materialization
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.datamarts.incremental import take_back_build
from pyelt_provider.statements.datamarts.load import fill_anew
from pyelt_provider.statements.datamarts.shape import shape_of
from pyelt_provider.statements.sql.loads import let_loads_go
from pyelt_provider.statements.step import Isolated, Program, Routine, Statement


def take_back_models(stage: Stage, runs: Sequence[Decimal]) -> Program:
    """Take back what these runs built of the stage's models, after their loads were taken back.

    An incremental model loses the builds since the first of these runs that built it, so the next run builds it from
    where it was. A table is filled from the vault as it is now; where its query fails, it stays for the next run.
    """
    for model in stage.datamarts:
        if model.materialization is Materialization.VIEW:
            continue
        builds = yield from _builds(model, stage, runs)
        if not builds:
            continue
        if model.materialization is Materialization.INCREMENTAL:
            for number in builds:
                yield from take_back_build(model, stage, number)
        else:
            filled = yield Isolated(label=f"fill {model.table}", program=_fill(model), mapping=str(model.table))
            if filled.error is not None:
                continue
        yield from _forget(model, stage, builds)
    sys, known = stage.pipeline.sys_schema, {"stage": stage.id, "runs": list(runs)}
    of_them = "stages.stage = %(stage)s and stages.runid = any(%(runs)s)"
    yield Statement(label="let these builds be gone", parameters=known, sql=let_loads_go(sys, of_them))
    yield Statement(
        label="mark the datamarts as to do",
        parameters=known,
        sql=f"update {quote(sys)}.stages set state = 'to do' where {of_them}",
    )


def _builds(model: DatamartModel, stage: Stage, runs: Sequence[Decimal]) -> Routine[tuple[Decimal, ...]]:
    """Return the runs whose builds of the model are to be taken back, the newest first."""
    s = quote(stage.pipeline.sys_schema)
    known: dict[str, object] = {"stage": stage.id, "runs": list(runs), "mapping": str(model.table)}
    if model.materialization is not Materialization.INCREMENTAL:
        found = yield Statement(
            label="see which runs built the model",
            fetch=True,
            parameters=known,
            sql=f"""
select distinct runid from {s}.positions
where pipe = '' and mapping = %(mapping)s and stage = %(stage)s and runid = any(%(runs)s)""",
        )
    else:
        found = yield Statement(
            label="see which runs built the model",
            fetch=True,
            parameters={**known, "schema": model.table.schema, "table": model.table.name},
            sql=f"""
with noted as (
    select id, runid from {s}.journal
    where (schemaname, tablename) = (%(schema)s, %(table)s) and before ? '@built')
select runid from noted
where id >= (select min(id) from noted where runid = any(%(runs)s))
order by id desc""",
        )
    return tuple(Decimal(str(number)) for (number,) in found.rows)


def _fill(model: DatamartModel) -> Program:
    columns = yield from shape_of(model)
    yield from fill_anew(model, tuple(name for name, _ in columns))


def _forget(model: DatamartModel, stage: Stage, builds: Sequence[Decimal]) -> Program:
    """Forget what these builds have seen, so that the next run looks at what is left of it."""
    for label, table in (
        ("take back positions", "positions"),
        ("take back what was passed over", "horizons"),
        ("take back the model's state", "mapping_states"),
    ):
        yield Statement(
            label=label,
            parameters={"mapping": str(model.table), "stage": stage.id, "runs": list(builds)},
            sql=f"""
delete from {quote(stage.pipeline.sys_schema)}.{table}
where pipe = '' and mapping = %(mapping)s and stage = %(stage)s and runid = any(%(runs)s)""",
        )

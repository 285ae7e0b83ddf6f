"""PyELT's `sys.currentversion`: which version of its tables a schema has, and since when."""

from __future__ import annotations

from collections.abc import Iterable

from pyelt_provider.identifiers import quote
from pyelt_provider.planning.fingerprint import fingerprint
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.tables import TableSpec
from pyelt_provider.statements.step import Program, Statement


def record_versions(specs: Iterable[TableSpec], stage: Stage, run: Run) -> Program:
    """Write the version of each schema that the specs lie in; writes nothing where it stayed the same.

    A version is a digest of the tables as the pipeline describes them.
    """
    by_schema: dict[str, list[TableSpec]] = {}
    for spec in specs:
        by_schema.setdefault(spec.table.schema, []).append(spec)
    if not by_schema:
        return
    yield Statement(
        label="record the version of the schemas",
        parameters={
            "schemas": list(by_schema),
            "versions": [fingerprint(*specs) for specs in by_schema.values()],
            "date": run.load_time,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.currentversion as known (schemaname, version, date)
select new.schemaname, new.version, %(date)s
from unnest(%(schemas)s::text[], %(versions)s::text[]) as new (schemaname, version)
where not exists (
    select from {quote(stage.pipeline.sys_schema)}.currentversion same
    where same.schemaname = new.schemaname and same.version = new.version)
order by new.schemaname
on conflict (schemaname) do update set version = excluded.version, date = excluded.date""",
    )

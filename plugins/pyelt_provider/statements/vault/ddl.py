"""The stages that make the valueset and vault tables and the views on them."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.mapping import Mapping
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.schema_versions import record_versions
from pyelt_provider.statements.ddl.table_ddl import ensure_tables
from pyelt_provider.statements.ddl.tables import valset_specs, vault_specs
from pyelt_provider.statements.ddl.view_ddl import ensure_views
from pyelt_provider.statements.step import Program
from pyelt_provider.statements.vault.views import vault_views


def ddl_valset(stage: Stage, run: Run) -> Program:
    """Create and extend the valueset tables."""
    specs = valset_specs(stage.pipeline)
    yield from ensure_tables(specs, stage, run)
    yield from record_versions(specs, stage, run)


def ddl_dv(stage: Stage, run: Run) -> Program:
    """Create and extend hubs, satellites and links, then the views on them.

    With `create_views: false` only the views that mappings or datamarts read are made.
    """
    pipeline = stage.pipeline
    specs = vault_specs(pipeline)
    yield from ensure_tables(specs, stage, run)
    needed = _views_that_are_read(pipeline)
    views = [view for view in vault_views(pipeline) if pipeline.create_views or view.table in needed]
    yield from ensure_views(views, stage, run)
    yield from record_versions(specs, stage, run)


def _views_that_are_read(pipeline: Pipeline) -> set[TableName]:
    mappings: list[Mapping] = []
    for pipe in pipeline.pipes:
        mappings += [*pipe.entities, *pipe.links, *pipe.valuesets]
    read = {table for mapping in mappings for table in mapping.source.reads}
    read |= {mapping.source.view for mapping in mappings if mapping.source.view is not None}
    return read | {table for model in pipeline.datamarts for table in model.reads}

"""From a stage to its program: the one list of statements that is run, and that `pyelt sql` prints."""

from __future__ import annotations

from typing import assert_never

from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.datamarts.ddl import ddl_dm
from pyelt_provider.statements.datamarts.load import etl_dm
from pyelt_provider.statements.hubs.load import etl_hubs
from pyelt_provider.statements.links.load import etl_links
from pyelt_provider.statements.mappings.checks import check_mappings
from pyelt_provider.statements.runs.closing import close
from pyelt_provider.statements.runs.preparing import prepare
from pyelt_provider.statements.staging.ddl import ddl_sor
from pyelt_provider.statements.staging.load import etl_sor
from pyelt_provider.statements.step import Program
from pyelt_provider.statements.valuesets.load import etl_valset
from pyelt_provider.statements.vault.ddl import ddl_dv, ddl_valset
from pyelt_provider.statements.vault.validations import free_forgotten


def statements_for(stage: Stage, run: Run) -> Program:
    """Return the program of a stage. Pure: nothing happens until something walks through it."""
    match stage.kind:
        case StageKind.PREPARE:
            return prepare(stage, run)
        case StageKind.DDL_VALSET:
            return ddl_valset(stage, run)
        case StageKind.DDL_DV:
            return ddl_dv(stage, run)
        case StageKind.DDL_SOR:
            return ddl_sor(stage, run)
        case StageKind.CHECK_MAPPINGS:
            return check_mappings(stage, run)
        case StageKind.ETL_SOR:
            return etl_sor(stage, run)
        case StageKind.ETL_VALSET:
            return etl_valset(stage, run)
        case StageKind.ETL_HUBS:
            return _hubs(stage, run)
        case StageKind.ETL_LINKS:
            return etl_links(stage, run)
        case StageKind.DDL_DM:
            return ddl_dm(stage, run)
        case StageKind.ETL_DM:
            return etl_dm(stage, run)
        case StageKind.CLOSE:
            return close(stage, run)
        case _:
            assert_never(stage.kind)


def _hubs(stage: Stage, run: Run) -> Program:
    yield from etl_hubs(stage, run)
    if not stage.the_pipe.links and not any(domain.validations for domain in stage.pipeline.domains):
        # Validations belong to the stage of the links, which this pipe does not have (any more).
        yield from free_forgotten(stage, run)

"""From a stage to its program: the one list of statements that is run, and that `pyelt sql` prints."""

from __future__ import annotations

from typing import assert_never

from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, StageKind
from pyelt_provider.statements.step import Program


def statements_for(stage: Stage, run: Run) -> Program:
    """Return the program of a stage. Pure: nothing happens until something walks through it."""
    match stage.kind:
        case StageKind.PREPARE:
            from pyelt_provider.statements.preparing import prepare

            return prepare(stage, run)
        case StageKind.DDL_VALSET:
            from pyelt_provider.statements.vault_ddl import ddl_valset

            return ddl_valset(stage, run)
        case StageKind.DDL_DV:
            from pyelt_provider.statements.vault_ddl import ddl_dv

            return ddl_dv(stage, run)
        case StageKind.DDL_SOR:
            from pyelt_provider.statements.staging_ddl import ddl_sor

            return ddl_sor(stage, run)
        case StageKind.CHECK_MAPPINGS:
            from pyelt_provider.statements.mapping_checks import check_mappings

            return check_mappings(stage, run)
        case StageKind.ETL_SOR:
            from pyelt_provider.statements.staging_load import etl_sor

            return etl_sor(stage, run)
        case StageKind.ETL_VALSET:
            from pyelt_provider.statements.valueset_load import etl_valset

            return etl_valset(stage, run)
        case StageKind.ETL_HUBS:
            from pyelt_provider.statements.hub_load import etl_hubs

            return etl_hubs(stage, run)
        case StageKind.ETL_LINKS:
            from pyelt_provider.statements.link_load import etl_links

            return etl_links(stage, run)
        case StageKind.DDL_DM:
            from pyelt_provider.statements.datamart_ddl import ddl_dm

            return ddl_dm(stage, run)
        case StageKind.ETL_DM:
            from pyelt_provider.statements.datamart_load import etl_dm

            return etl_dm(stage, run)
        case StageKind.CLOSE:
            from pyelt_provider.statements.closing import close

            return close(stage, run)
        case _:
            assert_never(stage.kind)

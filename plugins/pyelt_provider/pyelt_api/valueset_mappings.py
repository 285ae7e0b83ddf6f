"""``pyelt.mappings``: from staging to lists of codes."""

from __future__ import annotations

from typing import Any

from pyelt_provider.pyelt_api.columns import literal
from pyelt_provider.pyelt_api.mappings import BaseTableMapping, ConstantValue, staging_source
from pyelt_provider.pyelt_api.tables import SorQuery


class SorToValueSetMapping(BaseTableMapping):
    """Rows of staging become codes of a valueset.

    As in PyELT's older projects the target may be the name of a list (its `valueset_naam`) instead of a class, and the
    source a dict of codes and their descriptions.
    """

    def __init__(self, source: Any, target: Any, sor: Any = None) -> None:
        super().__init__(_codes_query(source) if isinstance(source, dict) else staging_source(source, sor), target)
        self.sor_table = self.source
        self.valueset: Any = None if isinstance(target, str) else target
        self.ref_type: str = target if isinstance(target, str) else ""
        """The list that is filled, where no class says which."""
        self.prefer: str | None = None
        self.description = ""
        if self.ref_type:
            self.map_field(ConstantValue(literal(self.ref_type), "sql"), "valueset_naam")
        if isinstance(source, dict):
            self.map_code_field("code")
            self.map_descr_field("omschrijving")

    def map_code_field(self, source_code_field: Any) -> None:
        """Say which field has the codes."""
        self._map(source_code_field, "code")

    def map_descr_field(self, source_descr_field: Any) -> None:
        """Say which field has their descriptions."""
        self._map(source_descr_field, "omschrijving")

    def map_type_field(self, source_type_field: Any, source_oid_field: Any = "") -> None:
        """Say which field has the names of the lists; PyELT's second field is none of a valueset."""
        self._map(source_type_field, "valueset_naam")

    def map_level_field(self, source_level_field: Any) -> None:
        """Say which field has the levels, for a valueset with a column `niveau`."""
        self._map(source_level_field, "niveau")

    def map_leveltype_field(self, source_leveltype_field: Any) -> None:
        """Say which field has the kinds of levels, for a valueset with a column `niveau_type`."""
        self._map(source_leveltype_field, "niveau_type")

    def _map(self, source: Any, target: str) -> None:
        if isinstance(source, str):
            source = source.replace(f"{self.sor_table}.", "")
        self.field_mappings = [field for field in self.field_mappings if field.target.name != target]
        self.map_field(source, target)


class SorToRefMapping(SorToValueSetMapping):
    """What PyELT's older projects call the mapping onto a list of codes."""

    def __init__(self, source: Any, ref_type: str = "", sor: Any = None) -> None:
        super().__init__(source, ref_type, sor)


def _codes_query(codes: dict[Any, Any]) -> SorQuery:
    """Return the query that gives the codes of a dict."""
    pairs = ", ".join(f"({literal(str(code))}, {literal(str(text))})" for code, text in codes.items())
    empty = "select null::text as code, null::text as omschrijving where false"
    return SorQuery(
        f"select code, omschrijving from (values {pairs}) as codes (code, omschrijving)" if codes else empty
    )

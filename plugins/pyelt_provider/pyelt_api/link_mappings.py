"""``pyelt.mappings.sor_to_dv_mappings``: mappings onto links, from staging and from views of the vault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyelt_provider.model.place import Place
from pyelt_provider.pyelt_api.mappings import (
    BaseTableMapping,
    SorSatMapping,
    is_given,
    sql_of,
    staging_source,
    take_field,
)
from pyelt_provider.pyelt_api.session import misused
from pyelt_provider.pyelt_api.tables import SorTable
from pyelt_provider.pyelt_api.transformations import FieldTransformation
from pyelt_provider.pyelt_api.vault import DynamicLinkReference, LinkReference
from pyelt_provider.pyelt_api.written import here


@dataclass(slots=True)
class LinkFieldMapping:
    """How one reference of a link is found: by a business key, or by the mapping that fills an fk column of staging.

    `join` is a condition ``table.column = hstg.column`` on another staging table whose row has the key.
    """

    reference: Any
    bk: str
    fk: str
    join: str
    type: Any
    place: Place


class SorToLinkMapping(BaseTableMapping):
    """Rows of staging become rows of a link and of its satellites.

    `missing_reference`, `prefer` and `description` may be set afterwards; they are the keys of a YAML project.
    """

    auto_generated_sor_fk = "auto"

    def __init__(
        self,
        source: Any,
        target: Any,
        sor: Any = None,
        filter: str = "",  # noqa: A002 - PyELT's name
        type: Any = "",  # noqa: A002 - PyELT's name
    ) -> None:
        super().__init__(staging_source(source, sor), target, filter)
        self.sor_table_name = str(self.source)
        self.type: str = type if isinstance(type, str) else type.__name__.lower()
        self.hubs: dict[str, Any] = {}
        self.sat_mappings: dict[str, SorSatMapping] = {}
        self.missing_reference: str | None = None
        self.prefer: str | None = None
        self.description = ""

    def map_bk(self, source_bk: Any, target_link_ref: Any, join: str = "", type: Any = "") -> None:  # noqa: A002
        """Find a reference by SQL that gives the business key of its entity."""
        self._take(target_link_ref, sql_of(source_bk), "", join, type)

    def map_sor_fk(self, source_fk: str = "", target_link_ref: Any = None, join: str = "", type: Any = "") -> None:  # noqa: A002
        """Find a reference by the fk column of staging that a mapping of the same table onto the entity fills."""
        fk = "" if source_fk == self.auto_generated_sor_fk else source_fk
        self._take(target_link_ref, "", fk, join, type)

    def map_entity(self, target_link_ref: Any = None, bk: Any = "", join: str = "", type: Any = "") -> None:  # noqa: A002
        """Find a reference by a business key, or without one by the mapping of the same table onto its entity."""
        self._take(target_link_ref, sql_of(bk) if is_given(bk) else "", "", join, type)

    def map_field(
        self,
        source: Any,
        target: Any = None,
        transform_func: FieldTransformation | None = None,
        ref: str = "",
        type: Any = "",  # noqa: A002 - PyELT's name
    ) -> None:
        """Map a source onto a column of a satellite of the link."""
        if is_given(source) and is_given(target):
            take_field(self, source, target, transform_func, ref, type)

    def _take(self, reference: Any, bk: str, fk: str, join: str, of_type: Any) -> None:
        match reference:
            case LinkReference():
                self.hubs[reference.fk] = reference.hub
            case DynamicLinkReference():
                if not of_type or isinstance(of_type, str):
                    misused(
                        "a dynamic reference does not say which entity is meant",
                        "give type= the entity, such as type=Link.Types.practitioner",
                    )
                    return
                self.type = of_type.__name__.lower()
            case _:
                misused(
                    "this is not a reference of a link",
                    "name an attribute of the link that is a LinkReference, such as PatientTrajectLink.Link.patient",
                )
                return
        self.field_mappings.append(LinkFieldMapping(reference, bk, fk, join, of_type, here()))


class EntityViewToLinkMapping(SorToLinkMapping):
    """Rows of an entity's view become rows of a link."""

    def __init__(self, source: Any, target: Any, filter: str = "") -> None:  # noqa: A002 - PyELT's name
        super().__init__(SorTable(source) if isinstance(source, str) else source, target, filter=filter)
        self.view = source

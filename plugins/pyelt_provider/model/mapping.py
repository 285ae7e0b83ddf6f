"""How staging becomes vault: mappings onto hubs with satellites, links and valuesets. Expressions are the user's SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pyelt_provider.identifiers import TableName
from pyelt_provider.model.place import NOWHERE, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSource:
    """Where a mapping reads: a staging table (with optional joins), or a view of the vault, or a query.

    Exactly one of `staging` (the name of a staging table of the pipe), `view` and `query` is given. The row has the
    alias ``s``; expressions may use bare column names. `join` is the user's join text behind it. `reads` names further
    tables whose changes matter; with a join, view or query and without `reads` every load is a full comparison.
    """

    staging: str | None = None
    view: TableName | None = None
    query: str | None = None
    join: str | None = None
    filter: str | None = None
    reads: tuple[TableName, ...] = ()

    @property
    def is_incremental(self) -> bool:
        """True when the changed rows of one staging table say all that can have changed."""
        return self.staging is not None and self.join is None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    """One satellite column (or, in valuesets, one valueset column) and the expression that fills it.

    `satellite` is empty for valueset columns; `type` is the hybrid type. The cast to the column's type is added by us.
    """

    satellite: str
    column: str
    expression: str
    type: str | None = None
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMapping:
    """Rows of a source become keys of `hub` (business key expression `bk`) and rows of its satellites.

    `name` identifies the mapping in its pipe, for positions and messages: ``patient_hstage -> Patient``. `prefer` is an
    SQL order (``updated_at desc``) that picks the winner among several source rows of one key.
    """

    name: str
    source: MappingSource
    hub: str
    bk: str
    fields: tuple[FieldMapping, ...] = ()
    prefer: str | None = None
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)


class MissingReference(StrEnum):
    """What happens to a link row whose reference is not in its hub yet."""

    WAIT = "wait"
    CREATE_HUB = "create_hub"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMapping:
    """The business key expression for one role of a link (references by fk or join were resolved to one)."""

    role: str
    bk: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMapping:
    """Rows of a source become rows of `link` (of one `type` when it is hybrid) and of its satellites."""

    name: str
    source: MappingSource
    link: str
    references: tuple[ReferenceMapping, ...]
    type: str | None = None
    fields: tuple[FieldMapping, ...] = ()
    missing_reference: MissingReference = MissingReference.WAIT
    prefer: str | None = None
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesetMapping:
    """Rows of a source become codes of `valueset`; fields have `valueset_naam`, `code`, `omschrijving` and more."""

    name: str
    source: MappingSource
    valueset: str
    fields: tuple[FieldMapping, ...]
    prefer: str | None = None
    description: str = ""
    place: Place = field(default=NOWHERE, compare=False)


Mapping = EntityMapping | LinkMapping | ValuesetMapping

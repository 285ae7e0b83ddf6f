"""What the columns of a delivery are called in staging, and whether the delivery has all that it should have."""

from __future__ import annotations

from dataclasses import dataclass

from pyelt_provider.errors import DeliveryRefused, IdentifierError
from pyelt_provider.identifiers import checked
from pyelt_provider.model.staging import CsvFile, FixedWidthFile, StagingTable
from pyelt_provider.statements.ddl.catalog import FoundTable, read_catalog
from pyelt_provider.statements.ddl.tables import hstage_spec, temp_spec
from pyelt_provider.statements.step import ReadColumns, Routine

_SYSTEM = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_OURS = frozenset({"_old_id", "_old_revision", "_place", "_message", "_last_runid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingColumns:
    """The columns of one delivery: `delivered` as the delivery orders them, `taken` are those that staging keeps.

    `known` are source columns that staging has from earlier deliveries. `unique` says that an index keeps keys active
    once; an old table with keys that are active twice has none.
    """

    staging: StagingTable
    delivered: tuple[str, ...]
    taken: tuple[str, ...]
    known: tuple[str, ...]
    unique: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        return self.staging.key

    @property
    def copied(self) -> tuple[str, ...]:
        """The columns that are read: all that a file has, the taken ones of a database."""
        is_file = isinstance(self.staging.source, CsvFile | FixedWidthFile)
        return self.delivered if is_file else self.taken

    @property
    def rest(self) -> tuple[str, ...]:
        """The taken columns without the key: those in which a row can change."""
        return tuple(column for column in self.taken if column not in self.staging.key)

    @property
    def new(self) -> tuple[str, ...]:
        """The taken columns that staging does not have yet."""
        return tuple(column for column in self.taken if column not in self.known)


def this_delivery(staging: StagingTable) -> Routine[StagingColumns]:
    """Read which columns this run's delivery has and give them their names in staging; see `named`."""
    assumed = tuple(dict.fromkeys(_declared(staging)))
    header = yield ReadColumns(
        label="read the delivery's columns", staging=staging, assumed=tuple((name,) for name in assumed)
    )
    catalog = yield from read_catalog(
        (staging.table, staging.temp), assumed=(hstage_spec(staging, assumed), temp_spec(staging, assumed))
    )
    hstage, temp = catalog.tables.get(staging.table), catalog.tables.get(staging.temp)
    return named(staging, tuple(str(row[0]) for row in header.rows), hstage, temp)


def named(
    staging: StagingTable, header: tuple[str, ...], hstage: FoundTable | None, temp: FoundTable | None
) -> StagingColumns:
    """Return the columns of a delivery under their names in staging.

    A name is that of the column which is there or declared and differs at most in upper and lower case; any other is
    folded to lower case, as PostgreSQL does with names that nobody quoted. Blanks around names go. The order of a
    header never matters. Raises DeliveryRefused for names that are empty, double, too long or ours, and when a key
    column, a declared column or one that earlier deliveries had is missing. Texts that only the header has are never
    in the message: a file without a header has data there.
    """
    ours = _technical(staging)
    there = tuple(name for name in hstage.columns if name not in ours) if hstage else ()
    # Only what the temp table has too came from a delivery: a DBA may have added columns of his own.
    known = tuple(name for name in there if temp is None or name in temp.columns)
    declared = _declared(staging)
    spelling = {name.casefold(): name for name in (*(temp.columns if temp else ()), *there, *declared)}
    exact = {*declared, *there}
    delivered: list[str] = []
    for place, raw in enumerate(header, start=1):
        name = raw.strip()
        name = name if name in exact else spelling.get(name.casefold(), name.lower())
        _check(staging, name, place, ours)
        if name in delivered:
            raise _refused(staging, f"columns {delivered.index(name) + 1} and {place} have the same name")
        delivered.append(name)
    wanted = dict.fromkeys(declared)
    if not staging.columns:
        wanted |= dict.fromkeys(
            name for name in known if name.casefold() not in {i.casefold() for i in staging.ignored}
        )
    missing = [name for name in wanted if name not in delivered]
    if missing:
        raise _refused(
            staging,
            f"column {', '.join(missing)} is missing among the {len(header)} columns of the delivery"
            + (
                ""
                if staging.columns
                else "; when the source no longer has it, list the columns to take under `columns`"
            ),
        )
    left_out = {spelling.get(name.casefold(), name.lower()) for name in staging.ignored}
    taken = tuple(name for name in delivered if name not in left_out and (not staging.columns or name in declared))
    return StagingColumns(
        staging=staging, delivered=tuple(delivered), taken=taken, known=known, unique=is_unique(staging, hstage)
    )


def is_unique(staging: StagingTable, hstage: FoundTable | None) -> bool:
    """Return whether an index keeps each key of the staging table active once."""
    if hstage is None:
        return True
    return any(
        index.unique and index.valid and set(index.columns) == set(staging.key) and "_active" in index.where
        for index in hstage.indexes
    )


def _declared(staging: StagingTable) -> tuple[str, ...]:
    more = (staging.changed_since,) if staging.changed_since else ()
    return (*staging.key, *staging.columns, *more)


def _technical(staging: StagingTable) -> frozenset[str]:
    names = {*hstage_spec(staging, ()).column_names, *temp_spec(staging, ()).column_names}
    return frozenset(names | _SYSTEM | _OURS)


def _check(staging: StagingTable, name: str, place: int, ours: frozenset[str]) -> None:
    if not name:
        raise _refused(staging, f"column {place} of the delivery has no name; give it one, or give `columns`")
    if name in ours:
        raise _refused(
            staging, f"column {place} of the delivery is called {name}, which is a column of staging itself; rename it"
        )
    try:
        checked(name)
    except IdentifierError:
        raise _refused(
            staging,
            f"column {place} of the delivery has a name of {len(name.encode())} bytes, PostgreSQL keeps 63; shorten it in "
            "the source, or give the file's `columns` names of your own",
        ) from None


def _refused(staging: StagingTable, what: str) -> DeliveryRefused:
    return DeliveryRefused(f"{staging.table}: {what}. Nothing was loaded and nothing was changed")

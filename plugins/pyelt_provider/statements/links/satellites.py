"""From collected link rows to the satellites of the link: one row of each link wins, and gives its values."""

from __future__ import annotations

from collections.abc import Sequence

from pyelt_provider.identifiers import quote
from pyelt_provider.model.domain import Satellite
from pyelt_provider.statements.links.history import LinkGroup
from pyelt_provider.statements.links.rows import LinkWork
from pyelt_provider.statements.satellites.load import FilledColumn, SatelliteSource
from pyelt_provider.statements.step import Statement


def find_winners(group: LinkGroup, work: LinkWork) -> Statement:
    """Collect the values that a mapping gives each link (`_id`): those of the row that is preferred.

    Rejected rows give nothing; where only such a row gives a link, its satellites stay as they are.
    """
    link = group.link
    fks = tuple(quote(reference.column) for reference in link.references)
    same = " and ".join(f"l.{fk} = r.{fk}" for fk in fks)
    of_type = " and l.type = %(type)s" if link.types else ""
    values = "".join(f", r.{field.value}" for field in work.entity.fields)
    alone = group.by_staging_key(work)
    return Statement(
        label="choose one row for each link",
        mapping=work.name,
        table=link.table,
        parameters={"type": work.mapping.type} if link.types else {},
        sql=f"""
create temporary table {_winners(work)} on commit drop as
select {"" if alone else "distinct on (l._id) "}l._id{values}
from {work.rows} r
join {link.table.sql} l on {same}{of_type}
where r.usable{"" if alone else f"{chr(10)}order by l._id, r.preference, r.place"}
""",
    )


def satellite_sources(satellite: Satellite, works: Sequence[LinkWork]) -> tuple[SatelliteSource, ...]:
    """Return what fills a satellite, in the order of the mappings."""
    return tuple(
        SatelliteSource(
            mapping=work.name,
            rows=_winners(work),
            keys=("_id",),
            columns=_columns(satellite, work),
            owner_id="_id",
        )
        for work in sorted(works, key=lambda work: work.number)
        if _columns(satellite, work)
    )


def _columns(satellite: Satellite, work: LinkWork) -> tuple[FilledColumn, ...]:
    return tuple(
        FilledColumn(column=item.field.column, value=item.value, type=item.field.type)
        for item in work.entity.fields
        if item.field.satellite == satellite.name
    )


def _winners(work: LinkWork) -> str:
    return quote(f"pyelt_link_winners_{work.number}")

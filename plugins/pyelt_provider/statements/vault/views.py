"""The views that show an entity or link with its satellites side by side, as values: columns and what they come from."""

from __future__ import annotations

from collections.abc import Iterator

from pyelt_provider.errors import DdlRefused
from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.model.domain import Column, Hub, Link, Satellite, SatelliteKind, Valueset
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.model.view_columns import OWN_COLUMNS, ViewColumn, reference_bk_column, satellite_view_columns
from pyelt_provider.statements.ddl.view_ddl import ViewSpec
from pyelt_provider.statements.vault.ensemble_views import ensemble_view


def vault_views(pipeline: Pipeline) -> tuple[ViewSpec, ...]:
    """Return the views of all hubs and links of a pipeline, and behind them its ensemble views.

    A view has one row per key. Rows that a vault validation rejected are left out: a hub's or link's row whole, a
    satellite's row by its columns being null. Where several pipes fill a satellite, the row is taken by the hub's order
    of sources, else the one of the latest run. Raises DdlRefused when two columns of a view would have one name.
    """
    shown = {link.name: link_view(link, pipeline) for link in pipeline.links.values()}
    shown = {hub.name: hub_view(hub, pipeline) for hub in pipeline.hubs.values()} | shown
    ensembles = (ensemble_view(view, pipeline, shown) for view in pipeline.ensemble_views)
    views = (*shown.values(), *ensembles)
    refused = [problem for view in views for problem in _clashes(view)]
    if refused:
        raise DdlRefused("\n".join(refused))
    return views


def hub_view(hub: Hub, pipeline: Pipeline) -> ViewSpec:
    """Return the view of a hub: its key, its satellites (inherited ones too), hybrid ones once per type, code names.

    A subtype shows the keys of its own type and of the types below it.
    """
    sides = _Sides(hub.satellites, hub.sources, pipeline)
    types = sorted(other.type for other in pipeline.hubs.values() if _descends(other, hub, pipeline))
    of_type = f" and h.type in ({', '.join(map(text_literal, types))})" if hub.extends else ""
    own = (*OWN_COLUMNS, "bk")
    return ViewSpec(
        table=hub.view,
        columns=(*((name, f"h.{name}") for name in own), *sides.columns),
        source=f"from {hub.table.sql} h{sides.joins}\nwhere h._valid{of_type}",
        description=hub.description,
        reads=(hub.table, *sides.reads),
        owner=pipeline.name,
    )


def link_view(link: Link, pipeline: Pipeline) -> ViewSpec:
    """Return the view of a link: its references with their business keys, its satellites and its status."""
    sides = _Sides(link.satellites, (), pipeline)
    columns = [(name, f"h.{name}") for name in OWN_COLUMNS]
    joins, reads = "", [link.table]
    for number, reference in enumerate(link.references, 1):
        hub = pipeline.hubs[reference.hub]
        columns.append((reference.column, f"h.{quote(reference.column)}"))
        columns.append((reference_bk_column(reference.role), f"r{number}.bk"))
        joins += f"\njoin {hub.table.sql} r{number} on r{number}._id = h.{quote(reference.column)} and r{number}._valid"
        reads.append(hub.table)
    status: tuple[tuple[str, str], ...] = ()
    if link.status:
        status = (("status", _status("z", "ended", ())),)
        joins += _status_row(link.status_table, "z", ())
        reads.append(link.status_table)
    return ViewSpec(
        table=link.view,
        columns=(*columns, *status, *sides.columns),
        source=f"from {link.table.sql} h{joins}{sides.joins}\nwhere h._valid",
        description=link.description,
        reads=(*reads, *sides.reads),
        owner=pipeline.name,
    )


class _Sides:
    """What stands beside the key in a view: the columns and joins of the satellites."""

    def __init__(self, satellites: tuple[Satellite, ...], sources: tuple[str, ...], pipeline: Pipeline) -> None:
        self.columns: list[tuple[str, str]] = []
        self.reads: list[TableName] = [satellite.table for satellite in satellites]
        self.joins = ""
        shown = satellite_view_columns(satellites)
        for number, satellite in enumerate(satellites, 1):
            types: tuple[str | None, ...] = satellite.types if satellite.kind is SatelliteKind.HYBRID else (None,)
            for place, type_name in enumerate(types, 1):
                alias = f"s{number}" if type_name is None else f"s{number}_{place}"
                if satellite.kind is SatelliteKind.RECORD_STATUS:
                    self.joins += _status_row(satellite.table, alias, sources)
                else:
                    self.joins += _one_row(satellite.table, alias, sources, type_name)
                for column in shown:
                    if column.satellite is satellite and column.type == type_name:
                        self._add(column, alias, sources, pipeline)

    def _add(self, shown: ViewColumn, alias: str, sources: tuple[str, ...], pipeline: Pipeline) -> None:
        column = shown.column
        if column is None:
            self.columns.append((shown.name, _status(alias, "deleted", sources)))
        elif not shown.describes or column.codes is None:
            self.columns.append((shown.name, f"{alias}.{quote(column.name)}"))
        else:
            valueset = pipeline.valuesets[column.codes.valueset]
            own = f"{alias}_c{shown.satellite.columns.index(column) + 1}"
            self.joins += _description(valueset, column, alias, own)
            self.columns.append((shown.name, f"{own}.omschrijving"))
            if valueset.table not in self.reads:
                self.reads.append(valueset.table)


def _status_row(table: TableName, alias: str, sources: tuple[str, ...]) -> str:
    """The status row that is shown, and beside it that of the source which brought the key, where the sources are equal."""
    if sources:
        return _one_row(table, alias, sources, None)
    own = f"{alias}_own"
    return f"""{_one_row(table, alias, (), None, first="({alias}.record_status <> 'active')::int")}
left join {table.sql} {own} on {own}._id = h._id and {own}._active and {own}._valid
    and {own}._source_system = h._source_system"""


def _status(alias: str, gone: str, sources: tuple[str, ...]) -> str:
    """Gone only where no source has the key any more: one that never lost it has no row, the one that brought it too."""
    if sources:
        return f"coalesce({alias}.record_status, 'active')"
    brought = f"({alias}_own._id is not null or h._source_system is null)"
    return f"case when {alias}.record_status = '{gone}' and {brought} then '{gone}' else 'active' end"


def _one_row(table: TableName, alias: str, sources: tuple[str, ...], type_name: str | None, *, first: str = "") -> str:
    """The active valid row of a key: no other row of it is better. An anti join serves one key and all keys well.

    The ctid only says, cheaply, that a row is not compared with itself.
    """
    other = f"{alias}_o"
    same_type = f" and {other}.type = {text_literal(type_name)}" if type_name is not None else ""
    of_type = f" and {alias}.type = {text_literal(type_name)}" if type_name is not None else ""
    return f"""
left join {table.sql} {alias} on {alias}._id = h._id and {alias}._active and {alias}._valid{of_type}
    and not exists (
        select from {table.sql} {other}
        where {other}._id = {alias}._id and {other}._active and {other}._valid{same_type}
          and {other}.ctid <> {alias}.ctid
          and {_rank(other, sources, first)} < {_rank(alias, sources, first)})"""


def _rank(alias: str, sources: tuple[str, ...], first: str) -> str:
    """The smallest is shown: by `first`, by order of sources (those not named come last), then the latest run, then by
    name."""
    place = f"{first.format(alias=alias)}, " if first else ""
    if sources:
        names = ", ".join(text_literal(source) for source in sources)
        place = f"coalesce(array_position(array[{names}], {alias}._source_system::text), {len(sources) + 1}), "
    return f"({place}-{alias}._runid, {alias}._source_system)"


def _description(valueset: Valueset, column: Column, alias: str, own: str) -> str:
    """The description of a code; of a periodical one that of the latest period which has begun."""
    assert column.codes is not None
    begun = " and v.ingangsdatum <= current_date" if valueset.periodical else ""
    latest = "v.ingangsdatum desc, " if valueset.periodical else ""
    return f"""
left join lateral (
    select v.omschrijving from {valueset.table.sql} v
    where v.valueset_naam = {text_literal(column.codes.naam)} and v.code = {alias}.{quote(column.name)}::text
      and v._active and v._valid{begun}
    order by {latest}v._runid desc, v._source_system
    limit 1) {own} on true"""


def _descends(hub: Hub, ancestor: Hub, pipeline: Pipeline) -> bool:
    while hub.name != ancestor.name:
        if hub.extends is None:
            return False
        hub = pipeline.hubs[hub.extends]
    return True


def _clashes(view: ViewSpec) -> Iterator[str]:
    names = [name for name, _ in view.columns]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"view {view.table} would have two columns {name}: rename a satellite or a column of it"

"""Which links a pipe gives: what the vault says of it, whatever rows and mappings there are by now."""

from __future__ import annotations

from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.model.domain import Link
from pyelt_provider.planning.stages import Stage


def given_links(stage: Stage, link: Link) -> str:
    """Return a query of the `_id` of all links that the pipe (parameter `pipe`) ever gave, some of them several times.

    It brought them, filled a satellite of them, or is noted to give them. A link that nobody brought (an old PyELT may
    leave the source empty) is that of each pipe. Staging is not asked: its closed rows do not tell which mappings and
    filters there were when they stood.
    """
    rows = "".join(
        f"\n    union all\n    select _id from {table.sql} where _source_system = %(pipe)s and _active"
        for table in owned_tables(link)
    )
    schema, name = text_literal(link.table.schema), text_literal(link.table.name)
    return f"""select _id from {link.table.sql} where coalesce(_source_system, %(pipe)s) = %(pipe)s
    union all
    select row_id from {quote(stage.pipeline.sys_schema)}.given_keys
    where pipe = %(pipe)s and not only_for_links and (schemaname, tablename) = ({schema}, {name}){rows}"""


def is_given(stage: Stage, link: Link, row: str) -> str:
    """Return the condition that the pipe ever gave a link, by the same signs, for few links: each asks indexes."""
    schema, name = text_literal(link.table.schema), text_literal(link.table.name)
    rows = "".join(
        f"\n        or exists (select from {table.sql} o where o._id = {row}._id and o._source_system = %(pipe)s)"
        for table in owned_tables(link)
    )
    return f"""(coalesce({row}._source_system, %(pipe)s) = %(pipe)s
        or exists (
            select from {quote(stage.pipeline.sys_schema)}.given_keys o
            where (o.schemaname, o.tablename, o.row_id, o.pipe) = ({schema}, {name}, {row}._id, %(pipe)s)
                and not o.only_for_links){rows})"""


def owned_tables(link: Link) -> tuple[TableName, ...]:
    """Return the tables whose rows belong to a link and a pipe: its satellites, and that of its status."""
    satellites = tuple(satellite.table for satellite in link.satellites)
    return (*satellites, link.status_table) if link.status else satellites

"""What a mapping reads as SQL: the relation behind `from`, under the alias ``s``, and the conditions on its rows."""

from __future__ import annotations

from pyelt_provider.identifiers import opaque
from pyelt_provider.model.mapping import MappingSource
from pyelt_provider.model.pipe import Pipe


def relation_of(pipe: Pipe, source: MappingSource) -> str:
    """Return the staging table with the user's joins, the view or the query, each as ``s``."""
    if source.staging is not None:
        join = f"\n    {opaque(source.join)}" if source.join else ""
        return f"{pipe.table(source.staging).table.sql} s{join}"
    if source.view is not None:
        return f"{source.view.sql} s"
    return f"(\n{opaque((source.query or '').strip().rstrip(';'))}\n) s"


def conditions_of(source: MappingSource, *more: str) -> str:
    """Return the where clause: active valid staging rows, further conditions, and last the user's filter."""
    parts = [*(("s._active", "s._valid") if source.staging is not None else ()), *more]
    if source.filter:
        parts.append(f"({opaque(source.filter)})")
    return "where " + "\n  and ".join(parts) if parts else ""

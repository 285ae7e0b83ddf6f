"""Creates and changes views: compares first, replaces where PostgreSQL can, else rebuilds with dependents and grants."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pyelt_provider.errors import DdlRefused
from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.ddl.catalog import FoundTable, read_catalog
from pyelt_provider.statements.ddl.dependents import look_up_dependents
from pyelt_provider.statements.ddl.table_ddl import confirm, in_short_tries, lock_ddl
from pyelt_provider.statements.step import Isolated, Program, Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """A view as it is to be: `columns` (name, SQL) and the `source` behind them, or no columns and a whole query.

    All SQL stands ready for a statement with parameters (each % doubled). `reads` are the tables that it shows. `owner`
    is the pipeline that describes the view, where several may describe the same.
    """

    table: TableName
    source: str
    columns: tuple[tuple[str, str], ...] = ()
    description: str = ""
    reads: tuple[TableName, ...] = ()
    owner: str = ""

    def query(self, first: Iterable[str] = ()) -> str:
        """Return the SELECT; the columns named in `first` stand first, in that order (as an older view has them)."""
        if not self.columns:
            return self.source
        by_name = dict(self.columns)
        ordered = [name for name in first if name in by_name]
        ordered += [name for name in by_name if name not in ordered]
        selected = ",\n    ".join(f"{by_name[name]} as {quote(name)}" for name in ordered)
        return f"select\n    {selected}\n{self.source}"

    @property
    def comment(self) -> str:
        """The comment on the view; its mark tells at the next run whether the view is still the same."""
        text = "\x00".join((self.query(), self.description))
        mark = f"pyelt:{hashlib.sha256(text.encode()).hexdigest()[:16]}" + (f" of {self.owner}" if self.owner else "")
        return f"{self.description} [{mark}]" if self.description else mark


def ensure_views(specs: Iterable[ViewSpec], stage: Stage, run: Run) -> Program:
    """Create the views that are not there and replace those that changed, in the order given.

    With nothing to do this is one look at the catalogue. Columns of an older view stay where they are and new ones go to
    the end. Where CREATE OR REPLACE cannot do it (a column went or has another type), the view is rebuilt together with
    the views that depend on it, owners, grants and comments included. Raises DdlRefused when a dependent view needs what
    went, when there is a table of that name, when another pipeline shows other columns under that name, or when the
    pipeline asks for confirmation and the run does not allow DDL.
    """
    wanted = tuple(specs)
    if not wanted:
        return
    changed = yield from _changed(wanted)
    if not changed:
        return
    ddl = "\n".join(f"create or replace view {spec.table.sql} as\n{spec.query()};" for spec, _ in changed)
    confirm(stage, run, ddl.replace("%%", "%"))
    yield from lock_ddl()
    changed = yield from _changed(wanted)
    yield from in_short_tries(stage, lambda: _make_all(changed))


def _changed(specs: tuple[ViewSpec, ...]) -> Routine[list[tuple[ViewSpec, FoundTable | None]]]:
    catalog = yield from read_catalog(spec.table for spec in specs)
    changed: list[tuple[ViewSpec, FoundTable | None]] = []
    for spec in specs:
        found = catalog.tables.get(spec.table)
        if found is not None and found.kind != "v":
            raise DdlRefused(
                f"{spec.table} is to be a view, but there is a table or something else of that name; a DBA may run: "
                f"alter table {spec.table} rename to {spec.table.name[:55]}_old;"
            )
        if found is None or (found.comment != spec.comment and not _is_shown_by_another(spec, found)):
            changed.append((spec, found))
    return changed


def _is_shown_by_another(spec: ViewSpec, found: FoundTable) -> bool:
    """Say whether another pipeline's view has all columns of this one; raise DdlRefused when each has some of its own.

    So two pipelines that describe a hub differently do not replace each other's view at every run: the wider one stays.
    """
    owner = re.search(r"\bpyelt:[0-9a-f]{16} of (.*?)\]?$", found.comment or "")
    if not spec.owner or owner is None or owner[1] == spec.owner:
        return False
    ours, theirs = dict(spec.columns).keys(), found.columns.keys()
    if ours <= theirs:
        return True
    if theirs <= ours:
        return False
    raise DdlRefused(
        f"view {spec.table} was made by the pipeline {owner[1]}, which describes it differently: only there it has "
        f"{', '.join(sorted(theirs - ours))}, only in {spec.owner} {', '.join(sorted(ours - theirs))}. Describe the "
        f"satellites alike in both, or set create_views: false in one of them; where {owner[1]} has changed or is gone, "
        f"run it first, or a DBA may run: comment on view {spec.table} is null;"
    )


def _make_all(changed: list[tuple[ViewSpec, FoundTable | None]]) -> Program:
    for spec, found in changed:
        yield from make_view(spec, found)


def make_view(spec: ViewSpec, found: FoundTable | None) -> Program:
    """Create the view, or replace the `found` one, as `ensure_views` says; the caller holds the lock for DDL."""
    if found is None:
        yield _create(spec, ())
        yield _comment(spec)
        return
    result = yield Isolated(
        label=f"replace view {spec.table}", program=_replace(spec, tuple(found.columns)), only=("42P16",)
    )
    if result.error is not None:
        yield from _rebuild(spec)


def _create(spec: ViewSpec, first: tuple[str, ...]) -> Statement:
    return Statement(
        label="create view",
        table=spec.table,
        sql=f"create or replace view {spec.table.sql} as\n{spec.query(first)}",
    )


def _comment(spec: ViewSpec) -> Statement:
    return Statement(
        label="describe view",
        table=spec.table,
        sql=f"comment on view {spec.table.sql} is {text_literal(spec.comment)}",
    )


def _replace(spec: ViewSpec, first: tuple[str, ...]) -> Program:
    yield _create(spec, first)
    yield _comment(spec)


def _rebuild(spec: ViewSpec) -> Program:
    """Everything below the view comes back as it was; what cannot, because it needs a column that went, is refused."""
    dependents = yield from look_up_dependents(spec.table)
    yield Statement(label="drop view", table=spec.table, sql=f"drop view {spec.table.sql} cascade")
    yield from _replace(spec, ())
    yield from dependents.restore_grants()
    for dependent in dependents.below:
        result = yield Isolated(
            label=f"rebuild {dependent.table}", program=dependent.rebuild(), only=("42703", "42P01", "42883", "42804")
        )
        if result.error is not None:
            raise DdlRefused(
                f"view {spec.table} loses or changes columns, and {dependent.table} depends on them ({result.error}); "
                f"change or drop that one first: drop view {dependent.table};"
            )

"""What the next run would add to a warehouse, told from the very steps that its DDL did in the check's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyelt_provider.execution.outcome import StepRecord
from pyelt_provider.identifiers import TableName

_NAMED = 3
"""How many tables of those that change alike are named."""


@dataclass(slots=True)
class Additions:
    """The steps of DDL that were done, on a warehouse that had the tables and views `before`."""

    before: frozenset[TableName]
    has_bookkeeping: bool = True
    models: int = 0
    _new: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    _changed: dict[TableName, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    _others: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, records: Iterable[StepRecord]) -> None:
        """Take in the steps of a stage."""
        for record in records:
            verb, _, rest = record.label.partition(" ")
            if verb not in ("create", "add", "replace", "drop", "describe", "run", "stand"):
                continue
            if record.table is None:
                self._take_other(record.label)
            elif record.table not in self.before:
                self._take_new(record.table, record.label)
            elif rest:
                self._take_change(self._changed[record.table], record.label)

    def _take_other(self, label: str) -> None:
        kinds = {"create schema": "new schema", "create function": "function", "run extra SQL": "piece of extra SQL"}
        for start, kind in kinds.items():
            if label.startswith(start):
                self._others[kind] += 1
        self.models += label == "stand a view in for it"

    def _take_new(self, table: TableName, label: str) -> None:
        for start, kind in (("create table", "table"), ("create view", "view")):
            if label.startswith(start):
                self._new[table.schema][kind] += 1

    @staticmethod
    def _take_change(change: dict[str, list[str]], label: str) -> None:
        for start, kind in (
            ("add columns ", "column"),
            ("create index ", "index"),
            ("add foreign key ", "foreign key"),
            ("drop old unique key ", "old unique key that makes way"),
            ("replace the primary key", "new primary key"),
            ("create view", "new text of the view"),
            ("describe table", "comment"),
        ):
            if label.startswith(start):
                change[kind] += label.removeprefix(start).split(", ")

    def lines(self) -> list[str]:
        """Return what would be added: a line per schema for what is new, one for all tables that change alike."""
        lines = [] if self.has_bookkeeping else ["bookkeeping tables"]
        if self._others:
            lines.append(", ".join(_count(number, kind) for kind, number in sorted(self._others.items())))
        for schema, kinds in sorted(self._new.items()):
            lines.append(f"{schema}: {', '.join(_count(number, f'new {kind}') for kind, number in kinds.items())}")
        if self.models:
            lines.append(_count(self.models, "new datamart"))
        alike: dict[str, list[TableName]] = defaultdict(list)
        for table, change in sorted(self._changed.items()):
            if said := _said(change):
                alike[said].append(table)
        for said, tables in alike.items():
            more = f" and {len(tables) - _NAMED} more" if len(tables) > _NAMED else ""
            lines.append(f"{', '.join(str(table) for table in tables[:_NAMED])}{more}: {said}")
        return lines


def _said(change: dict[str, list[str]]) -> str:
    columns = change.get("column", [])
    parts = [f"column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"] if columns else []
    for kind, names in change.items():
        if kind in ("new primary key", "new text of the view"):
            parts.append(f"a {kind}")
        elif kind != "column":
            parts.append(_count(len(names), kind))
    return ", ".join(parts)


def _count(number: int, thing: str) -> str:
    if number == 1:
        return f"1 {thing}"
    plural = {"index": "indexes", "piece of extra SQL": "pieces of extra SQL"}
    special = plural.get(thing) or thing.replace("key that makes", "keys that make")
    return f"{number} {special if special != thing else thing + 's'}"

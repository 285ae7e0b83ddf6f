"""The state of a warehouse: every row of every table, surrogate ids replaced by keys, times masked; and its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import connection as Connection

Row = dict[str, Any]
State = dict[str, list[str]]

TIMES = frozenset({"_insert_date", "_finish_date", "rundate", "finish_date", "finished", "date"})
LEFT_OUT = frozenset({"_id", "id", "attempt", "load_order", "seconds"})
PER_ATTEMPT = frozenset({"sys.attempts", "sys.steps", "sys.writes", "sys.horizons"})

_TABLES = """
    select n.nspname || '.' || c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
      and (c.relpersistence = 'p' or %(scratch)s)
    order by 1
"""
_SHAPE = """
    select 'column ' || c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || ' ' || a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-')
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on (d.adrelid, d.adnum) = (c.oid, a.attnum)
    where c.relnamespace = any(select own.oid from own) and c.relkind in ('r', 'v')
    union all
    select 'index ' || pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid
    from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace = any(select own.oid from own)
    union all
    select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated
    from pg_constraint where connamespace = any(select own.oid from own)
    union all
    select 'view ' || oid::regclass || ' ' || pg_get_viewdef(oid)
    from pg_class where relkind = 'v' and relnamespace = any(select own.oid from own)
    union all
    select 'function ' || oid::regprocedure || ' ' || prosrc
    from pg_proc where pronamespace = any(select own.oid from own)
    union all
    select 'comment ' || coalesce(objsubid::text, '') || ' ' || description
    from pg_description where objoid in (select oid from own)
       or objoid in (select oid from pg_class where relnamespace = any(select own.oid from own))
    union all
    select 'persistence ' || oid::regclass || ' ' || relpersistence::text || relkind::text
    from pg_class where relnamespace = any(select own.oid from own) and relkind <> 'i'
"""
_OWN = (
    """with own as (select oid from pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema')"""
)


def state_of(connection: Connection, *, scratch: bool = True, bookkeeping: bool = True) -> State:
    """Return the rows of each table as sorted texts, and the shape of all objects under the name ``shape``.

    Without `scratch`, unlogged tables are left out: a server that crashed has emptied them. Without `bookkeeping`, those
    of `sys` are.
    """
    with connection.cursor() as cursor:
        cursor.execute("set local timezone = 'UTC'")
        cursor.execute(_TABLES.replace("\\_%'", "\\_%%'"), {"scratch": scratch})
        names = [name for (name,) in cursor.fetchall() if bookkeeping or not name.startswith("sys.")]
        queries = [f"""select '{name}', to_jsonb(t)::text from {_quoted(name)} t""" for name in names]
        cursor.execute(" union all ".join(queries) or "select 1 where false")
        tables: dict[str, list[Row]] = {name: [] for name in names}
        for name, row in cursor.fetchall():
            tables[name].append(json.loads(row))
        cursor.execute(_OWN + _SHAPE)
        shape = sorted(text for (text,) in cursor.fetchall())
    connection.rollback()
    keys = _Keys(tables)
    found = {
        name: sorted(_text(keys.shown(name, row)) for row in rows)
        for name, rows in tables.items()
        if name not in PER_ATTEMPT
    }
    # A staging load that takes rows of the vault back counts as a load of them for datamarts; when it was killed after its
    # commit, its next attempt has none to take back. That they are gone is seen by the loads that are gone, too.
    if "sys.positions" in found:
        found["sys.positions"] = [
            row for row in found["sys.positions"] if '.sor.etl_sor", "stage": "etl_dm"' not in row
        ]
    if "sys.extra_sql" in found:
        found["sys.extra_sql"] = sorted(set(found["sys.extra_sql"]))
    return {**found, "shape": shape, "attempts": _last_attempts(tables)}


def difference(expected: Mapping[str, list[str]], found: Mapping[str, list[str]]) -> list[str]:
    """Return a text per table that differs; empty when the states are the same."""
    texts = []
    for table in sorted({*expected, *found}):
        one, other = expected.get(table), found.get(table)
        if one is None or other is None:
            texts.append(f"{table}: {'unexpected' if one is None else 'missing'}")
        elif one != other:
            lacking, extra = list(one), []
            for row in other:
                if row in lacking:
                    lacking.remove(row)
                else:
                    extra.append(row)
            texts.append(f"{table}:\n  lacks {lacking[:5]}\n  has   {extra[:5]}")
    return texts


class _Keys:
    """Knows what surrogate ids stand for."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self._of: dict[str, dict[int, str]] = {}
        for kind in ("_hub", "_link", "_hstage"):
            for name, rows in tables.items():
                if name.endswith(kind):
                    self._of[name] = {row["_id"]: self._key(row) for row in rows}
        self._loads = {row["load_order"]: f"{row['runid']} {row['stage']}" for row in tables.get("sys.stages", ())}

    def _key(self, row: Row) -> str:
        if "bk" in row:
            return str(row["bk"])
        if "_hash" in row:
            parts = {name: value for name, value in row.items() if name[0] != "_" and name[:3] != "fk_"}
            return _text({**parts, "_runid": row["_runid"], "_revision": row["_revision"]})
        return _text({name: self._reference(name, row[name]) for name in row if name.startswith("fk_")})

    def _reference(self, column: str, value: Any) -> Any:
        """What a foreign key ``fk_[role_]<table>`` points at."""
        fitting = [name for name in self._of if column.endswith(name.partition(".")[2])]
        table = max(fitting, key=len)
        return None if value is None else self._of[table].get(value, f"nothing has {value}")

    def shown(self, table: str, row: Row) -> Row:
        """The row without anything that luck or the clock decides."""
        found = {name: self._cell(name, value) for name, value in row.items() if name not in LEFT_OUT}
        short = table.partition(".")[2]
        if "_sat" in short:
            stem = table[: table.index("_sat")]
            owner = self._of.get(f"{stem}_hub") or self._of.get(f"{stem}_link") or {}
            found["of"] = owner.get(row["_id"], f"nothing has {row['_id']}")
        match table:
            case "sys.journal":
                of = f"{row['schemaname']}.{row['tablename']}"
                stem = of.partition("_sat")[0]
                owner = self._of.get(of) or self._of.get(f"{stem}_hub") or self._of.get(f"{stem}_link") or {}
                found["row_id"] = owner.get(row["row_id"], f"nothing has {row['row_id']}")
                found["before"] = {name: self._before(name, value) for name, value in row["before"].items()}
            case "sys.rejected_rows":
                found["row_id"] = self._of[f"{row['schemaname']}.{row['tablename']}"][row["row_id"]]
            case "sys.waiting_references":
                staging = f"sor_{row['pipe']}.{row['mapping'].split(' ')[0]}"
                found["row_id"] = self._of[staging][row["row_id"]]
            case "sys.positions" if row["stage"] == "etl_dm":
                # Datamarts remember which loads they have seen by their place in the order of commits.
                found["sor_runid"] = self._loads.get(row["sor_runid"], f"nothing has {row['sor_runid']}")
            case "sys.extra_sql":
                # A function is written down once per attempt that made it.
                found["digest"] = row["digest"].rpartition(":")[0] or row["digest"]
            case "sys.stages":
                found["numbers"] = {
                    name: {count: rows for count, rows in counts.items() if count != "taken_back" and rows}
                    for name, counts in row["numbers"].items()
                }
                found["numbers"] = {name: counts for name, counts in found["numbers"].items() if counts}
                if row["kind"] == "etl_dm":
                    del found["numbers"]  # of the last attempt, which has nothing to do when the one before committed
        return found

    def _before(self, name: str, value: Any) -> Any:
        if name == "@key":
            return {part: self._cell(part, cell) for part, cell in value.items() if part not in LEFT_OUT}
        return self._cell(name, value)

    def _cell(self, name: str, value: Any) -> Any:
        if name in TIMES:
            return None if value is None else "a time"
        return self._reference(name, value) if name.startswith("fk_") else value


def _last_attempts(tables: dict[str, list[Row]]) -> list[str]:
    """How the last attempt of each stage ended; one that was killed must have been seen to be."""
    attempts = tables.get("sys.attempts", [])
    last = {(row["runid"], row["stage"]): row for row in sorted(attempts, key=lambda row: row["attempt"])}
    ended = [f"{run} {stage}: {row['state']}" for (run, stage), row in last.items()]
    still = [f"{row['stage']} attempt {row['attempt']} still runs" for row in attempts if row["state"] == "running"]
    return sorted(ended) + sorted(still)


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _quoted(name: str) -> str:
    schema, _, table = name.partition(".")
    return f'"{schema}"."{table}"'

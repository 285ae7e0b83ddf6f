"""Whether a disturbed warehouse is as an undisturbed one: every row, the bookkeeping, locks and sessions."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any

from crash.state import State, difference, state_of
from databases import Database
from nights.comparison import vault_differences
from nights.hospital import Hospital
from nights.model import Model
from nights.story import Story

_RUN = re.compile(r'(runid\\*": |"(?:runid|run)": "?)(\d+\.\d+)')
OTHER_LUCK = frozenset({"rundate", "run_day"})
COMPARED = re.compile(
    r"^(sor_\w+\.\w+_hstage|\w+\._exceptions|sys\.(waiting_references|rejected_rows|source_positions))$"
)
"""Beside the vault, which the hospital tells itself: there, which pipe was the first to bring a key is luck."""

LEFT = """
    select 'attempt ' || attempt || ' of ' || stage || ' in run ' || runid || ' still runs'
    from sys.attempts where state = 'running'
    union all
    select 'run ' || runid || ' has not ended' from sys.runs where finish_date is null
    union all
    select 'run ' || runid || ' was overtaken by ' || overtaken_by from sys.runs where overtaken_by is not null
    union all
    select stage || ' of run ' || runid || ' is ' || state from sys.stages where state <> 'done'
"""
SESSIONS = """
    select concat('session ', application_name, ' is ', state, ': ', left(query, 60))
    from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
    union all
    select 'lock ' || locktype || ' ' || mode from pg_locks
    where pid <> pg_backend_pid() and (locktype = 'advisory' or database = (
        select oid from pg_database where datname = current_database()))
"""


def problems(disturbed: Database, undisturbed: Hospital, story: Story) -> list[str]:
    """Return all that is not as it should be after a story; empty when the kills have left no trace."""
    loaded = {night for (night,) in disturbed.rows("select interval_start::date - date '2026-01-01' from sys.runs")}
    found = [f"night {number} was never loaded" for number in range(len(story.nights)) if number not in loaded]
    if found:
        return found  # the rest follows from it
    found = leftovers(disturbed)
    if orders := disturbed.rows(
        "select runid, interval_end from sys.runs where interval_end < (select max(before.interval_end) from sys.runs "
        "as before where before.runid < runs.runid)"
    ):
        found.append(f"run numbers do not follow the nights: {orders}")
    hospital = Hospital(disturbed, undisturbed.folder, story)
    model = Model(story)
    for number in range(len(story.nights)):
        model.night(number)
    found += [f"not as the model: {text}" for text in vault_differences(hospital, model)]
    return found + _differences(hospital, undisturbed)


def leftovers(warehouse: Database, *, patience: float = 30) -> list[str]:
    """Return attempts and runs that have not ended, and sessions and locks that do not go within seconds."""
    found = [text for (text,) in warehouse.rows(LEFT)]
    deadline = time.monotonic() + patience
    while (left := warehouse.rows(SESSIONS)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found + [text for (text,) in left]


def _differences(disturbed: Hospital, undisturbed: Hospital) -> list[str]:
    one, other = _vault(undisturbed), _vault(disturbed)
    return difference({**one, **_rest(undisturbed.warehouse)}, {**other, **_rest(disturbed.warehouse)})


def _vault(hospital: Hospital) -> State:
    return {table: sorted(map(str, rows)) for table, rows in hospital.state().items()}


def _rest(warehouse: Database) -> State:
    nights = {
        f"{number:.2f}": f"night {night}"
        for number, night in warehouse.rows(
            "select runid, interval_start::date - date '2026-01-01' from sys.runs order by runid"
        )
    }

    def named(found: re.Match[str]) -> str:
        number: Any = found.group(2)
        return f"{found.group(1)}{nights.get(f'{float(number):.2f}', number)}"

    with contextlib.closing(warehouse.connect()) as connection:
        state = state_of(connection, scratch=False)
    return {
        table: sorted(_RUN.sub(named, row) for row in rows) for table, rows in state.items() if COMPARED.match(table)
    }

"""What the laboratory's database holds: a catalogue, orders with their history, and a growing log of results.

The history lets the same database answer for any day of the story, so a run that is repeated gets the same answer.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.sample.calendar_days import moment
from pyelt_provider.sample.his import DOCTORS, FIRST_NUMBER
from pyelt_provider.sample.people import mixed

MARK = "sample deliveries of the clinic, safe to replace"
ANALYTES = (
    ("CRP", "C-reactive protein", "mg/L"),
    ("GLU", "Glucose", "mmol/L"),
    ("HB", "Haemoglobin", "mmol/L"),
    ("K", "Potassium", "mmol/L"),
    ("KREA", "Creatinine", "umol/L"),
    ("LEU", "Leukocytes", "10^9/L"),
    ("NA", "Sodium", "mmol/L"),
    ("TSH", "Thyrotropin", "mU/L"),
)
_TABLES = """
create table lab.analyte (analyte_code text primary key, description text not null, unit text not null);
create table lab.lab_order (
    order_number text not null, patient_number text not null, staff_code text not null, material text not null,
    priority text not null, status text not null, valid_from timestamp not null, valid_to timestamp,
    primary key (order_number, valid_from));
create table lab.result (
    order_number text not null, analyte_code text not null, value text, state text not null,
    changed_at timestamp not null, primary key (order_number, analyte_code, changed_at));
"""


def write_database(url: str, *, days: int, patients: int, seed: int) -> None:
    """Replace the schema ``lab`` of a PostgreSQL database by the laboratory's tables, in one transaction.

    Raises PyeltError when there is a schema of that name which this function did not make.
    """
    import psycopg2

    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select coalesce(obj_description(oid, 'pg_namespace'), '') from pg_namespace where nspname = 'lab'"
            )
            found = cursor.fetchone()
            if found is not None and found[0] != MARK:
                raise PyeltError(
                    "the source database has a schema lab that is not the sample's, and it would be replaced; "
                    "give a database without one"
                )
            cursor.execute("drop schema if exists lab cascade; create schema lab")
            cursor.execute(f"comment on schema lab is '{MARK}'")
            cursor.execute(_TABLES)
            for table, lines in (
                ("lab.analyte", ANALYTES),
                ("lab.lab_order", orders(days, patients, seed)),
                ("lab.result", results(days, patients, seed)),
            ):
                source: Any = _CopyText(lines)
                cursor.copy_expert(f"copy {table} from stdin", source)
            cursor.execute("analyze lab.analyte, lab.lab_order, lab.result")
    finally:
        connection.close()


def ordering(patients: int) -> range:
    """Return the numbers of the patients (characters left out) who have one order each."""
    first = FIRST_NUMBER + -FIRST_NUMBER % 4
    return range(first, FIRST_NUMBER + patients, 4)


def placed_on(number: int, days: int) -> int:
    """Return the day on which a patient's order is placed."""
    return number // 4 % days + 1


def orders(days: int, patients: int, seed: int) -> Iterator[tuple[str | None, ...]]:
    """An order is requested on its day and done on the next; one in twenty is cancelled instead, and is gone then."""
    yield from _story_orders()
    for number in ordering(patients):
        day, dice = placed_on(number, days), mixed(seed, number, 50)
        order = (
            f"L{number:07d}",
            f"{number:07d}",
            DOCTORS[dice % 6],
            ("blood", "blood", "blood", "urine")[dice // 7 % 4],
            "urgent" if dice // 5 % 10 == 0 else "routine",
        )
        requested, changed = moment(day, 14).isoformat(), moment(day + 1, 9).isoformat()
        yield (*order, "requested", requested, changed)
        if number % 80:
            yield (*order, "done", changed, None)


def results(days: int, patients: int, seed: int) -> Iterator[tuple[str | None, ...]]:
    """Each order that is done has three results at that moment; one in a hundred is corrected on the day after."""
    yield from _story_results()
    for number in ordering(patients):
        if number % 80 == 0:
            continue
        day, dice = placed_on(number, days) + 1, mixed(seed, number, 51)
        for analyte in range(3):
            code = ANALYTES[(number // 4 + analyte) % 8][0]
            value = f"{1 + dice // (7 + analyte) % 1400 / 10:.1f}"
            yield f"L{number:07d}", code, value, "final", moment(day, 9).isoformat()
            if number % 400 == 4 and analyte == 0:
                yield f"L{number:07d}", code, f"{value}5", "corrected", moment(day + 1, 11).isoformat()


def _story_orders() -> Iterator[tuple[str | None, ...]]:
    def order(number: int, day: int) -> Iterator[tuple[str | None, ...]]:
        what = (f"L{number:07d}", f"{number:07d}", "D01", "blood", "routine")
        yield (*what, "requested", moment(day, 14).isoformat(), moment(day + 1, 9).isoformat())
        yield (*what, "done", moment(day + 1, 9).isoformat(), None)

    yield from order(1, 1)
    yield from order(2, 2)
    yield from order(3, 4)  # while the hospital has deleted the patient
    yield from order(7, 3)  # a day before the hospital knows the patient


def _story_results() -> Iterator[tuple[str | None, ...]]:
    def result(order: int, analyte: str, day: int, value: str | None, state: str = "final") -> tuple[str | None, ...]:
        return f"L{order:07d}", analyte, value, state, moment(day, 9).isoformat()

    # No number at first: rejected, and mended on day 4.
    yield result(1, "GLU", 2, "haemolytic")
    yield result(1, "GLU", 4, "5.4", "corrected")
    # Corrected the day after: two rows of history.
    yield result(1, "NA", 2, "140")
    yield result(1, "NA", 3, "141", "corrected")
    # Withdrawn on day 5.
    yield result(1, "K", 2, "4.1")
    yield result(1, "K", 5, "4.1", "withdrawn")
    # Nothing in the catalogue has this code: the link waits, and nobody has mended it yet.
    yield result(2, "XYZ", 3, "1.0")
    # No value: a validation rejects it, until day 5.
    yield result(2, "CRP", 3, None)
    yield result(2, "CRP", 5, "7.1")
    # No number, and nobody has mended it yet.
    yield result(3, "HB", 5, "see letter")
    yield result(7, "TSH", 4, "2.2")


class _CopyText(io.TextIOBase):
    """Rows as PostgreSQL's COPY text, made as they are read: memory does not grow with their number."""

    def __init__(self, rows: Iterable[tuple[str | None, ...]]) -> None:
        self._lines = ("\t".join("\\N" if v is None else v for v in row) + "\n" for row in rows)
        self._rest = ""

    def read(self, size: int | None = -1, /) -> str:
        parts, length = [self._rest], len(self._rest)
        while size is None or size < 0 or length < size:
            line = next(self._lines, None)
            if line is None:
                break
            parts.append(line)
            length += len(line)
        text = "".join(parts)
        end = len(text) if size is None or size < 0 else size
        self._rest = text[end:]
        return text[:end]

"""What the hospital information system delivers: six files a day, everything each time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyelt_provider.sample import story
from pyelt_provider.sample.calendar_days import day_of
from pyelt_provider.sample.people import address, birth_date, first_name, last_name, mixed, mobile, phone

FIRST_NUMBER = 101
"""The number of the first patient who is not a character of the story."""
LATE_DAY = 4
LATE_FILE = "practitioners.csv"
"""The file that is late on day LATE_DAY."""

DOCTORS = ("D01", "D02", "D03", "D04", "D05", "D06")
SPECIALISMS = ("CAR", "INT", "NEU", "ORT", "PED")


def write_day(folder: Path, day: int, *, patients: int, seed: int, leave_out: str = "") -> None:
    """Write the files of one day below ``folder/<date>``; each appears whole or not at all."""
    there = folder / day_of(day).isoformat()
    there.mkdir(parents=True, exist_ok=True)
    columns = (*story.PATIENT_COLUMNS, *(("email",) if day >= story.EMAIL_SINCE else ()))
    files: dict[str, tuple[tuple[str, ...] | None, Iterable[tuple[str, ...]], str]] = {
        "patients.csv": (columns, _patient_lines(day, patients, seed, columns), "utf-8"),
        "care_tracks.csv": (story.CARE_TRACK_COLUMNS, _care_track_lines(day, patients, seed), "utf-8"),
        "practitioners.csv": (("staff_code", "name", "specialism", "organisation_code"), practitioners(day), "utf-8"),
        "organisations.csv": (("code", "name", "kind", "city", "beds"), organisations(day), "iso-8859-1"),
        "codes.csv": (None, codes(day), "utf-8"),
        "tariffs.csv": (("code", "description", "valid_from", "valid_to", "amount"), tariffs(day), "utf-8"),
    }
    for name, (header, lines, encoding) in files.items():
        if name != leave_out:
            with whole_file(there / name, encoding) as file:
                writer = csv.writer(file, delimiter=";", lineterminator="\n")
                if header is not None:
                    writer.writerow(header)
                writer.writerows(lines)


def write_late_file(folder: Path, day: int = LATE_DAY) -> Path:
    """Write the file that is late, and return its path."""
    path = folder / day_of(day).isoformat() / LATE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(("staff_code", "name", "specialism", "organisation_code"))
        writer.writerows(practitioners(day))
    return path


@contextmanager
def whole_file(path: Path, encoding: str) -> Iterator[Any]:
    """Open a file for writing under another name and give it its own name at the end: no reader sees half of it."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding=encoding, newline="") as file:
        yield file
    part.replace(path)


def present(number: int, day: int, patients: int) -> bool:
    """Say whether a patient (not a character) is registered on a day.

    Of the first `patients`, one in 200 leaves for good on each day from the second, and one in 200 is missing on that
    day only. One percent comes new on each day.
    """
    last = FIRST_NUMBER + patients - 1
    if number > last:
        return day >= 2 + (number - last - 1) // newcomers(patients)
    turn = number % 200
    leaves, missing = turn - 40, turn - 140
    return not (2 <= leaves <= min(day, 39)) and not (2 <= missing <= 39 and missing == day)


def newcomers(patients: int) -> int:
    """Return how many patients come new on each day from the second."""
    return max(1, patients // 100)


def numbers(day: int, patients: int) -> Iterator[int]:
    """Give the numbers of the patients (characters left out) that are registered on a day, in order."""
    last = FIRST_NUMBER + patients - 1 + newcomers(patients) * (day - 1)
    return (number for number in range(FIRST_NUMBER, last + 1) if present(number, day, patients))


def moves(number: int, day: int, patients: int) -> int:
    """Return how often a patient has moved: one percent of the first `patients` moves on each day from the second."""
    turn = number % 100
    if number >= FIRST_NUMBER + patients or not 2 <= turn <= 39 or day < turn:
        return 0
    return (day - turn) // 40 + 1


def _patient_lines(day: int, patients: int, seed: int, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for character in story.PATIENTS:
        for row in character.rows(day):
            yield tuple(row[column] for column in columns)
    for number in numbers(day, patients):
        dice = mixed(seed, number)
        line = (
            f"{number:07d}",
            last_name(dice),
            first_name(dice),
            birth_date(dice),
            "X" if dice % 100 == 99 else "FM"[dice % 2],
            *address(dice, moves(number, day, patients)),
            phone(dice),
            mobile(dice),
            f"P{number:07d}",
            f"GP{1 + number % 12:02d}",
            DOCTORS[number % 6] if number % 3 else "",
        )
        yield line if day < story.EMAIL_SINCE else (*line, _email(number, patients))


def _email(number: int, patients: int) -> str:
    came = 2 + (number - FIRST_NUMBER - patients) // newcomers(patients)
    newcomer = number >= FIRST_NUMBER + patients and came >= story.EMAIL_SINCE
    return f"p{number}@clinic.example" if newcomer else ""


def _care_track_lines(day: int, patients: int, seed: int) -> Iterator[tuple[str, ...]]:
    for character in story.CARE_TRACKS:
        for row in character.rows(day):
            yield tuple(row[column] for column in story.CARE_TRACK_COLUMNS)
    for number in numbers(day, patients):
        for track in range(1, number % 3 + 1):
            yield _care_track(number, track, day, seed)


def _care_track(number: int, track: int, day: int, seed: int) -> tuple[str, ...]:
    """One track in fifty goes to another practitioner on each day from the second; one in forty has none."""
    dice = mixed(seed, number, track)
    started = date(2025, 6, 1) + timedelta(days=dice % 210)
    moved = 1 if 2 <= number % 50 <= day else 0
    return (
        f"{number:07d}",
        str(track),
        SPECIALISMS[dice // 11 % 5],
        started.isoformat(),
        (started + timedelta(days=dice // 13 % 90)).isoformat() if dice % 4 == 0 else "",
        "" if number % 40 == 39 else DOCTORS[(number + track + moved) % 6],
        f"GP{1 + number % 12:02d}",
        (started - timedelta(days=7)).isoformat(),
    )


def practitioners(day: int) -> list[tuple[str, ...]]:
    """D07 is here from day 3, D03 has another specialism from day 4, N02 leaves on day 5."""
    rows: list[tuple[str, ...]] = [
        ("D01", "dr. Vos", "CAR", "C01"),
        ("D02", "dr. Das", "CAR", "C01"),
        ("D03", "dr. Haas", "INT" if day < 4 else "NEU", "C02"),
        ("D04", "dr. Egel", "NEU", "C02"),
        ("D05", "dr. Bever", "ORT", "C03"),
        ("D06", "dr. Specht", "PED", "C03"),
        ("N01", "zr. Merel", "", "C01"),
    ]
    if day >= 3:
        rows.append(("D07", "dr. Otter", "DER", "C03"))
    if day < 5:
        rows.append(("N02", "br. Snoek", "", "C02"))
    return rows


def organisations(day: int) -> list[tuple[str, ...]]:
    """C02 gets more beds on day 5."""
    return [
        ("C01", "Kliniek Zuidwal", "clinic", "Zuidwal", "120"),
        ("C02", "Kliniek Duinstad", "clinic", "Duinstad", "40" if day < 5 else "44"),
        ("C03", "Polikliniek Zoë", "clinic", "Havermeer", "0"),
        ("A01", "Apotheek De Vijzel", "pharmacy", "Duinstad", ""),
        ("L01", "Laboratorium Reageerbuis", "laboratory", "Lindendam", ""),
    ]


def codes(day: int) -> list[tuple[str, ...]]:
    """DER is there from day 2, NEU gets another description on day 4."""
    rows: list[tuple[str, ...]] = [
        ("sex", "F", "female"),
        ("sex", "M", "male"),
        ("sex", "X", "not known"),
        ("specialism", "CAR", "cardiology"),
        ("specialism", "INT", "internal medicine"),
        ("specialism", "NEU", "neurology" if day < 4 else "neurology and neurosurgery"),
        ("specialism", "ORT", "orthopaedics"),
        ("specialism", "PED", "paediatrics"),
    ]
    return rows if day < 2 else [*rows, ("specialism", "DER", "dermatology")]


def tariffs(day: int) -> list[tuple[str, ...]]:
    """On day 4, the first of February, the price of T02 goes up: its period ends and another begins."""
    rows: list[tuple[str, ...]] = [
        ("T01", "First consultation", "2025-01-01", "2025-12-31", "80.00"),
        ("T01", "First consultation", "2026-01-01", "", "85.00"),
        ("T02", "Follow-up consultation", "2025-01-01", "", "42.50"),
        ("T03", "Admission, per day", "2025-01-01", "", "410.00"),
    ]
    if day >= 4:
        rows[2] = ("T02", "Follow-up consultation", "2025-01-01", "2026-01-31", "42.50")
        rows.append(("T02", "Follow-up consultation", "2026-02-01", "", "45.00"))
    return rows

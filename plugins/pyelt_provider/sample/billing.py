"""What the billing bureau delivers: a fixed width file a month, with new invoices and those whose status changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from pyelt_provider.sample.calendar_days import months
from pyelt_provider.sample.his import FIRST_NUMBER, whole_file
from pyelt_provider.sample.people import last_name, mixed

INSURERS = ("De Eerste Zorg", "Onderlinge Duinstad", "Zekerheid")


def write_months(folder: Path, *, days: int, patients: int, seed: int) -> None:
    """Write ``folder/<yyyy-mm>/invoices.txt`` for each month that has one of the days in it."""
    before: date | None = None
    for month in months(days):
        there = folder / f"{month:%Y-%m}"
        there.mkdir(parents=True, exist_ok=True)
        with whole_file(there / "invoices.txt", "iso-8859-1") as file:
            file.write(f"INVOICES {month:%Y-%m}".ljust(91) + "\n")
            if before is not None:
                file.writelines(_followed_up(before, patients, seed))
            file.writelines(_new(month, patients, seed))
        before = month


def _new(month: date, patients: int, seed: int) -> Iterator[str]:
    """Every second patient gets an invoice each month, and three characters of the story do."""
    yield from _story_lines(month)
    for number in _invoiced(patients):
        yield _line(month, number, "O", seed)


def _followed_up(month: date, patients: int, seed: int) -> Iterator[str]:
    """Of the month before, three invoices in ten were paid, and one in fifty was cancelled."""
    for number in _invoiced(patients):
        if number % 20 in (1, 3, 5):
            yield _line(month, number, "P", seed)
        elif number % 100 == 7:
            yield _line(month, number, "X", seed)


def _invoiced(patients: int) -> range:
    return range(FIRST_NUMBER, FIRST_NUMBER + patients, 2)


def _line(month: date, number: int, status: str, seed: int) -> str:
    dice = mixed(seed, number)
    cents = 1_000 + mixed(seed, number, month.toordinal()) % 90_000
    issued = month + timedelta(days=dice % 28)
    return _fixed(month, number, last_name(dice), INSURERS[number % 3], f"P{number:07d}", issued, cents, status)


def _story_lines(month: date) -> Iterator[str]:
    yield _fixed(month, 1, "Aarden", INSURERS[0], "S0000001", month, 12_550, "O")
    # Patient 2 changes insurer in February.
    yield _fixed(month, 2, "Beemster", INSURERS[month.month - 1], "S0000002", month, 8_500, "O")
    # The hospital does not know patient 13.
    yield _fixed(month, 13, "Molenaar", INSURERS[2], "S0000013", month, 41_000, "O")


def _fixed(
    month: date, number: int, name: str, insurer: str, policy: str, issued: date, cents: int, status: str
) -> str:
    invoice = f"F{month:%y%m}{number:07d}"
    return f"{invoice:<12}{number:07d}{name.upper():<24}{insurer:<20}{policy:<10}{issued:%Y%m%d}{cents:09d}{status}\n"

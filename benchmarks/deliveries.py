"""Writes the files to load: patients who do not exist, always the same for the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

COLUMNS = (
    "patient_number",
    "last_name",
    "first_name",
    "birth_date",
    "sex",
    "street",
    "postcode",
    "city",
    "phone",
    "mobile",
    "practitioner",
)
PRACTITIONERS = 1000
_SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "za")
_CITIES = tuple(f"{a}{b}stad".capitalize() for a in _SYLLABLES for b in _SYLLABLES[:8])


@dataclass(frozen=True, slots=True)
class Delivery:
    """One night's full delivery: the first night's `rows` patients after `nights` nights of changes.

    Each night takes away `share` of the patients, changes as many (address, and every second one the practitioner) and
    adds as many; those that it takes away or changes stand next to each other. After them come `scattered` nights of as
    many changes all over the file. `turned`: the second half of the file comes first, so that no row stands where it
    stood.
    """

    rows: int
    nights: int
    share: float = 0.01
    turned: bool = False
    scattered: int = 0

    def write(self, file: Path) -> None:
        """Write the delivery as a CSV file with a header."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8", newline="") as output:
            output.write(";".join(COLUMNS) + "\n")
            output.writelines(self._lines())

    def _lines(self) -> Iterator[str]:
        step = max(int(self.rows * self.share), 1)
        first, end = self.nights * step, self.rows + self.nights * step
        last = end + self.scattered * step
        numbers: Iterable[int] = range(first, last)
        if self.turned:
            middle = first + self.rows // 2
            numbers = chain(range(middle, last), range(first, middle))
        period = int(1 / self.share)
        for number in numbers:
            slot = number % period if number < end else period
            if slot >= self.scattered:
                yield _line(number, self._version(number, step) + (period // 2 <= slot < period // 2 + self.scattered))

    def _version(self, number: int, step: int) -> int:
        """How often the patient was changed: each night's patients stand behind those whom the next nights take away."""
        first = self.rows // 2
        return int(first <= number < first + self.nights * step)


def _line(number: int, version: int) -> str:
    digits = _mixed(number)
    letters = _mixed(number + 77_777_777_777)
    address = _mixed(number + 1_000_003 * version) if version else letters >> 3
    practitioner = (digits + (version if number % 2 else 0)) % PRACTITIONERS
    return (
        f"{number:09d};{_name(letters).capitalize()};{_name(letters >> 16).capitalize()};"
        f"{1930 + digits % 90}-{1 + digits % 12:02d}-{1 + digits % 28:02d};{'mf'[digits & 1]};"
        f"{_name(letters >> 32)}straat {1 + address % 200};{1000 + address % 9000}AB;"
        f"{_CITIES[address % len(_CITIES)]};0{100000000 + digits % 899999999};06{10000000 + letters % 89999999};"
        f"G{practitioner:04d}\n"
    )


def _mixed(number: int) -> int:
    """64 bits that look random; much faster than a generator of its own for each row."""
    number = (number + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    number = (number ^ number >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return number ^ number >> 31


def _name(bits: int) -> str:
    return _SYLLABLES[bits & 15] + _SYLLABLES[bits >> 4 & 15] + _SYLLABLES[bits >> 8 & 15] + _SYLLABLES[bits >> 12 & 15]

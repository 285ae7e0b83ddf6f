"""Fixed width files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from databases import Database
from pyelt_provider.model.staging import FixedColumn, FixedWidthFile
from staging.deliveries import TABLE, Town


def file(**settings: Any) -> FixedWidthFile:
    columns = (
        FixedColumn(name="nr", start=1, width=3),
        FixedColumn(name="naam", start=4, width=6),
        FixedColumn(name="plaats", start=12, width=4),
    )
    return FixedWidthFile(path="patients.csv", columns=columns, **settings)


def test_values_are_cut_at_their_places_and_blanks_behind_them_go(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=file())
    town.load("001An     .Urk \n002  Zoë  .Ede \n003       .    \n004a\\tb\t  .x\\N \n")
    assert town.active("nr, naam, plaats") == [
        ("001", "An", "Urk"),
        ("002", "  Zoë", "Ede"),
        ("003", None, None),
        ("004", "a\\tb\t", "x\\N"),
    ]


def test_values_may_stay_as_wide_as_they_are(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=file(strip=False, empty_is_null=False, skip_lines=2, encoding="latin-1"))
    town.load("heading\n\n001Zoë    .Urk \r\n".encode("latin-1"))
    assert town.active("nr, naam, plaats") == [("001", "Zoë   ", "Urk ")]


def test_many_lines_and_a_second_delivery(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=file())
    lines = [f"{n:03d}naam{n % 10}  .Urk \n" for n in range(999)]
    assert town.load("".join(lines))[TABLE]["inserted"] == 999
    lines[500] = "500Anders .Urk "
    assert town.load("".join(lines[:501]) + "\n" + "".join(lines[501:]), day=2)[TABLE] == {
        "read": 999,
        "closed": 1,
        "changed": 1,
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"001Geheim .Urk \n002Geheim .Ur\n", "line 2: the line has 13 characters where 15 are declared"),
        (b"001Geheim .Urk \n\n", "line 2: the line has 0 characters"),
        (b"001Geheim .Urk \n002Gehei\x00.Urk  \n", "line 2: it has a NUL byte"),
        (b"001Geheim .Urk \n002Geh\xe9im .Urk \n", "it has bytes that are not text in the declared encoding"),
    ],
)
def test_a_file_that_cannot_be_read_as_declared_is_refused_whole(
    warehouse: Database, tmp_path: Path, content: bytes, what: str
) -> None:
    town = Town(warehouse, tmp_path, source=file())
    town.load("001An     .Urk \n")
    message = town.refuses(content)
    assert what in message and "Geh" not in message


def test_debug_reads_100_lines(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=file(skip_lines=1))
    town.configure(pipeline={"debug": True})
    assert town.load("heading\n" + "".join(f"{n:03d}naam   .Urk \n" for n in range(300)))[TABLE]["read"] == 100

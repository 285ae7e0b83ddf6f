"""A large delivery needs no more memory of the worker than a small one."""

from __future__ import annotations

import resource
from pathlib import Path

from databases import Database
from pyelt_provider.model.staging import FixedColumn, FixedWidthFile, SourceQuery
from sources.test_databases import town_on
from staging.deliveries import TABLE, Town

MEGABYTES = 1024  # getrusage counts in kilobytes


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTES


def test_files_of_forty_megabytes(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load("nr,naam\n1,An\n")
    before = peak()
    block = "x" * 10_000
    with (tmp_path / "patients.csv").open("w") as file:
        file.write("nr,naam\n")
        for number in range(4_000):
            file.write(f"{number},{block}\n")
    assert town.load(day=2)[TABLE]["read"] == 4_000
    assert peak() - before < 15

    columns = (FixedColumn(name="nr", start=1, width=6), FixedColumn(name="naam", start=7, width=94))
    town.configure(source=FixedWidthFile(path="fixed.txt", columns=columns), key=("nr",))
    with (tmp_path / "fixed.txt").open("w") as file:
        for number in range(300_000):
            file.write(f"{number:06d}{'y' * 94}\n")
    assert town.load(day=3, allow_deletions=True)[TABLE]["read"] == 300_000
    assert peak() - before < 15


def test_a_query_of_forty_megabytes(warehouse: Database, source_database: Database, tmp_path: Path) -> None:
    query = "select n as nr, repeat('z', 10000) as naam from generate_series(1, {rows}) n"
    town = town_on(warehouse, tmp_path, source_database.url, source=SourceQuery(sql=query.format(rows=10)))
    town.load()
    before = peak()
    town.configure(source=SourceQuery(sql=query.format(rows=4_000)))
    assert town.load(day=2)[TABLE]["read"] == 4_000
    assert peak() - before < 15

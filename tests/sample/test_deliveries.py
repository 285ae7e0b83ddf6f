"""The sample's deliveries: always the same, as large as asked for, and with the story in them."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.errors import PyeltError
from pyelt_provider.sample.deliveries import late_delivery, write_deliveries, write_late_deliveries


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def patients(folder: Path, day: str) -> Iterator[dict[str, str]]:
    with (folder / "his" / day / "patients.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter=";")


def told(folder: Path, number: str, column: str) -> list[list[str]]:
    """What the six files say of one patient in one column: a list per day, with a value per row."""
    days = ("2026-01-29", "2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03")
    return [[row[column] for row in patients(folder, day) if row["patient_number"] == number] for day in days]


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deliveries")
    write_deliveries(folder, None)
    return folder


def test_the_same_arguments_give_the_same_bytes(deliveries: Path, tmp_path: Path) -> None:
    write_deliveries(tmp_path, None)
    assert content(tmp_path) == content(deliveries)


def test_another_seed_gives_other_people_in_the_same_story(deliveries: Path, tmp_path: Path) -> None:
    write_deliveries(tmp_path, None, seed=2)
    ours, theirs = list(patients(deliveries, "2026-01-29")), list(patients(tmp_path, "2026-01-29"))
    assert len(ours) == len(theirs) == 1011
    assert ours[:11] == theirs[:11]
    assert ours[11:] != theirs[11:]


def test_each_day_has_six_files_and_each_month_has_one(deliveries: Path) -> None:
    his = ("care_tracks", "codes", "organisations", "patients", "practitioners", "tariffs")
    days = ("2026-01-29", "2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03")
    assert list(content(deliveries)) == [
        "billing/2026-01/invoices.txt",
        "billing/2026-02/invoices.txt",
        *(f"his/{day}/{name}.csv" for day in days for name in his),
    ]


def test_on_every_day_patients_come_move_and_go(tmp_path: Path) -> None:
    write_deliveries(tmp_path, None, patients=2000)
    before = {row["patient_number"]: row for row in patients(tmp_path, "2026-01-30")}
    after = {row["patient_number"]: row for row in patients(tmp_path, "2026-01-31")}
    ordinary = {number for number in {*before, *after} if number > "0000100"}
    came = [n for n in ordinary if n in after and n not in before]
    went = [n for n in ordinary if n in before and n not in after]
    moved = [
        n for n in ordinary if n in before and n in after and before[n]["house_number"] != after[n]["house_number"]
    ]
    # 1% new and 0.5% back; 0.5% for good and 0.5% for a day; 1% to another address.
    assert (len(came), len(went), len(moved)) == (20 + 10, 10 + 10, 20)


@pytest.mark.parametrize(
    ("number", "column", "expected"),
    [
        ("0000001", "street", [['Lange Gang; hoek "Klein"']] * 6),
        ("0000002", "house_number", [["2"], ["22"], ["22"], ["2"], ["2"], ["2"]]),
        ("0000003", "last_name", [["Citroen"], ["Citroen"], [], [], ["Citroen"], ["Citroen"]]),
        (
            "0000004",
            "phone",
            [["020-555 0004"], ["020-555 0004", "020-555 9999"], *[["020-555 4444"]] * 4],
        ),
        ("0000005", "postcode", [["1234 AB"], ["0000 AA"], ["0000 AA"], *[["1234 AC"]] * 3]),
        ("0000006", "house_number", [["6 bis"], ["6 bis"], *[["6"]] * 4]),
        ("0000007", "last_name", [[], [], [], *[["Gorssel"]] * 3]),
        ("0000008", "last_name", [*[["Heideveld"]] * 3, [], [], []]),
        ("0000009", "policy_number", [*[["S0000009"]] * 2, *[["S0000010"]] * 2, *[["S0000009"]] * 2]),
        ("0000010", "policy_number", [["S0000010"]] * 6),
        ("0000011", "mobile", [*[["06-0055 0011"]] * 2, *[[""]] * 4]),
        ("0000012", "postcode", [*[["1234 AB"]] * 4, *[["0000 ZZ"]] * 2]),
    ],
)
def test_the_story_of_each_patient_is_told(
    deliveries: Path, number: str, column: str, expected: list[list[str]]
) -> None:
    assert told(deliveries, number, column) == expected


def test_a_new_column_comes_on_the_first_of_february(deliveries: Path) -> None:
    def header(day: str) -> list[str]:
        return (deliveries / "his" / day / "patients.csv").read_text(encoding="utf-8").splitlines()[0].split(";")

    assert header("2026-02-01") == [*header("2026-01-31"), "email"]


def test_the_late_file_is_left_out_until_it_is_asked_for(deliveries: Path, tmp_path: Path) -> None:
    write_deliveries(tmp_path, None, hold_back_late=True)
    assert late_delivery(tmp_path) == tmp_path / "his" / "2026-02-01" / "practitioners.csv"
    assert not late_delivery(tmp_path).exists()
    assert write_late_deliveries(tmp_path) == late_delivery(tmp_path)
    assert content(tmp_path) == content(deliveries)


def test_a_story_that_ends_before_the_late_file_has_none(tmp_path: Path) -> None:
    assert write_late_deliveries(tmp_path, days=3) is None
    assert content(tmp_path) == {}


def test_invoices_have_every_field_at_its_place(deliveries: Path) -> None:
    lines = (deliveries / "billing" / "2026-02" / "invoices.txt").read_text(encoding="iso-8859-1").splitlines()
    assert {len(line) for line in lines} == {91}
    changed = next(line for line in lines if line[12:19] == "0000002")
    assert changed == "F260200000020000002BEEMSTER                Onderlinge Duinstad S0000002  20260201000008500O"


def test_memory_does_not_grow_with_the_number_of_patients(tmp_path: Path, source_database: Database) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        write_deliveries(tmp_path, source_database.dba_url, patients=count, days=2)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # imports and caches
    assert peak(6_000) < 2 * peak(600)


def test_the_laboratory_answers_for_any_day(source_database: Database, tmp_path: Path) -> None:
    write_deliveries(tmp_path, source_database.dba_url)

    def orders(moment: str) -> list[tuple[object, ...]]:
        return source_database.rows(
            """
            select order_number, status from lab.lab_order
            where valid_from < %(moment)s and (valid_to is null or valid_to >= %(moment)s)
              and order_number < 'L0000100' order by order_number
            """,
            {"moment": moment},
        )

    assert orders("2026-01-30T01:00:00+00:00") == [("L0000001", "requested")]
    assert orders("2026-02-01T01:00:00+00:00") == [
        ("L0000001", "done"),
        ("L0000002", "done"),
        ("L0000007", "requested"),
    ]
    assert orders("2026-02-04T01:00:00+00:00") == [
        ("L0000001", "done"),
        ("L0000002", "done"),
        ("L0000003", "done"),
        ("L0000007", "done"),
    ]


def test_the_laboratory_keeps_what_was_corrected_and_withdrawn(source_database: Database, tmp_path: Path) -> None:
    write_deliveries(tmp_path, source_database.dba_url, patients=10)
    history = """
        select analyte_code, value, state, to_char(changed_at, 'MM-DD') from lab.result
        where order_number = 'L0000001' order by analyte_code, changed_at
        """
    assert source_database.rows(history) == [
        ("GLU", "haemolytic", "final", "01-30"),
        ("GLU", "5.4", "corrected", "02-01"),
        ("K", "4.1", "final", "01-30"),
        ("K", "4.1", "withdrawn", "02-02"),
        ("NA", "140", "final", "01-30"),
        ("NA", "141", "corrected", "01-31"),
    ]


def test_writing_the_laboratory_again_replaces_it(source_database: Database, tmp_path: Path) -> None:
    write_deliveries(tmp_path, source_database.dba_url, patients=1000)
    write_deliveries(tmp_path, source_database.dba_url, patients=1000)
    assert source_database.rows("select count(*) from lab.lab_order") == [(496,)]


def test_a_schema_of_somebody_else_is_not_replaced(source_database: Database, tmp_path: Path) -> None:
    source_database.execute("create schema lab; create table lab.precious (id integer)")
    with pytest.raises(PyeltError, match="a schema lab that is not the sample's"):
        write_deliveries(tmp_path, source_database.dba_url)
    assert source_database.rows("select count(*) from lab.precious") == [(0,)]

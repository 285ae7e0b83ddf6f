"""Bad deliveries: each gets a clear error with its place and without data, and leaves the warehouse as it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.errors import DeliveryMissing, DeliveryRefused
from pyelt_provider.model.staging import CsvFile
from staging.deliveries import TABLE, Town

GOOD = "nr,naam\n1,An\n2,Bo\n3,Cor\n"
SECRET = "Geheimenaam"


@pytest.fixture
def town(warehouse: Database, tmp_path: Path) -> Town:
    """A table with three rows, loaded on day 1."""
    loaded = Town(warehouse, tmp_path)
    loaded.load(GOOD)
    return loaded


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty, it has not even a header"),
        (b"\xef\xbb\xbf", "the file is empty, it has not even a header"),
        (f"nr,naam\n1,An\n2,{SECRET},x\n", "line 3: the row has too many columns"),
        (f"nr,naam\n1,An\n{SECRET}\n", "line 3: the row has too few columns"),
        (f'nr,naam\n1,An\n2,"{SECRET}\n3,Cor\n', "a quote is opened and never closed"),
        (b"nr,naam\n1,An\n2,Geheimenaam\xe9\n", "line 3: it has bytes that are not text in the declared encoding"),
        (b"nr,naam\n1,An\n2,Geheimenaam\x00\n", "line 3: it has a NUL byte"),
        (f"nr,naam\r\n1,An\r\n2,{SECRET}\n3,x\r\n", "line ends are mixed"),
    ],
)
def test_a_file_that_cannot_be_read_as_declared_is_refused_whole(town: Town, content: str | bytes, what: str) -> None:
    message = town.refuses(content)
    assert what in message
    assert "patients.csv" in message and TABLE in message
    assert SECRET not in message


def test_nothing_of_a_refused_delivery_stands_in_the_run_log(town: Town) -> None:
    town.refuses(f"nr,naam\n1,{SECRET},x\n")
    assert town.rows("select count(*) from sys.attempts as a where a::text like %s", (f"%{SECRET}%",)) == [(0,)]


def test_the_run_goes_on_with_a_corrected_file(town: Town) -> None:
    town.refuses("nr,naam\n1,An,x\n")
    assert town.load("nr,naam\n1,Anna\n2,Bo\n3,Cor\n", day=2) == {TABLE: {"read": 3, "closed": 1, "changed": 1}}


def test_a_bad_first_delivery_leaves_an_empty_table(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.deliver(f"nr,naam\n1,An\n2,{SECRET},x\n")
    assert "line 3" in town.loader.fails()
    assert town.rows(f"select count(*) from {TABLE}") == [(0,)]
    assert town.load(GOOD)[TABLE]["inserted"] == 3


def test_a_missing_file_is_waited_for_or_fails_and_deletes_nothing(town: Town) -> None:
    (town.folder / "patients.csv").unlink()
    before = town.everything()
    with pytest.raises(DeliveryMissing, match=r"there is no file .*patients\.csv"):
        town.load(day=2)
    assert town.everything() == before


def test_a_missing_column_is_refused_by_name(town: Town) -> None:
    assert "column naam is missing among the 2 columns" in town.refuses(f"nr,{SECRET}\n1,x\n")


def test_a_missing_key_column_is_refused_by_name(town: Town) -> None:
    assert "column nr is missing among the 1 columns" in town.refuses("naam\nAn\n")


def test_reordered_columns_are_matched_by_name(town: Town) -> None:
    numbers = town.load("naam,nr\nAn,1\nBo,2\nCor,3\n", day=2)
    assert numbers == {TABLE: {"read": 3}}


def test_a_new_column_is_added(town: Town) -> None:
    numbers = town.load("nr,plaats,naam\n1,Urk,An\n2,,Bo\n3,,Cor\n", day=2)
    assert numbers == {TABLE: {"read": 3, "closed": 1, "changed": 1}}
    assert town.active("nr, naam, plaats") == [("1", "An", "Urk"), ("2", "Bo", None), ("3", "Cor", None)]


def test_a_column_that_is_no_longer_wanted_may_go(town: Town) -> None:
    town.configure(columns=("nr",))
    numbers = town.load("nr\n1\n2\n4\n", day=2)
    assert numbers == {TABLE: {"read": 3, "deleted": 1, "inserted": 1}}
    assert town.active() == [("1", "An"), ("2", "Bo"), ("4", None)]


def test_only_the_declared_columns_are_taken(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, columns=("naam",))
    town.load("nr,oud,naam\n1,x,An\n")
    town.load("nr,oud,naam\n1,y,An\n", day=2)
    assert town.history() == [("1", "An", True, 0, "1.00", None, None)]
    assert (
        town.rows(
            "select column_name from information_schema.columns where table_name = 'patient_hstage' and column_name = 'oud'"
        )
        == []
    )


def test_a_delivery_that_changed_between_the_two_tasks_is_refused(town: Town) -> None:
    town.deliver("nr,naam,extra\n1,An,x\n")
    before = town.everything()
    with pytest.raises(DeliveryRefused, match=r"column 3 of the delivery is not in the table yet.*ddl_sor"):
        town.loader.run(date(2026, 1, 2), stages={"his.sor.etl_sor"})
    assert town.everything() == before


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("nr,naam,naam", "columns 2 and 3 have the same name"),
        ("nr,naam,Naam", "columns 2 and 3 have the same name"),
        ("nr,naam, ", "column 3 of the delivery has no name"),
        (f"nr,naam,{'x' * 200}", "column 3 of the delivery has a name of 200 bytes, PostgreSQL keeps 63"),
        (f"nr,naam,{'é' * 32}", "column 3 of the delivery has a name of 64 bytes"),
        ("nr,naam,_runid", "column 3 of the delivery is called _runid"),
        ("nr,naam,ctid", "column 3 of the delivery is called ctid"),
    ],
)
def test_header_names_that_no_column_can_have(town: Town, header: str, what: str) -> None:
    assert what in town.refuses(f"{header}\n1,An,x\n")


def test_a_header_with_sql_words_blanks_and_quotes(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    header = 'nr,order,select,Voor naam, "kolom; drop table x",50%,"a""b",%(x)s,naam'.replace(', "', ',"')
    town.load(f"{header}\n1,2,3,4,5,6,7,8,An\n")
    town.load(f"{header}\n1,2,3,4,5,6,7,9,An\n", day=2)
    columns = '"order", "select", "voor naam", "kolom; drop table x", "50%", "a""b", "%(x)s"'
    assert town.warehouse.rows(f"select {columns} from {TABLE} where _active".replace("%", "%%"), ()) == [
        ("2", "3", "4", "5", "6", "7", "9")
    ]


def test_a_header_in_other_letters_continues_the_columns_that_are_there(town: Town) -> None:
    assert town.load("NR,Naam\n1,An\n2,Bo\n3,Cor\n", day=2) == {TABLE: {"read": 3}}


def test_a_byte_order_mark_is_not_a_part_of_the_first_name(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load(b'\xef\xbb\xbf"nr",naam\n1,An\n')
    assert town.active() == [("1", "An")]


def test_a_quoted_header_with_line_ends_in_it(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path)
    town.load('nr,naam,"twee\nregels"\n1,An,x\n')
    assert town.active('nr, "twee\nregels"') == [("1", "x")]


def test_a_file_without_a_header_gets_the_names_of_the_config(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=CsvFile(path="patients.csv", header=False, names=("nr", "naam")))
    town.load("1,An\n2,Bo\n")
    assert town.active() == [("1", "An"), ("2", "Bo")]
    assert "the file is empty" in town.refuses(b"")


def test_names_of_the_config_replace_a_header(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=CsvFile(path="patients.csv", names=("nr", "naam")))
    town.load("Nummer van de patient,Naam\n1,An\n")
    assert town.active() == [("1", "An")]
    assert "its header has 3 columns and the config gives names for 2" in town.refuses("a,b,c\n1,2,3\n")


def test_delimiters_quotes_escapes_nulls_and_encodings(warehouse: Database, tmp_path: Path) -> None:
    source = CsvFile(path="patients.csv", delimiter=";", quote="'", escape="\\", null="NULL", encoding="cp1252")
    town = Town(warehouse, tmp_path, source=source)
    town.load("nr;naam\r\n1;'Zoë; \\'t €'\r\n2;NULL\r\n3;\r\n".encode("cp1252"))
    assert town.active() == [("1", "Zoë; 't €"), ("2", None), ("3", "")]


@pytest.mark.parametrize("encoding", ["utf-16", "cp850", "iso-8859-15", "mac-roman"])
def test_encodings_that_postgresql_does_not_read_itself(warehouse: Database, tmp_path: Path, encoding: str) -> None:
    town = Town(warehouse, tmp_path, source=CsvFile(path="patients.csv", encoding=encoding))
    town.load("nr,naam\n1,Zoë\n".encode(encoding))
    assert town.active() == [("1", "Zoë")]


def test_half_a_character_in_utf_16_is_refused(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=CsvFile(path="patients.csv", encoding="utf-16"))
    town.load("nr,naam\n1,An\n".encode("utf-16"))
    assert "not text in the declared encoding" in town.refuses("nr,naam\n1,An\n".encode("utf-16")[:-1])


def test_a_file_without_quoting(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=CsvFile(path="patients.csv", quote=""))
    town.load('nr,naam\n1,An "de" Boer"\n')
    assert town.active() == [("1", 'An "de" Boer"')]


def test_a_folder_in_place_of_a_file(town: Town) -> None:
    (town.folder / "patients.csv").unlink()
    (town.folder / "patients.csv").mkdir()
    assert "is a folder" in town.refuses(None)


def test_the_path_is_a_template_of_the_run(warehouse: Database, tmp_path: Path) -> None:
    town = Town(warehouse, tmp_path, source=CsvFile(path="{{ ds }}/patients.csv"))
    (tmp_path / "2026-01-05").mkdir()
    town.deliver("nr,naam\n1,An\n", name="2026-01-05/patients.csv")
    town.load(day=5)
    assert town.active() == [("1", "An")]

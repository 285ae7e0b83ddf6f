"""One pipe that reads files, its own database and another one: each table from where it says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from databases import Database
from loading import Loader
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.planning.describe import delivery_text, source_text

PIPE = """
source_path: files
source_connection: {url}
default_schema: public
sor:
  patient_hstage: {{csv: patients.csv, key: [nr]}}
  visit_hstage: {{table: visits, key: [nr]}}
  price_hstage: {{table: prices, source_connection: "sqlite://{folder}/prices.db", key: [code]}}
  code_hstage: {{query: select distinct code from prices, source_connection: "sqlite://{folder}/prices.db", key: [code]}}
"""
ROWS = """
select 'patient' as what, nr, name, _active from sor_his.patient_hstage
union all select 'visit', nr, code, _active from sor_his.visit_hstage
union all select 'price', code, price, _active from sor_his.price_hstage
union all select 'code', code, null, _active from sor_his.code_hstage
order by 1, 2, 4"""


def prices(folder: Path, statements: str) -> None:
    connection = sqlite3.connect(folder / "prices.db")
    connection.executescript(statements)
    connection.close()


def test_files_and_two_databases_are_one_pipe(warehouse: Database, source_database: Database, tmp_path: Path) -> None:
    (tmp_path / "pipes").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "pipeline.yaml").write_text("conn_dwh: dwh\n")
    (tmp_path / "pipes" / "his.yaml").write_text(PIPE.format(url=source_database.url, folder=tmp_path))
    (tmp_path / "files" / "patients.csv").write_text("nr,name\n1,An\n2,Bo\n")
    source_database.execute("create table visits (nr int, code text); insert into visits values (7, 'A'), (8, 'B')")
    prices(tmp_path, "create table prices (code text, price int); insert into prices values ('A', 10), ('B', 20)")
    loader = Loader(warehouse, read_pipeline(tmp_path))
    (pipe,) = loader.pipeline.pipes
    shown = source_text(pipe)
    assert shown.startswith("files in files; database postgresql://") and shown.endswith(
        f"sqlite://{tmp_path}/prices.db"
    )
    assert delivery_text(pipe.tables[2]) == f"table prices; database sqlite://{tmp_path}/prices.db"

    assert [outcome.failures for outcome in loader.run().values() if outcome.failures] == []
    first = [
        ("code", "A", None, True),
        ("code", "B", None, True),
        ("patient", "1", "An", True),
        ("patient", "2", "Bo", True),
        ("price", "A", "10", True),
        ("price", "B", "20", True),
        ("visit", "7", "A", True),
        ("visit", "8", "B", True),
    ]
    assert loader.rows(ROWS) == first
    assert [outcome.failures for outcome in loader.run(name="again").values() if outcome.failures] == []
    assert loader.rows(ROWS) == first

    (tmp_path / "files" / "patients.csv").write_text("nr,name\n1,Anna\n2,Bo\n")
    source_database.execute("delete from visits where nr = 8")
    prices(tmp_path, "update prices set price = 11 where code = 'A'")
    assert [outcome.failures for outcome in loader.run(name="third").values() if outcome.failures] == []
    assert loader.rows(ROWS) == [
        ("code", "A", None, True),
        ("code", "B", None, True),
        ("patient", "1", "An", False),
        ("patient", "1", "Anna", True),
        ("patient", "2", "Bo", True),
        ("price", "A", "10", False),
        ("price", "A", "11", True),
        ("price", "B", "20", True),
        ("visit", "7", "A", True),
        ("visit", "8", "B", False),
    ]

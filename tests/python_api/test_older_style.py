"""Projects of PyELT's older versions, and what its documentation shows, run too."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from databases import Database
from loading import Loader
from pyelt_provider.command_line.main import main
from pyelt_provider.config.reading import read_pipeline
from python_api.programs import write_program

DOMAIN = """
from pyelt.datalayers.database import Columns
from pyelt.datalayers.dv import DvEntity, Sat, LinkReference, Link


class Persoon(DvEntity):
    class Personalia(Sat):
        achternaam = Columns.TextColumn()


class Adres(DvEntity):
    class Default(Sat):
        straat = Columns.TextColumn()


class Persoon_Adres_Link(Link):
    persoon = LinkReference(Persoon)
    adres = LinkReference(Adres)

    class Details(Sat):
        sinds = Columns.DateColumn()
"""
PROGRAM = """
from main import get_root_path
from pyelt.mappings.source_to_sor_mappings import SorMapping
from pyelt.mappings.sor_to_dv_mappings import EntityMapping, LinkMapping
from pyelt.pipeline import Pipeline
from pyelt.sources.files import CsvFile
import domain
from domain import Adres, Persoon, Persoon_Adres_Link

config = {"conn_dwh": "dwh", "on_errors": "throw"}
source_config = {"sor_schema": "sor_test_source"}


def run_staging():
    pipeline = Pipeline(config)
    pipe = pipeline.get_or_create_pipe("test_source", source_config)
    source_file = CsvFile(get_root_path() + "/sample_data/personen1.csv", delimiter=";")
    source_file.reflect()
    source_file.set_primary_key(["nummer"])
    mapping = SorMapping(source_file, "persoon_hstage", auto_map=True)
    pipe.mappings.append(mapping)


def run_datavault():
    pipeline = Pipeline(config)
    pipe = pipeline.get_or_create_pipe("test_source", source_config)
    pipe.register_domain(domain)
    mapping = EntityMapping("persoon_hstage", Persoon, pipe.sor)
    mapping.map_field("nummer", Persoon.bk)
    mapping.map_field("achternaam", Persoon.Personalia.achternaam)
    pipe.mappings.append(mapping)
    mapping = EntityMapping("persoon_hstage", Adres, pipe.sor)
    mapping.map_bk("COALESCE(postcode, '') || COALESCE(huisnr, '')")
    mapping.map_field("straat", Adres.Default.straat)
    pipe.mappings.append(mapping)
    link_mapping = LinkMapping("persoon_hstage", Persoon_Adres_Link, pipe.sor)
    link_mapping.map_entity(Persoon_Adres_Link.persoon)
    link_mapping.map_entity(Persoon_Adres_Link.adres)
    link_mapping.map_field("sinds", Persoon_Adres_Link.Details.sinds)
    pipe.mappings.append(link_mapping)


def main():
    run_staging()
    run_datavault()
    Pipeline().run()


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sample_data").mkdir()
    (tmp_path / "sample_data" / "personen1.csv").write_text(
        "nummer;achternaam;straat;postcode;huisnr;sinds\n1;Smit;Kerkstraat;1111AA;1;2020-01-01\n"
        "2;Bos;Kerkstraat;1111AA;1;2021-01-01\n"
    )
    files = {"domain.py": DOMAIN, "program.py": PROGRAM, "pipeline.yaml": "pipeline: sample\npython: program\n"}
    return write_program(tmp_path, files)


def test_an_older_project_is_loaded(folder: Path, warehouse: Database) -> None:
    Loader(warehouse, read_pipeline(folder, {})).run(date(2026, 1, 1))
    assert warehouse.rows("select persoon_bk, adres_bk, details_sinds::text from dv.persoon_adres_view order by 1") == [
        ("1", "1111AA1", "2020-01-01"),
        ("2", "1111AA1", "2021-01-01"),
    ]
    assert warehouse.rows(
        "select tablename from pg_tables where schemaname = 'dv' and tablename like 'persoon_adres%' order by 1"
    ) == [("persoon_adres_link",), ("persoon_adres_link_sat_details",)]


def test_an_older_project_runs_by_hand_without_a_file_of_ours(
    folder: Path, warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pipeline.yaml").unlink()
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    assert main(["python", str(folder / "program.py")]) == 0
    assert warehouse.rows("select count(*) from dv.persoon_adres_link") == [(2,)]
    assert warehouse.rows("select runid::text, dag_id from sys.runs") == [("1.00", folder.name)]


def test_a_program_that_fails_by_hand_shows_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "program.py").write_text("import domain\n\ndomain.Persoon.Personalia.voornaam\n")
    assert main(["python", str(folder / "program.py")]) == 1
    printed = capsys.readouterr().err
    assert "line 3, in <module>" in printed and "pyelt_api" not in printed


def test_a_stage_that_fails_by_hand_fails_the_program(
    folder: Path, warehouse: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    (folder / "sample_data" / "personen1.csv").unlink()
    assert main(["python", str(folder / "program.py")]) != 0
    assert "the run ended with failures: test_source.sor.ddl_sor, " in capsys.readouterr().err

"""A project in the folders and words of PyELT's documentation runs as it is: by hand, and as a pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from databases import Database
from pyelt_provider.command_line.main import main

EXPECTED = {
    "select bk, type from dv.medewerker_hub order by 1": [
        ("rooster_1", "medewerker"),
        ("rooster_2", "therapeut"),
    ],
    "select bk, default_geboortedatum::text, geslacht_code_geslachten_omschr, naamgegevens_voornaam, "
    "telefoonnummers_vast_nummer, telefoonnummers_mobiel_nummer, telefoonnummers_fax_nummer_nummer "
    "from dv.medewerker_view order by 1": [
        ("rooster_1", "1980-02-01", "vrouw", "Ann", "030-1", "06-1", "030-9"),
        ("rooster_2", None, None, None, None, None, None),
    ],
    "select therapeutgegevens_agbcode, naamgegevens_achternaam from dv.therapeut_view": [("04012345", "Dijk")],
    "select werkgever_bk, medewerker_bk, link_geldigheid_vanaf::text from dv.personeel_view order by 1, 2": [
        ('Fysio "West", Zuid', "rooster_2", "2022-01-01"),
        ("Fysio Oost", "rooster_1", "2020-01-01"),
        ("Fysio Oost", "rooster_2", "2021-01-01"),
    ],
    "select manager_bk, manager_naamgegevens_achternaam, werknemer_bk from dv.leiding": [
        ("rooster_1", "Berg; van den", "rooster_2")
    ],
    "select medewerker_bk, adres_bk, type from dv.medewerker_adres_view order by 1, 2": [
        ("rooster_1", "1234AB12", "woon"),
        ("rooster_1", "9999ZZ1", "post"),
        ("rooster_2", "1234AB12", "woon"),
    ],
    "select valueset_naam, code, omschrijving from valset.geslachten order by 2": [
        ("geslachten", "m", "man"),
        ("geslachten", "v", "vrouw"),
    ],
    "select code, ingangsdatum::text, omschrijving_kort from valset.tarief order by 1, 2": [
        ("manager", "2020-01-01", "man"),
        ("therapeut", "2021-01-01", "the"),
        ("therapeut", "2022-01-01", "the"),
    ],
    "select table_name, message, key_fields from sor_rooster._exceptions": [
        ("medewerker_hstage", "Ongeldige postcode", '{"nummer": "3"}')
    ],
}


def test_a_project_from_the_documentation_runs_unchanged(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "fysio"
    shutil.copytree(Path(__file__).parent / "fysio", folder)
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    for runid in ("1.00", "1.01"):
        assert main(["python", str(folder / "rooster_proces.py")]) == 0
        assert warehouse.rows("select max(runid)::text from sys.runs") == [(runid,)]
        assert {query: warehouse.rows(query) for query in EXPECTED} == EXPECTED
    # PyELT's log_path lies below the project, whatever it begins with.
    assert sorted(path.name for path in (folder / "logs").glob("1.01_*.log")) == [
        "1.01_fysio_log.log",
        "1.01_rooster_log.log",
    ]

    (folder / "pipeline.yaml").write_text("pipeline: fysio\npython: rooster_proces\n")
    capsys.readouterr()
    assert main(["check", str(folder)]) == 0
    assert main(["plan", str(folder)]) == 0
    assert "etl_links" in capsys.readouterr().out
    assert main(["run", str(folder)]) == 0
    assert {query: warehouse.rows(query) for query in EXPECTED} == EXPECTED

"""A project that uses every class and method of PyELT once, written as PyELT's documentation shows it, is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from databases import Database, Source, fresh_database, fresh_source
from loading import Loader
from pyelt_provider.command_line.main import main
from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.model.pipeline import CronSchedule, Pipeline
from python_api.programs import differing_rows, in_order_of

PROJECT = Path(__file__).parent / "praktijk"
PATIENTS = """Patientnummer;achternaam;voornaam;geboortedatum;geslacht;lengte;postcode;huisnummer;postbus;soort;voogd;\
pasnummer;woonplaats;huisarts;foto;Opmerking (dd-mm)
1;O'Brien;ann;1021980;v;1.70;1234AB;12;99;;;P1;Utrecht;A001;x;
2;|Jansen; Smit|;bo;01011901;m;1.80;2345CD;7;;;;P2;Zeist;;x;
3;Kind;cas;05052015;m;1.10;3456EF;1;;kind;Ann;P3;Utrecht;A002;x;
4;Nul;dirk;06061990;m;1.90;0000AA;1;;;;P4;Zeist;A001;x;
5;Vol;\u00e9va;07072021;v;0.90;4567GH;3;;;;P5;Zeist;;x;
"""
TRACKS = """patientnummer,trajectnummer,order,arts,start,overig
1,T1,eerste,A001,2026-01-05,x
2,T2,tweede,A002,2026-01-06,x
2,T3,derde,A009,2026-01-07,x
"""
DOCTORS = "A001Arends    01123456\nA002Bos       02  7890\n"


def deliver(folder: Path, patients: str = PATIENTS) -> None:
    (folder / "praktijk").mkdir(parents=True, exist_ok=True)
    (folder / "praktijk" / "patienten.csv").write_text(patients, encoding="latin1")
    (folder / "praktijk" / "trajecten.csv").write_text(TRACKS)
    (folder / "praktijk" / "artsen.txt").write_text(DOCTORS)
    (folder / "lab").mkdir(exist_ok=True)
    (folder / "lab" / "soorten.csv").write_text("code,naam\nB,|Bloed, vol|\n")


@pytest.fixture(scope="module")
def loaded(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    folder = tmp_path_factory.mktemp("praktijk")
    deliver(folder)
    with (
        pytest.MonkeyPatch.context() as patch,
        fresh_database(server, "warehouse") as warehouse,
        fresh_source(server, "lab") as lab,
        fresh_source(server, "archief") as archive,
    ):
        patch.setenv("PRAKTIJK_DATA", str(folder))
        patch.setenv("AIRFLOW_CONN_LAB", lab.url)
        patch.setenv("AIRFLOW_CONN_ARCHIEF", archive.url)
        archive.execute("create table oud (nummer int, uitslag text); insert into oud values (7, '1.5')")
        lab.execute(
            "create table meting (nummer int, pas text, uitslag text, soort text, intern text default 'x'); "
            "insert into meting values (1, 'P1', '4.5', 'bloed'), (2, 'P9', '5.5', 'bloed'), (3, 'P2', '6.5', 'urine')"
        )
        loader = Loader(warehouse, read_pipeline(PROJECT))
        two_days(loader)
        yield loader


def two_days(loader: Loader) -> None:
    for day in (date(2026, 1, 1), date(2026, 1, 2)):
        for schedule in (None, "lab"):
            outcomes = loader.run(day, schedule=schedule, name=f"{schedule} {day}")
            assert {stage: outcome.failures for stage, outcome in outcomes.items() if outcome.failures} == {}


def test_converted_to_yaml_it_gives_the_same_warehouse(loaded: Loader, warehouse: Database, tmp_path: Path) -> None:
    assert main(["convert", str(PROJECT), "--to", str(tmp_path / "praktijk")]) == 0
    converted = Loader(warehouse, read_pipeline(tmp_path / "praktijk"))
    in_order_of(converted, loaded.pipeline)
    two_days(converted)
    assert differing_rows(loaded.warehouse, warehouse) == []


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setenv("PRAKTIJK_DATA", "/data")
    return read_pipeline(PROJECT)


def test_schedules_descriptions_and_active_come_from_the_pipes_configs(pipeline: Pipeline) -> None:
    assert [(pipe.name, pipe.schedule, pipe.active, pipe.description) for pipe in pipeline.pipes] == [
        ("praktijk", None, True, "Wat de praktijk zelf bijhoudt"),
        ("lab", "lab", True, ""),
        ("archief", "monthly", False, ""),
    ]
    assert pipeline.schedules == (("lab", CronSchedule(cron="0 4 * * 1")), ("monthly", CronSchedule(cron="@monthly")))


def test_tables_have_pyelts_names(pipeline: Pipeline) -> None:
    tables = [hub.table for hub in pipeline.hubs.values()] + [link.table for link in pipeline.links.values()]
    for owner in (*pipeline.hubs.values(), *pipeline.links.values()):
        tables += [satellite.table for satellite in owner.satellites if satellite.owner == owner.name]
    assert sorted({str(table) for table in tables}) == [
        "dv.hulpverlener_sat",
        "dv.locatie_hub",
        "dv.locatie_sat",
        "dv.patient_bezoek_hulpverlener_link",
        "dv.patient_bezoek_locatie_link",
        "dv.patient_hub",
        "dv.patient_hulpverlener_link",
        "dv.patient_sat",
        "dv.patient_sat_adres",
        "dv.patient_sat_extra",
        "dv.patient_sat_ouders",
        "dv.patient_sat_personalia",
        "dv.patient_sat_record_status",
        "dv.patient_sat_sleutels",
        "dv.patient_traject_link",
        "dv.patient_traject_link_sat",
        "dv.patient_woonplaats_link",
        "dv.traject_hulpverlener_link",
        "dv.zorg_traject_hub",
        "dv.zorg_traject_sat",
        "dv.zorgverlener_hub",
        "rdv.meting_hub",
        "rdv.meting_sat",
    ]
    references = {link.name: [reference.column for reference in link.references] for link in pipeline.links.values()}
    assert references["Patient_Traject"] == ["fk_patient_hub", "fk_traject_zorg_traject_hub"]
    assert references["TrajectHulpverlener"] == ["fk_traject_zorg_traject_hub", "fk_behandelaar_zorgverlener_hub"]


def test_files_are_read_as_pyelt_read_them(loaded: Loader) -> None:
    assert loaded.rows(
        "select patientnummer, achternaam, opmerking_ddmm, _valid from sor_praktijk.patient_hstage order by 1"
    ) == [
        ("1", "O'Brien", None, True),
        ("2", "Jansen; Smit", None, True),
        ("3", "Kind", None, True),
        ("4", "Nul", None, False),
        ("5", "Vol", None, True),
    ]
    columns = [name for (name,) in loaded.rows(
        "select column_name from information_schema.columns where table_schema = 'sor_praktijk' "
        "and table_name = 'traject_hstage' and column_name not like '\\_%' order by ordinal_position"
    )]  # fmt: skip
    assert columns == ["patientnummer", "trajectnummer", "order", "arts", "start_datum", "fk_zorg_traject_hub"]
    columns = [name for (name,) in loaded.rows(
        "select column_name from information_schema.columns where table_schema = 'sor_praktijk' "
        "and table_name = 'patient_hstage' and column_name in ('foto', 'voornaam', 'fk_kindpatient_hub')"
    )]  # fmt: skip
    assert sorted(columns) == ["fk_kindpatient_hub", "voornaam"]
    assert loaded.rows("select code, naam, zorgtype, agb from sor_praktijk.arts_hstage order by 1") == [
        ("A001", "Arends", "01", "123456"),
        ("A002", "Bos", "02", "  7890"),
    ]


def test_source_tables_queries_and_their_filters_are_read(loaded: Loader) -> None:
    assert loaded.rows("select nummer, soort from sor_lab.meting_hstage order by 1") == [("1", "bloed"), ("2", "bloed")]
    assert loaded.rows(
        "select count(*) from information_schema.columns where table_schema = 'sor_lab' and column_name = 'intern'"
    ) == [(0,)]
    assert loaded.rows("select id, soort from sor_lab.soort_hstage order by 1") == [
        ("1", "BLOED"),
        ("2", "BLOED"),
        ("3", "URINE"),
    ]


def test_entities_satellites_and_subtypes_are_filled(loaded: Loader) -> None:
    # A key that its mapping calls too young is marked in its satellite.
    assert loaded.rows("select bk, type from dv.patient_hub order by 1") == [
        ("1.praktijk", "patient"),
        ("2.praktijk", "patient"),
        ("3.praktijk", "kind"),
        ("5.praktijk", "patient"),
    ]
    assert loaded.rows(
        """
        select h.bk, s.geboortedatum::text, s.geslacht_code, s.is_nieuw, s.land, s._valid
        from dv.patient_sat s join dv.patient_hub h using (_id) where s._active order by 1
        """
    ) == [
        ("1.praktijk", "1980-02-01", "v", True, "NL", True),
        ("2.praktijk", None, "m", True, "NL", True),
        ("5.praktijk", "2021-07-07", "v", True, "NL", False),
    ]
    assert loaded.rows(
        "select familienaam, voornaam from dv.patient_sat_personalia where _active order by 1"
    ) == [("Jansen; Smit", "Bo"), ("O'Brien", "Ann"), ("Vol", "\u00c9va")]  # fmt: skip
    assert loaded.rows("select voogd from dv.patient_sat_ouders where _active") == [("Ann",)]
    assert loaded.rows(
        "select type, postcode, huisnummer from dv.patient_sat_adres where _active and postcode in ('99', '1234AB') order by 1"
    ) == [("vakantie", "99", None), ("woon", "1234AB", 12)]  # fmt: skip
    assert loaded.rows(
        "select gegevens, periode from dv.patient_sat_extra where _active and _source_system = 'praktijk' "
        "and gegevens ->> 'voornaam' = 'ann'"
    ) == [({"voornaam": "ann", "soort": None}, "'t Hof")]
    assert loaded.rows("select naam, agb from dv.hulpverlener_sat where _active order by 1") == [
        ("Arends", "01123456"),
        ("Bos", "02  7890"),
    ]


def test_keys_are_found_by_a_satellite(loaded: Loader) -> None:
    assert loaded.rows(
        """
        select h.bk, s.codering from dv.patient_sat_extra s join dv.patient_hub h using (_id)
        where s._active and s._source_system = 'lab'
        """
    ) == [("1.praktijk", "4.5")]


def test_queries_views_and_further_vaults_are_mapped(loaded: Loader) -> None:
    assert loaded.rows("select bk from dv.locatie_hub order by 1") == [("NL",), ("Utrecht",), ("Zeist",)]
    assert loaded.rows("select naam from dv.locatie_sat where _active order by 1") == [("Utrecht",), ("Zeist",)]
    assert loaded.rows("select bk, waarde::text from rdv.meting_hub join rdv.meting_sat using (_id) order by 1") == [
        ("1", "4.5"),
        ("2", "5.5"),
    ]


def test_links_are_found_by_keys_fks_joins_and_views(loaded: Loader) -> None:
    assert loaded.rows(
        "select patient_bk, traject_bk, default_sinds::text from dv.patient_traject_view order by 2"
    ) == [("1.praktijk", "T1", "2026-01-05"), ("2.praktijk", "T2", "2026-01-06"), ("2.praktijk", "T3", "2026-01-07")]  # fmt: skip
    assert loaded.rows("select patient_bk, hulpverlener_bk, type from dv.patient_hulpverlener_view order by 1") == [
        ("1.praktijk", "A001", "huisarts"),
        ("3.praktijk", "A002", "huisarts"),
    ]
    assert loaded.rows("select patient_bk, hulpverlener_bk from dv.patient_bezoek_hulpverlener_view order by 1") == [
        ("1.praktijk", "A001"),
        ("3.praktijk", "A002"),
    ]
    assert loaded.rows("select traject_bk, behandelaar_bk from dv.traject_hulpverlener_view order by 1") == [
        ("T1", "A001"),
        ("T2", "A002"),
    ]
    # A validation of the vault marks rows at the end of the night: what it marks is shown no more, and stays linked.
    assert loaded.rows("select patient_bk, woonplaats_bk from dv.patient_woonplaats_view order by 1") == [
        ("1.praktijk", "NL"),
        ("2.praktijk", "NL"),
        ("5.praktijk", "NL"),
    ]


def test_valuesets_are_filled_and_shown(loaded: Loader) -> None:
    assert loaded.rows("select valueset_naam, code, omschrijving from valset.valueset order by 1, 2") == [
        ("geslachten", "m", "M"),
        ("geslachten", "v", "V"),
        ("redenen", "K", "kind"),
        ("redenen", "V", "'t verleden"),
        ("soorten", "kind", "kind"),
    ]
    assert loaded.rows("select valueset_naam, code, omschrijving from valset.specialismen order by 2") == [
        ("", "01", "soort 01"),
        ("", "02", "soort 02"),
    ]
    assert loaded.rows("select code, ingangsdatum::text from valset.zorgproduct order by 1 limit 1") == [
        ("T1", "2026-01-05")
    ]
    assert loaded.rows(
        "select bk, geslacht_code_geslachten_omschr from dv.patient_view where bk = '1.praktijk'"
    ) == [("1.praktijk", "V")]  # fmt: skip


def test_extra_ddl_ran_once_and_functions_were_called_with_the_pipe(loaded: Loader) -> None:
    assert loaded.rows("select wat, aantal from sor_praktijk.teller") == [("run 2.0", 5)]


def test_dimensions_and_facts_have_their_tables(loaded: Loader) -> None:
    assert loaded.rows(
        """
        select table_name, column_name, data_type from information_schema.columns
        where table_schema = 'dm_praktijk' order by table_name, ordinal_position
        """
    ) == [
        ("dim_patient", "id", "integer"),
        ("dim_patient", "bk", "text"),
        ("dim_patient", "geslacht", "text"),
        ("dim_patient", "postcode", "text"),
        ("dim_patient", "opmerking", "text"),
        ("fact_bezoek", "aantal", "integer"),
        ("fact_bezoek", "fk_dim_patient", "integer"),
    ]


def test_a_mapping_onto_a_dimension_is_a_datamart(loaded: Loader) -> None:
    assert loaded.rows(
        "select h.bk, d.bk, geslacht, postcode, opmerking from dm_praktijk.dim_patient d "
        "join dv.patient_hub h on h._id = d.id order by 1"
    ) == [
        ("1.praktijk", "1.praktijk", "v", "1234AB", None),
        ("2.praktijk", "2.praktijk", "m", "2345CD", None),
        ("3.praktijk", "3.praktijk", None, None, None),
        ("5.praktijk", "5.praktijk", None, "4567GH", None),
    ]


def test_ensemble_views_show_entities_side_by_side(loaded: Loader) -> None:
    assert loaded.rows(
        "select patient_bk, patient_personalia_familienaam, arts_bk, arts_default_naam, link_type from dv.overzicht order by 1"
    ) == [("1.praktijk", "O'Brien", "A001", "Arends", "huisarts"), ("3.praktijk", None, "A002", "Bos", "huisarts")]
    assert loaded.rows(
        "select patient_bk, traject_default_order, koppeling_default_sinds::text from dv.patient_trajecten order by 2"
    ) == [
        ("2.praktijk", "derde", "2026-01-07"),
        ("1.praktijk", "eerste", "2026-01-05"),
        ("2.praktijk", "tweede", "2026-01-06"),
    ]


def test_one_pipe_reads_files_and_two_databases(loaded: Loader) -> None:
    assert loaded.rows("select code, naam from sor_lab.omschrijving_hstage") == [("B", "Bloed, vol")]
    assert loaded.rows("select nummer, uitslag from sor_lab.oud_hstage") == [("7", "1.5")]


def test_a_program_runs_by_hand_part_by_part(
    warehouse: Database,
    source_database: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deliver(tmp_path)
    source_database.execute("create table meting (nummer int, pas text, uitslag text, soort text)")
    source_database.execute("insert into meting values (1, 'P1', '4.5', 'bloed')")
    monkeypatch.setenv("PRAKTIJK_DATA", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_LAB", source_database.url)
    monkeypatch.setenv("AIRFLOW_CONN_DWH", warehouse.url)
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "sor_only.py"
    program.write_text(
        """
from pyelt.pipeline import Pipeline
import run_praktijk, valsets
from configs import general_config

pipeline = Pipeline(general_config)
pipeline.register_valset_domain(valsets)
run_praktijk.define_praktijk_pipe(pipeline)
pipeline.run(["sor"])
pipeline.run(["valuesets", "hubs"])
pipeline.pipes["praktijk"].run(["links"])
print("the run was", pipeline.runid)
"""
    )
    assert main(["python", str(program), "--project", str(PROJECT)]) == 0
    printed = capsys.readouterr().out
    assert "the run was 1.02" in printed
    assert [line.partition(":")[0] for line in printed.splitlines() if ".etl_" in line and ": " in line] == [
        "praktijk.sor.etl_sor",
        "praktijk.valset.etl_valset",
        "praktijk.dv.etl_hubs",
        "praktijk.dv.etl_links",
    ]
    assert warehouse.rows("select dag_id, count(*) from sys.runs group by 1") == [("praktijk", 3)]
    assert warehouse.rows("select count(*) from dv.patient_traject_link") == [(3,)]
    assert warehouse.rows("select count(*) from sor_praktijk.teller") == [(1,)]

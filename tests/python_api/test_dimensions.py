"""Mappings onto dimensions, facts and lists of codes: the SQL that they are, in PyELT's form and in ours."""

from __future__ import annotations

from pathlib import Path

from pyelt_provider.config.reading import read_pipeline
from pyelt_provider.model.mapping import ValuesetMapping
from pyelt_provider.pyelt_api.columns import Columns
from pyelt_provider.pyelt_api.dimension_mappings import DvToDimMapping, DvToFactMapping
from pyelt_provider.pyelt_api.mapping_text import MappingWriter
from pyelt_provider.pyelt_api.pipelines import Dwh
from pyelt_provider.pyelt_api.reference_tables import Dim, DmReference, Fact
from pyelt_provider.pyelt_api.vault import HubEntity, HybridSat, Sat
from python_api.programs import DOMAIN, PROGRAM, write_program


class Person(HubEntity):
    class Default(Sat):
        born = Columns.DateColumn()

    class Phone(HybridSat):
        number = Columns.TextColumn()


class DimPerson(Dim):
    """Everyone."""

    code = Columns.TextColumn()
    born = Columns.DateColumn()
    mobile = Columns.TextColumn()


class VisitFact(Fact):
    person = DmReference(DimPerson, "fk_dim_person")
    number = Columns.IntColumn()


def test_pyelts_query_of_a_dimension_joins_the_satellites_that_are_mapped() -> None:
    mapping = DvToDimMapping(Person, DimPerson)
    mapping.map_field(Person.Hub.bk, DimPerson.code)
    mapping.map_field(Person.Default.born, DimPerson.born)
    mapping.map_field(Person.Phone.number, DimPerson.mobile, type="mobile")
    mapping.map_field("", DimPerson.id)
    assert mapping.generate_sql(Dwh()) == (
        "SELECT hub.bk AS code, sat1.born AS born, sat2.number AS mobile, NULL AS id FROM dv.person_hub AS hub\n"
        "LEFT OUTER JOIN dv.person_sat AS sat1 ON sat1._id = hub._id AND sat1._active\n"
        "LEFT OUTER JOIN dv.person_sat_phone AS sat2 ON sat2._id = hub._id AND sat2._active AND sat2.type = 'mobile'"
    )
    assert mapping.to_pygram_mapping() == {"id": "null", "code": "bk", "born": "born", "mobile": "number"}
    assert DvToDimMapping("select 1", DimPerson).generate_sql() == ""


def test_a_mapping_onto_a_fact_names_its_columns() -> None:
    mapping = DvToFactMapping("select person, number from dv.x", VisitFact)
    mapping.map_field("person", VisitFact.person)
    mapping.map_field("number", VisitFact.number)
    assert mapping.to_pygram_mapping() == {"fk_dim_person": "person", "number": "number"}


def test_the_text_of_a_mapping_onto_a_dimension_is_printed() -> None:
    assert MappingWriter.create_python_code_dm_mappings("dv", "person_view", None, DimPerson) == (
        "def init_dv_person_view_to_dim_person_mappings():\n"
        '    source_sql = "SELECT * FROM dv.person_view"\n'
        "    mapping = DvToDimMapping(source_sql, DimPerson)\n"
        '    mapping.map_field("", DimPerson.id)\n'
        '    mapping.map_field("", DimPerson.code)\n'
        '    mapping.map_field("", DimPerson.born)\n'
        '    mapping.map_field("", DimPerson.mobile)\n'
        "    return mapping\n"
    )


MARTS = """
from pyelt.datalayers.database import Columns
from pyelt.datalayers.dm import Dim


class DimPatient(Dim):
    '''Everyone who was
    seen.'''

    naam = Columns.TextColumn()
    seen = Columns.DateColumn()
"""
MAPPED = """
    import marts
    from pyelt.mappings.dv_to_datamart_mappings import DvToDimMapping
    from pyelt.mappings.sor_to_dv_mappings import SorToRefMapping, SorToValueSetMapping
    pipeline.register_datamart(marts, "reports")
    mapping = DvToDimMapping("select _id, bk from dv.patient_hub;", marts.DimPatient)
    mapping.map_field("_id", marts.DimPatient.id)
    mapping.map_field("upper(bk)", marts.DimPatient.naam)
    pipe.mappings.append(mapping)
    pipe.mappings.append(SorToRefMapping({"K": "child", "V": "O'Brien"}, "reasons"))
    listed = SorToValueSetMapping("patient_hstage", "kinds")
    listed.map_code_field("patient_hstage.name")
    listed.map_descr_field("patient_hstage.town")
    listed.map_type_field("patient_hstage.kind", "oid")
    pipe.mappings.append(listed)
"""


def test_dimensions_and_lists_of_codes_become_datamarts_and_valuesets(tmp_path: Path) -> None:
    files = {"domain.py": DOMAIN, "marts.py": MARTS, "program.py": PROGRAM + MAPPED}
    pipeline = read_pipeline(write_program(tmp_path, files), {})
    (model,) = pipeline.datamarts
    assert (str(model.table), model.description, [str(table) for table in model.reads]) == (
        "reports.dim_patient",
        "Everyone who was seen.",
        ["dv.patient_hub"],
    )
    assert model.sql == (
        "-- schema: reports\n-- description: Everyone who was seen.\n"
        'select\n    (v."_id")::integer as "id",\n    (upper(bk))::text as "naam",\n    (null)::date as "seen"\n'
        "from (\nselect _id, bk from dv.patient_hub\n) v"
    )
    reasons, kinds = pipeline.pipes[0].valuesets
    assert [valueset.name for valueset in pipeline.valuesets.values()] == ["Valueset"]
    assert reasons.source.query == (
        "select code, omschrijving from (values ('K', 'child'), ('V', 'O''Brien')) as codes (code, omschrijving)"
    )
    assert fields(reasons) == {"valueset_naam": "'reasons'", "code": "code", "omschrijving": "omschrijving"}
    assert fields(kinds) == {"valueset_naam": "kind", "code": "name", "omschrijving": "town"}


def fields(mapping: ValuesetMapping) -> dict[str, str]:
    return {field.column: field.expression for field in mapping.fields}

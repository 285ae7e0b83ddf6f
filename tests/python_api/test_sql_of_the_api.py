"""What the API makes SQL of: comparisons of columns, steps of transformations, constants, functions, names of tables."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from pyelt_provider.errors import PyeltError
from pyelt_provider.pyelt_api.columns import Column, Columns, Condition, SqlSnippet
from pyelt_provider.pyelt_api.expressions import expression
from pyelt_provider.pyelt_api.mappings import ConstantValue, FieldMapping, SorToEntityMapping, sql_of
from pyelt_provider.pyelt_api.names import camelcase_to_underscores, link_name, link_stem, satellite_stem
from pyelt_provider.pyelt_api.secrets_in_configs import SimpleEncrypt
from pyelt_provider.pyelt_api.tables import DbFunction, DbFunctionParameter, SorQuery
from pyelt_provider.pyelt_api.transformations import FieldTransformation
from pyelt_provider.pyelt_api.vault import HubEntity, Sat

age, name_column = Column("age", "integer"), Column("name")


@pytest.mark.parametrize(
    ("condition", "sql"),
    [
        (name_column == "x", "name = 'x'"),
        (name_column != "O'Brien", "name != 'O''Brien'"),
        (age > 1, "age > 1"),
        (age >= 1.5, "age >= 1.5"),
        (age < Decimal("2.50"), "age < 2.50"),
        (age <= Column("other"), "age <= other"),
        (name_column == None, "name IS NULL"),  # noqa: E711 - this is how programs write it
        (name_column != None, "name IS NOT NULL"),  # noqa: E711
        (age == True, "age = true"),  # noqa: E712
        (name_column >= datetime.date(2020, 1, 2), "name >= '2020-01-02'"),
        (name_column.is_in(["a", "b'c"]), "name in ('a', 'b''c')"),
        (age.is_in((1, 2)), "age in (1, 2)"),
        (age.is_in([]), "false"),
        (age.between(1, 2), "age between 1 AND 2"),
        (name_column.between("a", "b"), "name between 'a' AND 'b'"),
        ((age > 1) & (name_column == "x"), "(age > 1 AND name = 'x')"),
        ((age > 1) | "name is null", "(age > 1 OR name is null)"),
        (~(age > 1), "(NOT age > 1)"),
        (Condition("age % 2 = 0"), "age % 2 = 0"),
    ],
)
def test_comparing_columns_gives_sql(condition: Condition, sql: str) -> None:
    assert condition.name == sql


def test_joined_columns_are_sql() -> None:
    assert name_column.join(age).sql == "name||age"
    assert name_column.join([age, Column("c")]).sql == "name||age||c"
    assert isinstance(name_column.join("x"), SqlSnippet)


def test_columns_can_be_keys_although_they_compare_to_sql() -> None:
    assert len({age, name_column, age}) == 2
    assert repr(Columns.IntColumn("A")) == "a (integer)"


def test_steps_go_around_each_other() -> None:
    transformation = FieldTransformation()
    transformation.field_name = "id"
    transformation.new_step("lower({fld})")
    transformation.new_step("concat({step1}, '01')")
    transformation.new_step("concat2({fld}, 'id')")
    assert transformation.get_sql() == "concat2(concat(lower(id), '01'), 'id')"
    transformation.field_name = "naam"
    assert transformation.get_sql() == "concat2(concat(lower(naam), '01'), 'id')"


def test_the_fields_own_name_may_stand_in_a_step_and_is_no_part_of_other_words() -> None:
    transformation = FieldTransformation(sql="width(id)")
    transformation.field_name = "id"
    transformation.new_step("void(id, width)")
    assert transformation.get_sql() == "void(width(id), width)"


def test_the_same_steps_may_be_given_for_several_fields() -> None:
    lower = FieldTransformation(sql="lower({fld})")
    fields = [FieldMapping(name, "target", lower) for name in ("a", "b")]
    assert [field.sql for field in fields] == ["lower(a)", "lower(b)"]


def test_constants_are_quoted_unless_they_are_sql_already() -> None:
    constants = [ConstantValue(value) for value in ("a", "'a'", 9.98, True, None)]
    assert [str(item) for item in constants] == ["'a'", "'a'", "9.98", "true", "NULL"]
    assert str(ConstantValue("now_", "sql")) == "now_"


def test_a_function_is_made_and_called() -> None:
    class MakeCode(DbFunction):
        def __init__(self, first: str = "", second: str = "") -> None:
            super().__init__(DbFunctionParameter("a", "text", first), DbFunctionParameter("b", "int", second))
            self.sql_body = "BEGIN RETURN a || b; END;"
            self.return_type = "text"
            self.schema = "sor_x"

    function = MakeCode("x", "y")
    assert (function.name, function.get_sql(), function.get_sql("hstg")) == (
        "make_code",
        "sor_x.make_code(x,y)",
        "sor_x.make_code(hstg.x,hstg.y)",
    )
    assert function.to_create_sql() == (
        "CREATE OR REPLACE FUNCTION sor_x.make_code(a text, b int)\n    RETURNS text\nAS $BODY$\n"
        "BEGIN RETURN a || b; END;\n$BODY$\nLANGUAGE PLPGSQL VOLATILE"
    )
    assert sql_of(["a", function]) == "a || '.' || sor_x.make_code(x,y)"


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("LEFT(hstg.postcode, 4)", "LEFT(s.postcode, 4)"),
        ("'hstg.x' || HSTG.x", "'hstg.x' || s.x"),
        ("order", '"order"'),
        ("current_date", "current_date"),
        ("null", "null"),
        ("x.hstg", "x.hstg"),
        ("d = (select max(d) from a.b mx where mx.k = hstg.k)", "d = (select max(d) from a.b mx where mx.k = s.k)"),
    ],
)
def test_sql_of_a_program_speaks_of_the_source_row_as_ours_does(written: str, ours: str) -> None:
    assert expression(written) == ours


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Patient", "patient"),
        ("CareTrack", "care_track"),
        ("Patient_Traject_Link", "patient_traject_link"),
        ("PatientPracticePlan", "patient_practice_plan"),
        ("HL7Code", "h_l7_code"),
    ],
)
def test_tables_are_named_as_pyelt_named_them(name: str, stem: str) -> None:
    assert camelcase_to_underscores(name) == stem


def test_links_and_satellites_are_named_as_pyelt_named_them() -> None:
    assert [
        link_stem(name) for name in ("PatientTrajectLink", "Patient_Traject_Link", "MedewerkerWerkgeverLinkEntity")
    ] == [
        "patient_traject",
        "patient_traject",
        "medewerker_werkgever",
    ]
    assert [link_name(name) for name in ("PatientTrajectLink", "PatientTraject", "HL7Link")] == [
        "PatientTraject",
        "PatientTraject",
        "h_l7",
    ]
    assert satellite_stem("Patient", "Default") == "patient_sat"
    assert satellite_stem("Patient", "NaamGegevensSat") == "patient_sat_naam_gegevens"


def test_encoded_texts_can_be_decoded() -> None:
    assert SimpleEncrypt.encode("key", "geheim") != "geheim"
    assert SimpleEncrypt.decode("key", SimpleEncrypt.encode("key", "geheim")) == "geheim"


def test_attributes_that_programs_read_are_there() -> None:
    class Person(HubEntity):
        class Default(Sat):
            name = Columns.TextColumn()
            place = Columns.TextColumn()

    class Child(Person):
        pass

    assert (Person.Hub.__dbname__, Child.Hub is Person.Hub, Child.__subtype__) == ("person_hub", True, "child")
    assert (Person.cls_get_view_name(), Child.cls_get_hub_type()) == ("person_view", "child")
    assert Person.Default.name.name == "name" and Person.Default.cls_get_name() == "person_sat"
    assert Person.Default.place.name == "place"  # columns may be called as we call things ourselves
    mapping = SorToEntityMapping("SELECT * FROM sor.x_hstage x", Child, None)
    assert isinstance(mapping.source, SorQuery) and mapping.source.get_main_table() == "x_hstage"
    assert (mapping.type, mapping.filter, mapping.bk_mapping) == ("child", "", None)


def test_a_wrong_call_outside_of_a_project_is_an_error_at_its_line() -> None:
    class Person(HubEntity):
        pass

    with pytest.raises(PyeltError, match=r"test_sql_of_the_api.py:\d+: 'name' is not a column of a satellite"):
        SorToEntityMapping("x_hstage", Person).map_field("a", "name")

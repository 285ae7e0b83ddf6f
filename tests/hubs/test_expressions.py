"""What is told of a user's SQL expression without running it, and which indexes that asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubs.care import entity, from_source, hub, pipe, record_status, satellite
from pyelt_provider.model.connection import ConnectionRef
from pyelt_provider.model.domain import Domain, Hub
from pyelt_provider.model.mapping import EntityMapping
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.statements.mappings.indexes import mapping_indexes
from pyelt_provider.statements.sql.casts import cast_expression, comparable
from pyelt_provider.statements.sql.expressions import cannot_fail, identifies, sole_column, tokens, without_alias


@pytest.mark.parametrize("expression", ["nr", "s.nr", "NR", '"nr"', "nr || '_his'", "'a' || s.nr || 'b' -- why not"])
def test_a_key_column_joined_with_texts_identifies_its_row(expression: str) -> None:
    assert identifies(expression, ("nr",))


@pytest.mark.parametrize(
    "expression", ["upper(nr)", "nr || town", "town", "nr::int", "'nr'", "nr || nr", "nr ||", '"NR"']
)
def test_anything_else_may_give_one_key_for_several_rows(expression: str) -> None:
    assert not identifies(expression, ("nr",))
    assert not identifies("nr", ("nr", "town"))


@pytest.mark.parametrize(
    "expression", ["nr", "nr || '-' || town", "coalesce(upper(trim_me), '')", "replace(nr, ' ', '')", 's."odd name"']
)
def test_text_put_together_cannot_fail(expression: str) -> None:
    assert cannot_fail(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "nr::int",
        "nr + 1",
        "my_function(nr)",
        "case when nr = '' then 1 end",
        "sor.nr.x",
        "$$a$$",
        "",
        "1",
    ],
)
def test_everything_else_might_fail(expression: str) -> None:
    assert not cannot_fail(expression)


def test_tokens_put_together_are_the_text() -> None:
    text = "s.a || 'it''s; -- no' || E'\\'' /* s.b */ || \"s.c\" || $x$ s.d $x$ -- s.e\n || s . f"
    assert "".join(token.text for token in tokens(text)) == text
    assert without_alias(text) == (
        "a || 'it''s; -- no' || E'\\'' /* s.b */ || \"s.c\" || $x$ s.d $x$ -- s.e\n || s . f"
    )


def test_a_sole_column_is_told_by_its_name() -> None:
    assert [sole_column(text) for text in ("name", 's."Name"', "name || ''", "'name'")] == ["name", "Name", None, None]


def test_casts_say_the_type_and_never_cut_a_text() -> None:
    assert cast_expression("a % b", "integer") == "(a %% b)::integer"
    assert cast_expression("name", "text") == "(name)::text"
    assert cast_expression("name", "varchar(4)") == 'pg_catalog."varchar"((name)::varchar, 8, false)'
    assert cast_expression("name", "character(4)") == 'pg_catalog."bpchar"((name)::bpchar, 8, false)'
    assert cast_expression("sex", "char") == 'pg_catalog."bpchar"((sex)::bpchar, 5, false)'
    assert (
        cast_expression("name", "national  character varying (4)") == 'pg_catalog."varchar"((name)::varchar, 8, false)'
    )
    assert cast_expression("flags", "bit(3)") == 'pg_catalog."bit"((flags)::varbit, 3, false)'
    assert cast_expression("flags", "bit varying(3)") == 'pg_catalog."varbit"((flags)::varbit, 3, false)'
    assert [cast_expression("x", kind) for kind in ("varchar", "bpchar", "varbit")] == [
        "(x)::varchar",
        "(x)::bpchar",
        "(x)::varbit",
    ]
    assert cast_expression("price", "numeric(8,2)") == "(price)::numeric(8,2)"
    assert cast_expression("name -- of the patient", "date") == "(name -- of the patient\n)::date"


def test_types_without_an_equality_that_sees_every_change_are_compared_as_text() -> None:
    assert [comparable("a.x", kind) for kind in ("text", "json", "jsonb", "citext", "box")] == [
        "a.x",
        "a.x::text",
        "a.x",
        "a.x::text",
        "a.x::text",
    ]


PATIENT = hub("Patient", satellite("Patient", name="text"), satellite("Patient", "Other", city="text"))


def indexes(*entities: EntityMapping, patient: Hub = PATIENT) -> list[str]:
    his = pipe("his", {"patient": "nr;name;city", "other": "nr;patient;city"}, *entities)
    pipeline = Pipeline(
        name="care", warehouse=ConnectionRef("dwh"), domains=(Domain(schema="dv", hubs=(patient,)),), pipes=(his,)
    )
    return [index.sql.partition(" on ")[2] for index in mapping_indexes(pipeline, his)]


def test_only_keys_that_other_rows_may_have_too_get_an_index() -> None:
    assert indexes(entity("patient", name="name")) == []
    assert indexes(entity("other", bk="patient")) == []
    assert indexes(entity("other", bk="s.patient || '_his'", Other__city="city")) == [
        '"sor_his"."other_hstage" (((patient || \'_his\')::text)) where _active'
    ]
    assert indexes(entity("other", bk="patient::int", Other__city="city")) == []
    assert indexes(from_source(entity("other", bk="patient", Other__city="city"), join="join x on true")) == []


def test_mappings_that_share_a_satellite_look_each_other_up() -> None:
    both = (entity("patient", name="name"), entity("other", bk="patient", Other__city="city"))
    apart = ['"sor_his"."other_hstage" (((patient)::text)) where _active']
    assert indexes(*both) == apart
    shared = replace(both[1], fields=entity("other", name="city").fields)
    assert indexes(both[0], shared) == ['"sor_his"."patient_hstage" (((nr)::text)) where _active', *apart]


def test_where_a_status_is_kept_closed_rows_are_found_by_their_key() -> None:
    patient = replace(PATIENT, satellites=(*PATIENT.satellites, record_status("Patient")))
    assert indexes(entity("patient", name="name"), patient=patient) == [
        '"sor_his"."patient_hstage" ((("nr")::text)) where not _active'
    ]

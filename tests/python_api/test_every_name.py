"""The project in `praktijk` uses every class and method of PyELT's public API; this holds it against the list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "praktijk"
PUBLIC = {
    "pyelt.pipeline": [
        "Pipeline", "Pipe", "get_or_create_pipe", "register_domain", "register_valset_domain", "register_datamart",
        "register_db_functions", "register_extra_ddl", "register_extra_func_before_sor", "register_extra_func_after_sor",
        "mappings", "validations", "sor", "source_db", "source_path", "config", "dwh", "run",
    ],
    "pyelt.datalayers.database": [
        "Columns", "TextColumn", "TextArrayColumn", "DateColumn", "DateTimeColumn", "IntColumn", "FloatColumn",
        "BoolColumn", "JsonColumn", "RefColumn", "FHIR", "PeriodColumn", "CodingColumn", "CodeableConceptColumn", "Column",
        "is_in", "between", "join", "Table", "Schema", "DbFunction", "DbFunctionParameter", "func_params", "sql_body",
        "return_type", "default_value",
    ],
    "pyelt.datalayers.dv": [
        "HubEntity", "__dbschema__", "__dbname__", "Sat", "HybridSat", "Types", "RecordStatusSat", "LinkEntity", "Link",
        "HybridLink", "LinkReference", "DynamicLinkReference", "EnsembleView", "add_entity_or_link", "bk",
    ],
    "pyelt.datalayers.valset": ["DvValueset", "DvPeriodicalValueset"],
    "pyelt.datalayers.dm": ["Dim", "Fact", "DmReference"],
    "pyelt.datalayers.sor": ["SorTable", "SorQuery"],
    "pyelt.mappings": [
        "SourceToSorMapping", "auto_map", "map_field", "filter", "ignore_fields", "file_name", "SorToEntityMapping", "map_bk",
        "map_keys_in_sat", "map_fixed_value", "transform_func", "type", "ref", "SorToLinkMapping", "map_entity", "map_sor_fk",
        "join", "SorToValueSetMapping", "SorToRefMapping", "map_code_field", "map_descr_field", "ConstantValue",
        "FieldTransformation", "field_name", "new_step", "SorValidation", "DvValidation", "Validation", "Operators", "msg",
        "sql_condition", "set_condition", "set_check_for_duplicate_keys", "EntityViewToEntityMapping",
        "EntityViewToLinkMapping", "DvToDimMapping",
    ],
    "pyelt.sources": [
        "CsvFile", "delimiter", "quote", "encoding", "reflect", "set_primary_key", "FixedLengthFile", "SourceDatabase",
        "default_schema", "SourceTable", "SourceQuery",
    ],
    "pyelt.helpers": ["MappingWriter", "create_python_code_mappings", "SimpleEncrypt", "encode", "decode"],
}  # fmt: skip


def names_of(folder: Path) -> set[str]:
    """Return every name that the programs of a folder read, set, define or pass; what is only imported is not used."""
    found: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                    found.add(name)
                case ast.ClassDef(name=name) if node.bases:
                    found.add(name)
    return found


@pytest.mark.parametrize("module", PUBLIC)
def test_the_project_uses_every_name(module: str) -> None:
    assert [name for name in PUBLIC[module] if name not in names_of(PROJECT)] == []


def test_comparisons_of_columns_are_all_used() -> None:
    operators = {
        type(operator)
        for path in PROJECT.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "set_condition"
        for node in ast.walk(call)
        for operator in (*getattr(node, "ops", ()), *([node.op] if isinstance(node, ast.BinOp | ast.UnaryOp) else ()))
    }
    assert operators == {ast.Eq, ast.NotEq, ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.BitAnd, ast.BitOr, ast.Invert}

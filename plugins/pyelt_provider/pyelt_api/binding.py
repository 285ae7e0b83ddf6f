"""Shows the front as ``pyelt`` and its modules while a project is loaded, and takes everything back afterwards."""

from __future__ import annotations

import collections
import importlib
import importlib.util
import inspect
import os
import sys
import threading
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from pyelt_provider.errors import PyeltError
from pyelt_provider.pyelt_api import (
    columns,
    deliveries,
    dimension_mappings,
    ensembles,
    link_mappings,
    mapping_text,
    mappings,
    names,
    pipelines,
    reference_tables,
    secrets_in_configs,
    session,
    tables,
    transformations,
    validations,
    valueset_mappings,
    vault,
)

_TYPING = {name: getattr(typing, name) for name in ("Any", "Dict", "List", "Tuple", "Union")}
_DATABASE = {
    **_TYPING,
    **{n: getattr(columns, n) for n in ("Column", "Columns", "Condition", "FkReference", "SqlSnippet")},
    **{n: getattr(tables, n) for n in ("Database", "DbFunction", "DbFunctionParameter", "Schema", "Table", "View")},
    "camelcase_to_underscores": names.camelcase_to_underscores,
}
_VAULT_NAMES = (
    "AbstractOrderderTable", "DvTable", "DynamicLinkReference", "Hub", "HubEntity", "HubEntityMetaClass",
    "HybridLink", "HybridSat", "Link", "LinkEntity", "LinkEntityMetaClass", "LinkReference", "OrderedTableMetaClass",
    "RecordStatusSat", "Sat",
)  # fmt: skip
_VAULT = {
    **_DATABASE,
    **{name: getattr(vault, name) for name in _VAULT_NAMES},
    "DvEntity": vault.HubEntity,
    "EnsembleView": ensembles.EnsembleView,
    "Ensemble_view": ensembles.EnsembleView,
    "OrderedDict": collections.OrderedDict,
    "inspect": inspect,
}
_BASE = {n: getattr(mappings, n) for n in ("BaseMapping", "BaseTableMapping", "ConstantValue", "FieldMapping")}
_ENTITY = ("EntityViewToEntityMapping", "KeyMapping", "SorSatMapping", "SorToEntityMapping")
_CODES = ("SorToRefMapping", "SorToValueSetMapping")
_LINK = ("EntityViewToLinkMapping", "LinkFieldMapping", "SorToLinkMapping")
_STEPS = {n: getattr(transformations, n) for n in ("FieldTransformStep", "FieldTransformation")}
_QUERIES = {"SorQuery": tables.SorQuery, "SorTable": tables.SorTable}
_VALUESETS = {n: getattr(reference_tables, n) for n in ("DvPeriodicalValueset", "DvValueset")}
_FILES = {n: getattr(deliveries, n) for n in ("CsvFile", "File", "FixedLengthFile")}
_SOURCES = {n: getattr(deliveries, n) for n in ("SourceDatabase", "SourceQuery", "SourceTable")}
_CHECKS = {n: getattr(validations, n) for n in ("DvValidation", "SorValidation", "Validation")}

MODULES: dict[str, dict[str, object]] = {
    "pyelt": {},
    "pyelt.pipeline": {"Pipeline": pipelines.Pipeline, "Pipe": pipelines.Pipe},
    "pyelt.datalayers": {},
    "pyelt.datalayers.database": _DATABASE,
    "pyelt.datalayers.dv": _VAULT,
    "pyelt.datalayers.dv_metaclasses": _VAULT,
    "pyelt.datalayers.valset": {**_VAULT, **_VALUESETS},
    "pyelt.datalayers.dm": {
        **_VAULT,
        **{n: getattr(reference_tables, n) for n in ("Dim", "DmReference", "Fact")},
    },
    "pyelt.datalayers.sor": {**_DATABASE, **_QUERIES, "Sor": tables.Schema},
    "pyelt.datalayers.dwh": {"Dwh": pipelines.Dwh},
    "pyelt.mappings": {},
    "pyelt.mappings.base": {**_VAULT, **_BASE, **_STEPS},
    "pyelt.mappings.source_to_sor_mappings": {
        **_BASE, **_FILES, **_SOURCES, **_STEPS, "SourceToSorMapping": mappings.SourceToSorMapping,
        "SorMapping": mappings.SourceToSorMapping,
    },
    "pyelt.mappings.sor_to_dv_mappings": {
        **_VAULT, **_BASE, **_QUERIES, **_STEPS, **_VALUESETS,
        **{name: getattr(mappings, name) for name in _ENTITY},
        **{name: getattr(link_mappings, name) for name in _LINK},
        **{name: getattr(valueset_mappings, name) for name in _CODES},
        # What PyELT's documentation calls them.
        "EntityMapping": mappings.SorToEntityMapping,
        "LinkMapping": link_mappings.SorToLinkMapping,
        "PyeltException": session.PyeltException,
    },
    "pyelt.mappings.dv_to_datamart_mappings": {
        **_BASE,
        **{n: getattr(dimension_mappings, n) for n in ("DvToDimMapping", "DvToDmFieldMapping", "DvToFactMapping")},
    },
    "pyelt.mappings.transformations": _STEPS,
    "pyelt.mappings.validations": {**_DATABASE, **_CHECKS},
    "pyelt.sources": {},
    "pyelt.sources.files": {**_FILES, "Column": columns.Column},
    "pyelt.sources.databases": {**_DATABASE, **_SOURCES, "SourceSchema": tables.Schema},
    "pyelt.helpers": {},
    "pyelt.helpers.mappingcreator": {"MappingWriter": mapping_text.MappingWriter},
    "pyelt.helpers.encrypt": {"SimpleEncrypt": secrets_in_configs.SimpleEncrypt},
    "pyelt.helpers.exceptions": {"PyeltException": session.PyeltException},
    "pyelt.helpers.global_helper_functions": {"camelcase_to_underscores": names.camelcase_to_underscores},
}  # fmt: skip
"""PyELT's modules and the names that they have, which `from ... import *` takes too."""

_LOADING = threading.RLock()


@contextmanager
def bound(roots: tuple[Path, ...], kept: dict[str, ModuleType] | None = None) -> Iterator[None]:
    """Let a project be imported from its folders, with `pyelt` there; then put everything back as it was.

    Names of modules, search path, working folder and arguments are the process's own again afterwards; modules outside of
    the project that it imported stay. One project at a time: others wait. The modules of the project, and PyELT's, are
    those in `kept`, which has them afterwards. Raises PyeltError when PyELT itself is installed.
    """
    with _LOADING:
        path, folder, arguments = list(sys.path), Path.cwd(), list(sys.argv)
        taken = {name: sys.modules.pop(name) for name in _names_to_hide(roots) if name in sys.modules}
        project = kept if kept is not None else {}
        sys.path[:0] = [str(root) for root in roots if str(root) not in sys.path]
        importlib.invalidate_caches()
        try:
            _refuse_real_pyelt()
            sys.modules.update(project or _modules(roots))
            yield
        finally:
            new = [Path(entry) for entry in sys.path if entry and entry not in path]
            added = [entry for entry in new if "site-packages" not in entry.parts]
            sys.path[:] = path
            sys.argv[:] = arguments
            if Path.cwd() != folder:
                os.chdir(folder)
            # A copy: to be asked for its file, a module may import itself first.
            loaded = list(sys.modules.items())
            for name in [name for name, module in loaded if _is_projects(name, module, (*roots, *added))]:
                project[name] = sys.modules.pop(name)
            sys.modules.update(taken)


def _names_to_hide(roots: tuple[Path, ...]) -> list[str]:
    """Return the names of loaded modules that the project has too, and PyELT's; never those of Python itself."""
    own = {"pyelt", "main"}
    for root in roots:
        if root.is_dir():
            own |= {item.stem for item in root.iterdir() if item.suffix == ".py" or item.is_dir()}
    own -= set(sys.stdlib_module_names) | {"pyelt_provider"}
    return [name for name in list(sys.modules) if name.partition(".")[0] in own]


def _is_projects(name: str, module: object, roots: tuple[Path, ...]) -> bool:
    top = name.partition(".")[0]
    if top in ("pyelt", "main"):
        return True
    if top in sys.stdlib_module_names or top == "pyelt_provider" or name == "__main__":
        return False
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    # By the first part of the name: a folder of the project may hold a whole installation of Python.
    own = [place for root in roots for place in (root / top, root / f"{top}.py")]
    return any(place is not None and Path(place).is_relative_to(item) for place in places for item in own)


def _refuse_real_pyelt() -> None:
    spec = importlib.util.find_spec("pyelt")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    if any((Path(place) / "pipeline.py").is_file() for place in places):
        raise PyeltError(
            f"PyELT itself is installed in {places[0]}; a project is loaded through our own implementation of its API, which "
            "takes its name only where PyELT is absent: uninstall it, or leave its folder out of python_path"
        )


def _modules(roots: tuple[Path, ...]) -> dict[str, ModuleType]:
    """Return new modules with PyELT's names; a program may change what is in them."""
    made = {}
    for name, members in MODULES.items():
        module = made[name] = ModuleType(name, "PyELT's names for pyelt_provider.pyelt_api.")
        vars(module).update(members)
        if members:
            module.__all__ = sorted(members)  # type: ignore[attr-defined]
        else:
            module.__path__ = []
        above, _, own = name.rpartition(".")
        if above:
            setattr(made[above], own, module)
    if roots and not any((root / "main.py").is_file() for root in roots):
        main = made["main"] = ModuleType("main", "PyELT's main: where the project stands.")
        main.get_root_path = lambda: roots[0].as_posix()  # type: ignore[attr-defined]
    return made

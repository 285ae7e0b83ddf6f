"""PyELT's way from names of classes to names of tables, and names of our model that lead to the same tables."""

from __future__ import annotations

import re

from pyelt_provider.identifiers import snake_case


def camelcase_to_underscores(string: str) -> str:
    """Return PyELT's table name for a class name: a '_' before every capital but the first, in small letters.

    Where it differs from `snake_case` (``HL7Code``), PyELT's stands, because its tables do.
    """
    if not string:
        return ""
    spread = string[0].lower() + string[1:]
    for capital in (letter for letter in spread if letter.isupper()):
        # A capital that stands twice is spread twice; pairs of '_' fall together at the end.
        spread = spread.replace(capital, f"_{capital}")
    return spread.lower().replace("__", "_")


def model_name(class_name: str, stem: str) -> str:
    """Return the class's own name where our names of tables agree with PyELT's `stem`, else the stem."""
    return class_name if snake_case(class_name) == stem else stem


def link_stem(class_name: str) -> str:
    """Return PyELT's name of a link's table without its ``_link``."""
    return camelcase_to_underscores(class_name).replace("_link", "").replace("_entity", "")


def link_name(class_name: str) -> str:
    """Return the name of a link in our model: ``PatientTrajectLinkEntity`` is PatientTraject."""
    short = re.sub(r"(_?Link)?(_?Entity)?$", "", class_name)
    return model_name(short, link_stem(class_name)) if short else link_stem(class_name)


def satellite_stem(owner: str, key: str) -> str:
    """Return PyELT's name of a satellite's table: that of the class which has the hub or link, and the inner class."""
    name = camelcase_to_underscores(key).replace("_sat", "").replace("sat", "")
    return f"{camelcase_to_underscores(owner)}_sat_{name}".replace("_default", "").removesuffix("_")


def subtype(class_name: str) -> str:
    """Return what PyELT writes into a hub's column `type` for keys of this class."""
    return class_name.lower().replace("_entity", "").replace("entity", "")

"""Names in PostgreSQL: quoting, the 63-byte rule, and the physical names that PyELT gives to tables and columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pyelt_provider.errors import IdentifierError

MAX_BYTES = 63
"""PostgreSQL cuts longer identifiers silently (NAMEDATALEN - 1), so two long names could become one; we refuse them."""


def checked(name: str) -> str:
    """Return the name unchanged when PostgreSQL can hold it whole; raise IdentifierError otherwise."""
    if not name:
        raise IdentifierError("a name is empty; give it at least one character")
    if "\x00" in name:
        raise IdentifierError("a name has a NUL character in it; PostgreSQL cannot store that")
    size = len(name.encode())
    if size > MAX_BYTES:
        raise IdentifierError(
            f"the name {name!r} takes {size} bytes, PostgreSQL keeps {MAX_BYTES} and would cut the rest silently; "
            f"shorten it by {size - MAX_BYTES} bytes"
        )
    return name


def quote(name: str) -> str:
    """Return the name quoted for SQL, also safe in text with bind parameters; raises IdentifierError as `checked`."""
    return '"' + checked(name).replace('"', '""').replace("%", "%%") + '"'


def quote_all(names: tuple[str, ...] | list[str], prefix: str = "") -> str:
    """Return the names quoted and separated by commas, each behind ``prefix.`` when a prefix is given."""
    before = f"{prefix}." if prefix else ""
    return ", ".join(before + quote(name) for name in names)


def opaque(sql: str) -> str:
    """Return SQL that a user wrote so that it survives bind parameters: each % doubled, nothing else touched."""
    return sql.replace("%", "%%")


def text_literal(value: str) -> str:
    """Return a text as an SQL literal; only for DDL (index predicates, views), where bind parameters cannot stand."""
    if "\x00" in value:
        raise IdentifierError("a text literal has a NUL character in it; PostgreSQL cannot store that")
    escaped = value.replace("'", "''").replace("%", "%%")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in value else f"'{escaped}'"


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table or view by schema and name; `str()` is for people, `sql` for statements."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


_REMEMBERED = 4096
"""Names whose physical form is remembered: a plan asks for the same few again and again."""


@lru_cache(_REMEMBERED)
def snake_case(name: str) -> str:
    """Return PyELT's physical form of a class-like name: ``PatientTraject`` becomes ``patient_traject``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\s\-]+", "_", spaced).lower()


@lru_cache(_REMEMBERED)
def hub_table(hub: str) -> str:
    """Return the table of a hub: ``Patient`` -> ``patient_hub``."""
    return checked(f"{snake_case(hub)}_hub")


@lru_cache(_REMEMBERED)
def satellite_table(owner: str, satellite: str) -> str:
    """Return the table of a satellite of a hub or link; the satellite ``Default`` has no suffix."""
    base = f"{snake_case(owner)}_sat"
    return checked(base if satellite == "Default" else f"{base}_{snake_case(satellite)}")


@lru_cache(_REMEMBERED)
def link_table(link: str) -> str:
    """Return the table of a link: ``PatientTraject`` -> ``patient_traject_link``."""
    return checked(f"{snake_case(link)}_link")


@lru_cache(_REMEMBERED)
def entity_view(entity: str) -> str:
    """Return the view of a hub or link with its satellites: ``Patient`` -> ``patient_view``."""
    return checked(f"{snake_case(entity)}_view")


@lru_cache(_REMEMBERED)
def reference_column(role: str, hub: str) -> str:
    """Return the fk column of a link: ``fk_<hub table>``, or ``fk_<role>_<hub table>`` when the role is not the hub."""
    role_name, table = snake_case(role), hub_table(hub)
    return checked(f"fk_{table}" if role_name == snake_case(hub) else f"fk_{role_name}_{table}")


def constraint_name(*parts: str) -> str:
    """Return a name for an index or constraint; shortened with a stable digest where it would pass 63 bytes.

    Only names that nobody types are ever shortened, so that a long table name still gets its indexes.
    """
    name = "_".join(parts)
    if len(name.encode()) <= MAX_BYTES:
        return name
    import hashlib

    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return name.encode()[: MAX_BYTES - 11].decode(errors="ignore") + "_" + digest

"""The keys of domain.yaml: hubs, satellites, links and valuesets."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from pyelt_provider.config.keys import Keys, Text, chosen_by, described


class CodesKeys(Keys):
    """Where the descriptions of a column's codes stand."""

    table: Text = described("Name of the valueset.", example="Valueset")
    naam: Text = described("Name of the list in it (its valueset_naam).", example="geslacht")


class ColumnKeys(Keys):
    """A column with more than a type."""

    type: Text = described("PostgreSQL's name of the type.", example="numeric(10,2)")
    description: str = described("What the column holds.", "", example="Gender as registered")
    valueset: (
        Annotated[
            Annotated[Text, Tag("(text)")] | Annotated[CodesKeys, Tag("(codes)")],
            Discriminator(chosen_by("(text)", {"table": "(codes)", "naam": "(codes)"})),
        ]
        | None
    ) = described(
        "The list of codes that describes the values; the view shows the descriptions. A text names a list of the "
        "only valueset, or of the one named Valueset.",
        None,
        example="geslacht",
    )


Column = Annotated[
    Annotated[Text, Tag("(text)")] | Annotated[ColumnKeys, Tag("(column)")],
    Discriminator(lambda value: "(column)" if isinstance(value, dict) else "(text)"),
]
Columns = dict[str, Column]


class SatelliteKeys(Keys):
    """A satellite with more than columns: types (hybrid) or a description."""

    types: list[Text] = described(
        "Makes the satellite hybrid: one row per key and type.", [], example=["telefoon", "mobiel"]
    )
    columns: Columns = described("The columns and their types.", example={"telnummer": "text"}, min_length=1)
    description: str = described("What the satellite holds.", "", example="How to reach the patient")
    table: Text | None = described(
        "Name of its table, where it is another than <hub>_sat_<name>: PyELT named a subtype's satellite after the hub "
        "whose keys it shares.",
        None,
        example="organisatie_sat_zorginstelling",
    )


def _satellite_form(value: Any) -> str:
    if not isinstance(value, dict):
        return "(status)"
    is_long = isinstance(value.get("columns"), dict) or isinstance(value.get("types"), list)
    return "(satellite)" if is_long else "(columns)"


Satellite = Annotated[
    Annotated[Literal["record_status"], Tag("(status)")]
    | Annotated[SatelliteKeys, Tag("(satellite)")]
    | Annotated[Columns, Tag("(columns)")],
    Discriminator(_satellite_form),
]


class HubKeys(Keys):
    """A hub: one kind of thing, known by a business key."""

    description: str = described("What a key of this hub stands for.", "", example="Everyone in the role of patient")
    extends: Text | None = described(
        "The hub of which this is a subtype: it shares that hub's table, under its own type, and its satellites.",
        None,
        example="Organisatie",
    )
    type: Text | None = described(
        "What the keys of this hub have in the hub's column `type`. Without it, the hub's name in small letters with '_' "
        "between words; PyELT wrote no '_'.",
        None,
        example="zorginstelling",
    )
    sources: list[Text] = described(
        "Pipes in the order in which the view chooses a row, where several fill one satellite. "
        "Without it, the latest row.",
        [],
        example=["his", "lab"],
    )
    satellites: dict[str, Satellite] = described(
        "Satellites by name. The satellite named Default has no suffix in its table's name. A satellite is its "
        "columns with their types, a mapping with `types` and `columns` (hybrid), or the word record_status.",
        {},
        example={"Default": {"geboortedatum": "date"}, "RecordStatus": "record_status"},
    )


class LinkKeys(Keys):
    """A link between two or more hubs."""

    description: str = described("What the link says.", "", example="Who is treated in which care track")
    references: dict[str, Text] = described(
        "The hubs that it links, by role. A role with the hub's own name gives fk_<hub>, another fk_<role>_<hub>.",
        example={"patient": "Patient", "traject": "Traject"},
        min_length=2,
    )
    types: list[Text] = described(
        "Makes the link hybrid: one row per references and type.", [], example=["behandelaar"]
    )
    satellites: dict[str, Satellite] = described(
        "Satellites by name, as of a hub.", {}, example={"Default": {"start": "date"}}
    )
    status: bool = described("Keep when a link went and came back, in <link>_sat_status.", False)
    driving: Text | None = described(
        "The role by which the link moves: a new partner for the same driving key ends the old link. Needs status.",
        None,
        example="traject",
    )


class ValuesetKeys(Keys):
    """A table of codes: valueset_naam, code, omschrijving."""

    description: str = described("What the codes are.", "", example="Reference codes of all sources")
    periodical: bool = described("Codes have a period: ingangsdatum and einddatum.", False)
    table_schema: Text | None = described(
        "Schema of the table. Without it, the file's `valueset_schema`.", None, name="schema", example="valset"
    )
    columns: Columns = described("Further columns and their types.", {}, example={"volgorde": "integer"})


class EnsembleViewKeys(Keys):
    """A view over several hubs and the links between them: a row per combination that is linked."""

    description: str = described("What a row of the view says.", "", example="Patients with their practitioners")
    members: dict[str, Text] = described(
        "The hubs and links, by alias; the view has their columns as <alias>_<column>. A link's role points at the hub "
        "of that alias, else at the only one of its kind.",
        example={"patient": "Patient", "traject": "Traject", "link": "PatientTraject"},
        min_length=2,
    )


class VaultValidationKeys(Keys):
    """Marks rows of the vault as invalid."""

    table: Text = described("A hub's, link's, satellite's or valueset's table.", example="patient_sat")
    when: Text = described(
        "SQL condition over the row's columns for rows that are invalid.", example="geboortedatum > _insert_date"
    )
    message: Text = described("What the rejected rows say.", example="Born in the future")


class DomainFile(Keys):
    """domain.yaml, or domain_<schema>.yaml for a further vault: what the vault holds, whatever the sources are."""

    vault_schema: Text | None = described(
        "Schema of the hubs and links. Without it, 'dv', or the <schema> of a file named domain_<schema>.yaml.",
        None,
        name="schema",
        example="dv",
    )
    valueset_schema: Text = described("Schema of the valuesets.", "valset")
    hubs: dict[str, HubKeys | None] = described("Hubs by name.", {}, example={"Patient": {"satellites": {}}})
    links: dict[str, LinkKeys] = described(
        "Links by name.", {}, example={"PatientTraject": {"references": {"patient": "Patient", "traject": "Traject"}}}
    )
    valuesets: dict[str, ValuesetKeys | None] = described("Valuesets by name.", {}, example={"Valueset": {}})
    views: dict[str, EnsembleViewKeys] = described(
        "Views over several hubs and links, by name, in the schema of the hubs. With create_views: false, those that "
        "datamarts read.",
        {},
        example={"care_view": {"members": {"patient": "Patient", "traject": "Traject", "link": "PatientTraject"}}},
    )
    validations: list[VaultValidationKeys] = described("Validations of the vault, after the load.", [])

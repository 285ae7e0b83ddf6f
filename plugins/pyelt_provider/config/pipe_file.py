"""The keys of pipes/*.yaml: one source system, its staging tables and its mappings."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from pyelt_provider.config.keys import Duration, Keys, Rows, RowsOrShare, Text, chosen_by, described, one_of

FixedWidth = Annotated[list[Annotated[int, Field(ge=1, le=1_000_000)]], Field(min_length=2, max_length=2)]


class SorKeys(Keys):
    """A staging table and the source that fills it; one of csv, fixed_width, table and query says which."""

    model_config = one_of("csv", "fixed_width", "table", "query")
    replaced: ClassVar = {"limits": "write min_rows and max_deleted, such as max_deleted: 10%"}

    csv: Text | None = described(
        "Path of a CSV file below the pipe's source path; a template.",
        None,
        example="{{ ds }}/patients.csv",
        environment=True,
    )
    fixed_width: Text | None = described(
        "Path of a file with columns at fixed places; a template.",
        None,
        example="invoices_{{ ds }}.txt",
        environment=True,
    )
    table: Text | None = described(
        "A table or view of the source database: name, or schema.name.", None, example="uitslag"
    )
    query: Text | None = described(
        "A query for the source database; a template.", None, example="select id, naam from arts"
    )
    source_connection: Text | None = described(
        "table and query: the database that it is read from, where that is another than the pipe's.",
        None,
        example="crm_db",
        environment=True,
    )
    default_schema: Text | None = described(
        "Schema of that database's tables, for a table with a source_connection of its own.", None, example="public"
    )
    key: list[Text] = described("The columns that identify a row.", example=["patientnummer"], min_length=1)
    delivery: Literal["full", "delta"] = described(
        "What a missing row means: it was deleted (full), or it was not sent this time (delta).", "full"
    )
    deleted_when: Text | None = described(
        "SQL condition on the delivered columns: the row was deleted.", None, example="soort = 'D'"
    )
    changed_since: Text | None = described(
        "Column of a source database that grows with every change; only rows past the last position are read.",
        None,
        example="gewijzigd_op",
    )
    min_rows: Rows | None = described(
        "A full delivery with fewer rows is refused. Without it, one without rows is, while rows are active; 0 takes it "
        "for a delivery like any other.",
        None,
        example=1000,
    )
    max_deleted: RowsOrShare | None = described(
        "A delivery that would delete more than that many, or that share, of the active rows is refused. Without it, a "
        "full one that would delete more than half of at least 100.",
        None,
        example="10%",
    )
    max_rejected: RowsOrShare | None = described(
        "A task that rejects more rows than that, or a greater share of the rows that it looks at, fails before anything "
        "is committed; what was rejected in the load before does not count again.",
        None,
        example="1%",
    )
    wait_for: Duration = described(
        "How long a file that is late is waited for; 0 fails at once.", 0, validate_default=True, example="30m"
    )
    description: str = described("What a row is.", "", example="A row per registered patient")
    columns: Annotated[
        Annotated[list[Text], Tag("(list)")] | Annotated[dict[str, FixedWidth], Tag("(places)")],
        Discriminator(lambda value: "(places)" if isinstance(value, dict) else "(list)"),
    ] = described(
        "csv: names of the columns, for a file without header, or instead of its header. table: the columns to take. "
        "fixed_width: {name: [first character, width]}, counted from 1.",
        [],
        example={"factuurnummer": [1, 10]},
    )
    take: list[Text] = described(
        "csv: the columns to take, where not all of the file.", [], example=["patientnummer", "naam"]
    )
    ignore: list[Text] = described("Columns of the delivery that are not taken.", [], example=["foto"])
    rename: dict[str, Text] = described(
        "csv: {name in the header: name in staging}. The key and the other columns are given by their new names.",
        {},
        example={"naam": "achternaam"},
    )
    clean_names: bool = described(
        "csv: make column names of the header's texts as PyELT did: ( ) ? - , . : and quotes go, blanks and slashes "
        "become '_'.",
        False,
    )
    filter: Text | None = described(
        "SQL condition of the source database on the rows of `table`.", None, example="jaar >= 2020"
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = described(
        "csv: between two values.", ",", example=";"
    )
    quote: Annotated[str, Field(min_length=1, max_length=1)] = described("csv: around a value.", '"')
    escape: Annotated[str, Field(min_length=1, max_length=1)] | None = described(
        "csv: before a quote inside a value; without it the quote is doubled.", None, example="\\"
    )
    encoding: Text = described("csv and fixed_width: encoding of the file; a byte order mark is understood.", "utf-8")
    header: bool = described("csv: whether the first line has the names of the columns.", True)
    null: str = described("csv: the unquoted text that means null.", "", example="NULL")
    strip: bool = described("fixed_width: take the blanks off the end of each value.", True)
    skip_lines: int = described("fixed_width: lines of heading to skip.", 0, ge=0, le=10**9)
    fk_columns: dict[str, Text] = described(
        "Columns that get the _id of the hub or link that the row is mapped to, for SQL of your own: "
        "{column: hub or link}.",
        {},
        example={"fk_patient_hub": "Patient", "fk_patient_traject_link": "PatientTraject"},
    )


class ValidationKeys(Keys):
    """Rejects rows of a staging table before any mapping; one of `when` and `unique` is given."""

    model_config = one_of("when", "unique")

    table: Text = described("A staging table of this pipe.", example="patient_hstage")
    when: Text | None = described("SQL condition for rows that are invalid.", None, example="postcode like '0000%'")
    unique: list[Text] | None = described(
        "Columns that may not have the same values twice.", None, example=["bsn"], min_length=1
    )
    message: Text = described("What the rejected rows say.", example="Invalid postcode")


class FromTable(Keys):
    """A staging table with joins."""

    table: Text = described("A staging table of this pipe; its alias is s.", example="traject_hstage")
    join: Text | None = described(
        "Join text behind it.", None, example="left join sor_his.arts_hstage a on a.id = s.arts_id and a._active"
    )
    reads: list[Text] = described(
        "Tables of the join whose changes matter. Without it, every load compares everything.",
        [],
        example=["sor_his.arts_hstage"],
    )


class FromView(Keys):
    """A view of the vault."""

    view: Text = described("A hub or link, whose view is read.", example="Patient")
    reads: list[Text] = described("Tables whose changes matter.", [], example=["dv.patient_sat"])


class FromQuery(Keys):
    """A query of your own on the warehouse."""

    query: Text = described("The query.", example="select distinct stad from sor_his.patient_hstage where _active")
    reads: list[Text] = described("Tables whose changes matter.", [], example=["sor_his.patient_hstage"])


From = Annotated[
    Annotated[Text, Tag("(text)")]
    | Annotated[FromTable, Tag("(table)")]
    | Annotated[FromView, Tag("(view)")]
    | Annotated[FromQuery, Tag("(query)")],
    Discriminator(chosen_by("(text)", {"table": "(table)", "view": "(view)", "query": "(query)"})),
]


class MappingKeys(Keys):
    """What all mappings have."""

    source: From = described(
        "Where it reads: a staging table of this pipe, {table, join, reads}, {view: hub or link} or {query, reads}.",
        name="from",
        example="patient_hstage",
    )
    to: Text = described("The hub, link or valueset that it fills.", example="Patient")
    name: Text | None = described(
        "Name of the mapping in messages and positions. Without it, '<from> -> <to>'.", None, example="patients"
    )
    description: str = described("What it does.", "", example="All registered patients")
    filter: Text | None = described("SQL condition for the rows to take.", None, example="soort = 'P'")
    prefer: Text | None = described(
        "SQL order which puts the best of several rows of one key first.", None, example="gewijzigd_op desc"
    )


class EntityKeys(MappingKeys):
    """Staging rows become keys of a hub and rows of its satellites."""

    bk: Text = described("SQL expression of the business key.", example="patientnummer || '_his'")
    fields: dict[str, Text] = described(
        "Satellite.column: SQL expression. With the type in brackets for a hybrid satellite: Satellite.column[type].",
        {},
        example={"Personalia.achternaam": "achternaam", "Contactgegevens.telnummer[mobiel]": "mobiel"},
    )


class EntityReference(Keys):
    """A reference by the entity mapping of the same staging table."""

    entity: Text = described("The hub that an entity mapping of the same table fills.", example="Patient")


class LinkMappingKeys(MappingKeys):
    """Staging rows become rows of a link and of its satellites."""

    references: dict[
        str,
        Annotated[
            Annotated[Text, Tag("(text)")] | Annotated[EntityReference, Tag("(entity)")],
            Discriminator(chosen_by("(text)", {"entity": "(entity)"})),
        ],
    ] = described(
        "For every role of the link, the SQL expression of the business key, or {entity: hub}: "
        "the business key of the entity mapping of the same table.",
        example={"patient": {"entity": "Patient"}, "traject": "trajectnummer || '_his'"},
    )
    type: Text | None = described("Type of the link's rows, for a hybrid link.", None, example="behandelaar")
    fields: dict[str, Text] = described(
        "Satellite.column: SQL expression, for satellites of the link.", {}, example={"Default.start": "begindatum"}
    )
    missing_reference: Literal["wait", "create_hub", "reject"] = described(
        "What happens to a row whose reference is not in its hub: it waits and is tried at each run (wait), "
        "the key is made (create_hub), or the row is rejected (reject).",
        "wait",
    )


class ValuesetMappingKeys(MappingKeys):
    """Staging rows become codes of a valueset."""

    fields: dict[str, Text] = described(
        "SQL expressions of valueset_naam, code and omschrijving; ingangsdatum and einddatum of a periodical "
        "valueset; and its further columns.",
        example={"valueset_naam": "'geslacht'", "code": "code", "omschrijving": "naam"},
    )


class ExtraSqlKeys(Keys):
    """SQL that runs once per text and warehouse."""

    model_config = one_of("sql", "file")

    name: Text = described("Name of the text in messages.", example="index_on_postcode")
    sql: Text | None = described("The SQL.", None, example="create index if not exists ...")
    file: Text | None = described("Or a file of the project that holds it.", None, example="sql/indexes.sql")


class PipeFile(Keys):
    """pipes/<name>.yaml: one source system."""

    pipe: Text | None = described(
        "Name of the pipe, unique in the warehouse: letters, digits, '_' and '-'. It is the _source_system of all that "
        "it loads. Without it, the file's name.",
        None,
        example="his",
    )
    description: str = described("What the source is; shown in Airflow.", "", example="Hospital information system")
    active: bool = described("An inactive pipe is shown and skipped.", True, pyelt="active")
    schedule: Text | None = described(
        "A name of the pipeline's schedules, for a pipe with another rhythm.",
        None,
        also=("schedule_interval",),
        pyelt="schedule_interval",
        example="monthly",
    )
    source_path: Text | None = described(
        "Folder of the files, below data_root; absolute, or an object storage URL (s3://...). A pipe may have both, files "
        "and a source_connection.",
        None,
        pyelt="source_path",
        also=("data_path",),
        example="his",
        environment=True,
    )
    source_conn_id: Text | None = described(
        "Airflow connection for a source_path in object storage.", None, example="aws_default", environment=True
    )
    source_connection: Text | None = described(
        "The source database: an Airflow connection id or a URL (its password is masked everywhere).",
        None,
        pyelt="source_connection",
        also=("connection_string",),
        example="lab_db",
        environment=True,
    )
    default_schema: Text | None = described(
        "Schema of the source database's tables.", None, pyelt="default_schema", example="public"
    )
    sor_schema: Text | None = described(
        "Schema of the staging tables. Without it, sor_<pipe>.", None, pyelt="sor_schema", example="sor_his"
    )
    min_rows: Rows | None = described("min_rows of the staging tables that have none.", None, example=1)
    max_deleted: RowsOrShare | None = described(
        "max_deleted of the staging tables that have none.", None, example="10%"
    )
    max_rejected: RowsOrShare | None = described(
        "max_rejected of the staging tables that have none, and of mappings from views and queries.", None, example="1%"
    )
    sor: dict[str, SorKeys] = described(
        "The staging tables by name.", {}, example={"patient_hstage": {"csv": "patients.csv", "key": ["patientnummer"]}}
    )
    validations: list[ValidationKeys] = described("Rejects rows before any mapping.", [])
    entities: list[EntityKeys] = described("Mappings onto hubs and their satellites.", [])
    links: list[LinkMappingKeys] = described("Mappings onto links and their satellites.", [])
    valuesets: list[ValuesetMappingKeys] = described("Mappings onto valuesets.", [])
    functions: list[Text] = described(
        "Files below functions/ with one database function each, which this pipe's SQL calls.",
        [],
        example=["initials.sql"],
    )
    extra_sql: list[ExtraSqlKeys] = described(
        "SQL that runs once per text and warehouse, after the staging tables exist.", []
    )
    before_sor: list[Text] = described(
        "Python functions to call before the source is read: file.py:function below the project, "
        "or package.module:function.",
        [],
        example=["hooks.py:before"],
    )
    after_sor: list[Text] = described(
        "Python functions to call after the staging tables are loaded.", [], example=["hooks.py:after"]
    )

"""The keys of pipeline.yaml (PyELT's general_config)."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from pyelt_provider.config.keys import Day, Duration, Keys, Rows, RowsOrShare, Text, chosen_by, described


class CronKeys(Keys):
    """A cron text with a first day of its own."""

    cron: Text = described("Cron text or preset.", example="0 3 1 * *")
    start_date: Day | None = described(
        "First day of this schedule, where it is another than the pipeline's.", None, example="2026-01-01"
    )


class TimetableKeys(Keys):
    """A schedule by a timetable class of your own."""

    timetable: Text = described("Import path of the timetable class.", example="company.calendars.WorkdayTimetable")
    arguments: dict[str, Any] = described("Keyword arguments for the timetable class.", {}, example={"hour": 2})


class AssetsKeys(Keys):
    """A schedule by data: a run starts when all of the assets were updated."""

    assets: list[Text] = described("URIs or names of Airflow assets.", example=["sor_his.patient_hstage"], min_length=1)


ScheduleKeys = Annotated[
    Annotated[Text, Tag("(text)")]
    | Annotated[CronKeys, Tag("(cron)")]
    | Annotated[TimetableKeys, Tag("(timetable)")]
    | Annotated[AssetsKeys, Tag("(assets)")],
    Discriminator(chosen_by("(text)", {"cron": "(cron)", "timetable": "(timetable)", "assets": "(assets)"})),
]


class EmailKeys(Keys):
    """Mails about runs; they go out after the commit, once per run and outcome, and never fail a load."""

    send_mail_before_run: bool = described("Send a mail when a run starts.", False, pyelt="send_mail_before_run")
    send_log_mail_after_run: bool = described(
        "Send a mail with the counts, the rejected rows and links to the logs when a run has ended.",
        False,
        pyelt="send_log_mail_after_run",
    )
    sender: Text | None = described(
        "The sender; without it, the one of the SMTP connection.",
        None,
        name="from",
        pyelt="from",
        example="dwh@a.example",
    )
    to: Annotated[
        Annotated[Text, Tag("(text)")] | Annotated[list[Text], Tag("(list)")],
        Discriminator(lambda value: "(list)" if isinstance(value, list) else "(text)"),
    ] = described(
        "The receivers: a list, or a text with ',' or ';' between them.", pyelt="to", example=["night@clinic.example"]
    )
    subject: str = described("Begin of the subject; the pipeline, the run and its outcome follow.", "", pyelt="subject")
    msg: str = described("Text above the numbers.", "", pyelt="msg")
    conn_id: Text = described("The Airflow connection of the SMTP server.", "smtp_default")


class PipelineFile(Keys):
    """pipeline.yaml: the warehouse, the schedule, and what goes for all pipes."""

    pipeline: Text | None = described(
        "Name of the pipeline and of its DAG: letters, digits, '_', '-' and '.'. Without it, the folder's name.",
        None,
        example="clinic",
    )
    description: str = described("What the pipeline is for; shown in Airflow.", "", example="Nightly load of the vault")
    python: Text | None = described(
        "A PyELT project in Python: package.module:function, where the function registers domains and mappings on a "
        "Pipeline, or package.module, a script that ends in pipeline.run(). What stands in this file beside it counts "
        "before the program's general_config.",
        None,
        example="etl.clinic:build",
    )
    python_path: Text | None = described(
        "Folder from which `python` is imported; relative to this file. Without it, the project folder.",
        None,
        example="../../etl",
        environment=True,
    )
    schedule: ScheduleKeys | None = described(
        "When runs start: a cron text or preset (@hourly, @daily, @weekly, @monthly, @quarterly, @yearly), "
        "{cron: text, start_date: day}, {timetable: import.path, arguments: {...}}, {assets: [...]}, "
        "or null for no schedule. "
        "Cron texts give data intervals in the pipeline's timezone.",
        None,
        pyelt="schedule_interval",
        also=("schedule_interval",),
        example="0 2 * * *",
    )
    schedules: dict[str, ScheduleKeys] = described(
        "Further schedules by name, for pipes and datamarts with another rhythm. "
        "Each becomes a DAG of its own, named <pipeline>__<name>.",
        {},
        example={"monthly": "0 3 1 * *"},
    )
    timezone: Text = described(
        "Timezone of the cron texts, and of the day that run ids count.", "UTC", example="Europe/Amsterdam"
    )
    start_date: Day = described("First day of the schedule.", "2026-01-01", validate_default=True, example="2026-01-01")
    end_date: Day | None = described("Last day of the schedule.", None, example="2030-12-31")
    catchup: bool = described("Whether the scheduler makes up for intervals that it missed.", False)
    max_active_runs: int = described("How many runs of a DAG may be open at a time.", 1, ge=1, le=1000)
    tags: list[Text] = described("Tags of the DAGs.", [], example=["datavault"])
    owner: Text = described("Owner of the tasks.", "pyelt")
    retries: int = described("How often a failed task is tried again.", 0, ge=0, le=1000)
    retry_delay: Duration = described("Time between two tries.", "5m", validate_default=True, example="5m")
    pool: Text | None = described("Airflow pool of the tasks.", None, example="warehouse")
    queue: Text | None = described("Queue of the tasks, for executors that have queues.", None, example="etl")
    execution_timeout: Duration | None = described("A task that takes longer is ended and fails.", None, example="2h")
    dagrun_timeout: Duration | None = described("A run that takes longer fails.", None, example="8h")
    conn_dwh: Text = described(
        "The warehouse: an Airflow connection id, or a postgresql:// URL (its password is masked everywhere).",
        pyelt="conn_dwh",
        example="dwh",
        environment=True,
    )
    data_root: Text = described(
        "Folder of the deliveries: absolute, relative to the project folder, or an object storage URL.",
        ".",
        pyelt="data_root",
        example="${PYELT_DATA_ROOT:-data}",
        environment=True,
    )
    datatransfer_path: Text | None = described(
        "Folder of the worker into which deliveries from object storage, and from databases other than PostgreSQL, are "
        "brought whole before the warehouse gets a row of them; nobody else can open such a file, and it goes when it "
        "was loaded. Without it, they are streamed.",
        None,
        pyelt="datatransfer_path",
        example="transfer",
        environment=True,
    )
    create_views: bool = described("Whether the vault gets a view per hub and link.", True, pyelt="create_views")
    on_errors: Literal["throw", "log"] = described(
        "What a failing mapping does: 'throw' ends the stage at once; 'log' lets the other mappings go on, "
        "and the stage fails at its end with the names of all that failed.",
        "throw",
        pyelt="on_errors",
    )
    min_rows: Rows | None = described("min_rows of the pipes that have none.", None, example=1)
    max_deleted: RowsOrShare | None = described("max_deleted of the pipes that have none.", None, example="10%")
    max_rejected: RowsOrShare | None = described("max_rejected of the pipes that have none.", None, example="1%")
    debug: bool = described(
        "Read at most 100 rows per source; no deletion is detected and no position moves.", False, pyelt="debug"
    )
    ask_confirm_on_db_changes: bool = described(
        "Ask before tables change: `pyelt run` asks, and a DDL task fails with its DDL unless the run allows it.",
        False,
        pyelt="ask_confirm_on_db_changes",
    )
    email_settings: EmailKeys | None = described("Mails about runs.", None, pyelt="email_settings")
    log_path: Text | None = described(
        "Folder for a log file per run and pipe, next to Airflow's own log.",
        None,
        pyelt="log_path",
        example="logs",
        environment=True,
    )
    ddl_log_path: Text | None = described(
        "Folder for a file per run and pipe with the DDL that ran.",
        None,
        pyelt="ddl_log_path",
        example="logs/ddl",
        environment=True,
    )
    sql_log_path: Text | None = described(
        "Folder for a file per run and pipe with the SQL that ran.",
        None,
        pyelt="sql_log_path",
        example="logs/sql",
        environment=True,
    )
    sys_schema: Text = described("Schema of the bookkeeping tables.", "sys", example="sys")
    datamart_schema: Text = described("Schema of the datamarts.", "dm", example="dm")
    lock_timeout: Duration = described(
        "How long a statement waits for a lock before it fails.", "5m", validate_default=True, example="5m"
    )
    work_memory_mb: int = described(
        "PostgreSQL's work_mem for the statements of a load, in megabytes.", 256, ge=1, le=1048576
    )

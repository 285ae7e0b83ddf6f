"""``pyelt.pipeline``: a pipeline with its pipes, domains and datamarts, as a program puts them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyelt_provider.errors import PyeltError
from pyelt_provider.pyelt_api.deliveries import SourceDatabase
from pyelt_provider.pyelt_api.ensembles import EnsembleView, views_of
from pyelt_provider.pyelt_api.session import RunReached, current
from pyelt_provider.pyelt_api.tables import Database, DbFunction, Schema
from pyelt_provider.pyelt_api.vault import AbstractOrderderTable, HubEntityMetaClass, is_link
from pyelt_provider.pyelt_api.written import here


class _Default(str):
    """A schema's name that nobody gave, so that a class may say another one."""


PARTS = ("sor", "valuesets", "hubs", "links", "views", "viewlinks")
_DV, _VALSET = _Default("dv"), _Default("valset")


class Logger:
    """What hooks write goes to the log of the task."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.lines: list[str] = []

    def log(self, msg: str, rowcount: Any = None, newline: bool = False, indent_level: int = 0, **more: Any) -> None:
        """Write a line."""
        print(f"{'  ' * indent_level}{msg}" + (f" ({rowcount} rows)" if rowcount is not None else ""))

    def log_simple(self, msg: str) -> None:
        self.log(msg)

    def log_error(self, log_message: str = "", sql: str = "", err_msg: str = "") -> None:
        """Write an error, and keep it: the hook's stage fails with it."""
        self.errors.append(f"{log_message} {err_msg}".strip())
        self.log(f"{log_message} {err_msg}")


class Row(list[Any]):
    """A row of a query: a list whose values can be had by the names of their columns too."""

    def __init__(self, names: dict[str, int], values: Iterable[Any]) -> None:
        super().__init__(values)
        self._names = names

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._names[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._names)


class Dwh(Database):
    """The warehouse. Inside a hook its functions use the task's own connection; outside of one there is none."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config = config or {}
        super().__init__(str(self.config.get("conn_dwh", "")))
        self.schemas: dict[str, Schema] = {name: Schema(name, self) for name in ("sys", "valset", "rdv", "dv")}
        self.connection: Any = None

    @property
    def dv(self) -> Schema:
        return self.schemas["dv"]

    @property
    def rdv(self) -> Schema:
        return self.schemas["rdv"]

    @property
    def sys(self) -> Schema:
        return self.schemas["sys"]

    def get_schema(self, name: str) -> Schema:
        return self.schemas.setdefault(name, Schema(name, self))

    def get_or_create_sor_schema(self, sor: Any) -> Schema:
        return self.get_schema(sor["sor_schema"] if isinstance(sor, dict) else sor)

    def get_or_create_datamart_schema(self, dm_name: str) -> Schema:
        return self.get_schema(dm_name)

    def execute(self, sql: str, log_message: str = "") -> int:
        """Run a statement in the hook's transaction and return how many rows it was about."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.rowcount)

    def execute_read(self, sql: str, log_message: str = "") -> list[Any]:
        """Run a query in the hook's transaction and return its rows, which can be read by number and by name."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            names = {column[0]: number for number, column in enumerate(cursor.description)}
            return [Row(names, row) for row in cursor.fetchall()]

    def execute_returning(self, sql: str, log_message: str = "") -> list[Any]:
        """Run a statement with RETURNING in the hook's transaction and return its rows."""
        return self.execute_read(sql, log_message)

    def confirm_execute(self, sql: str, log_message: str = "") -> None:
        self.execute(sql, log_message)

    def _cursor(self) -> Any:
        if self.connection is None:
            raise PyeltError(
                "the program asks the warehouse something while it is loaded; loading opens no database: do it in a "
                "function that is registered with register_run_after_sor"
            )
        return self.connection.cursor()


class _PipelineType(type):
    """There is one pipeline per loading of a project, as there was one per process in PyELT."""

    @property
    def _instance(cls) -> Any:
        return current().pipeline

    @_instance.setter
    def _instance(cls, value: Any) -> None:
        current().pipeline = value

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        session = current()
        if session.pipeline is None:
            session.pipeline = super().__call__(*args, **kwargs)
        return session.pipeline


class Pipeline(metaclass=_PipelineType):
    """All pipes into one warehouse, and the domains that they fill. Every `Pipeline(...)` of a program is the same one."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config: dict[str, Any] = config if config is not None else dict(current().general_config or {})
        self.dwh = Dwh(self.config)
        self.runid = 1.00
        self.pipes: dict[str, Pipe] = {}
        self.logger = Logger()
        self.sql_logger = self.logger
        self.domain_modules: dict[str, Any] = {}
        self.datamart_modules: dict[str, Any] = {}
        self.ensemble_views: list[EnsembleView] = []
        self.place = here()

    def get_or_create_pipe(self, source_system: str, config: dict[str, Any] | None = None) -> Pipe:
        """Return the pipe of a source system, made from its config the first time."""
        source_system = source_system.replace("sor_", "")
        if source_system not in self.pipes:
            self.pipes[source_system] = Pipe(source_system, self, config)
        return self.pipes[source_system]

    def register_domain(self, module: Any, schema_name: str = _DV) -> None:
        """Register the hubs and links that a module has, imported ones too, for a schema of the vault."""
        self.dwh.get_schema(str(schema_name))
        self.domain_modules[f"{schema_name}.{module.__name__}"] = module
        for cls in classes_of(module):
            if (isinstance(cls, HubEntityMetaClass) or is_link(cls)) and not _says_its_own(cls, schema_name):
                cls.__dbschema__ = str(schema_name)
                inner = cls.Hub if isinstance(cls, HubEntityMetaClass) else cls.Link
                for table in (inner, *cls.__sats__.values()):
                    table.__dbschema__ = str(schema_name)
        for view in views_of(module):
            if not any(view is known or type(view) is type(known) is not EnsembleView for known in self.ensemble_views):
                self.ensemble_views.append(view)
                if not _says_its_own(type(view), schema_name):
                    view.__dbschema__ = str(schema_name)

    def register_valset_domain(self, module: Any, schema_name: str = _VALSET) -> None:
        """Register the valuesets that a module has, for a schema."""
        self.dwh.get_schema(str(schema_name))
        self.domain_modules[f"{schema_name}.{module.__name__}"] = module
        from pyelt_provider.pyelt_api.reference_tables import DvValueset

        for cls in classes_of(module):
            if issubclass(cls, DvValueset) and not _says_its_own(cls, schema_name):
                cls.__dbschema__ = str(schema_name)

    def register_datamart(self, module: Any, schema_name: str = "") -> None:
        """Register the dimensions and facts that a module has; their tables are made, the project fills them."""
        schema_name = schema_name or module.__name__.rpartition(".")[2]
        self.datamart_modules[schema_name] = module
        self.dwh.get_schema(schema_name)
        for cls in classes_of(module):
            if issubclass(cls, AbstractOrderderTable):
                cls.__dbschema__ = schema_name

    def run(self, parts: list[str] | tuple[str, ...] = PARTS) -> None:
        """Run all pipes here and now, stage by stage; while the project is only loaded, its program ends here.

        Raises PyeltError when a stage failed, after all others that could be done.
        """
        self._run(tuple(parts), None)

    def _run(self, parts: tuple[str, ...], pipes: tuple[str, ...] | None) -> None:
        session = current()
        session.pipeline = self
        if session.runner is not None:
            session.runner(self, parts, pipes)
        elif session.is_loading:
            raise RunReached
        else:
            raise PyeltError("start the program by `pyelt python <file>`, which runs its stages in the foreground")


def _says_its_own(cls: Any, schema_name: str) -> bool:
    return isinstance(schema_name, _Default) and "__dbschema__" in vars(cls) and bool(vars(cls).get("__own_schema__"))


def classes_of(module: Any) -> Iterator[Any]:
    """Give the classes that a module has, imported ones too, each once, in the order in which they came in."""
    seen: set[int] = set()
    for member in list(vars(module).values()):
        if isinstance(member, type) and id(member) not in seen:
            seen.add(id(member))
            yield member


class Pipe:
    """One source system, from its deliveries to the vault; `mappings` and `validations` are filled by the program."""

    def __init__(self, source_system: str, pipeline: Pipeline, config: dict[str, Any] | None = None) -> None:
        self.source_system = source_system
        self.pipeline = pipeline
        # A copy: two pipes that are given the same dict are still two pipes.
        self.config: dict[str, Any] = {"sor_schema": f"sor_{source_system}", **(config or {})}
        self.mappings: list[Any] = []
        self.validations: list[Any] = []
        self.source_db: SourceDatabase | None = None
        self.source_path: str = self.config.get("source_path", "")
        if self.config.get("source_connection"):
            self.source_db = SourceDatabase(
                self.config["source_connection"],
                self.config.get("default_schema") or "public",
                pipeline.config.get("datatransfer_path", ""),
            )
        self.sor = pipeline.dwh.get_or_create_sor_schema(self.config["sor_schema"])
        self.db_functions: dict[str, DbFunction] = {}
        self.extra_ddl_statements: list[Any] = []
        self.run_before_sor: list[Any] = []
        self.run_after_sor: list[Any] = []
        self.description = ""
        self.place = here()

    @property
    def runid(self) -> float:
        return self.pipeline.runid

    @property
    def extra_sql_statements(self) -> list[Any]:
        return self.extra_ddl_statements

    def register_domain(self, module: Any, schema_name: str = _DV) -> None:
        """Register a domain of the pipeline."""
        self.pipeline.register_domain(module, schema_name)

    def register_db_functions(self, module: Any, schema: Any = None) -> None:
        """Register the database functions that a module has; they are made in the schema, else in the one they name."""
        for cls in classes_of(module):
            if cls is not DbFunction and issubclass(cls, DbFunction):
                function = cls()
                if schema is not None and schema != "":
                    function.schema = schema
                function.place = here() if function.place.line == 0 else function.place
                self.register_db_function(function)

    def register_db_function(self, func: DbFunction) -> None:
        """Register one database function."""
        self.db_functions[func.name] = func

    def register_extra_ddl(self, extra_ddl: list[Any]) -> None:
        """Register SQL that runs once, after the staging tables exist: texts, or (active, text) pairs."""
        self.extra_ddl_statements.extend((item, here()) for item in extra_ddl)

    register_extra_sql = register_extra_ddl

    def register_extra_func_before_sor(self, func: Any) -> None:
        """Register a function that is called with the pipe before its source is read."""
        self.run_before_sor.append(func)

    def register_extra_func_after_sor(self, func: Any) -> None:
        """Register a function that is called with the pipe after its staging tables are loaded."""
        self.run_after_sor.append(func)

    register_run_before_sor = register_extra_func_before_sor
    register_run_after_sor = register_extra_func_after_sor

    def run(self, parts: list[str] | tuple[str, ...] = PARTS) -> None:
        """Run this pipe alone, as `Pipeline.run`."""
        self.pipeline._run(tuple(parts), (self.source_system,))

    def validate(self) -> str:
        """Return nothing: the whole project is checked when it is loaded."""
        return ""

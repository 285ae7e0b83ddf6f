"""``pyelt.sources``: files and source databases. Nothing is opened: their columns are read when a run needs them."""

from __future__ import annotations

from typing import Any

from pyelt_provider.pyelt_api.columns import Column
from pyelt_provider.pyelt_api.tables import Database, Table
from pyelt_provider.pyelt_api.written import here


class Unread(list[Column]):
    """The columns of a delivery that nobody has read: asking for one says why there is none."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def _refuse(self) -> Any:
        raise LookupError(
            f"the columns of {self._what} are known when a run reads it, not while the project is loaded; "
            "map them by auto_map=True, with ignore_fields for those that are not wanted"
        )

    def __iter__(self) -> Any:
        return self._refuse()

    def __getitem__(self, index: Any) -> Any:
        return self._refuse()

    def __len__(self) -> int:
        return 0


class File:
    """A delivered file; a relative path is one below the pipe's source path."""

    def __init__(self, file_name: str) -> None:
        self.file_name = str(file_name)
        self.name = self.file_name[self.file_name.rfind("/") + 1 :]
        self.key_names: list[str] = []
        self.columns: list[Column] = Unread(self.name)
        self.is_reflected = False
        self.encoding = "utf8"
        self.place = here()

    def __repr__(self) -> str:
        return self.name

    def set_primary_key(self, key_names: list[str] | None = None) -> None:
        """Say which columns identify a row."""
        self.key_names = [key.lower() for key in key_names or []]

    def primary_keys(self) -> list[str]:
        return self.key_names

    def field_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def reflect(self) -> None:
        """Do nothing: the header is read by the ddl_sor stage of a run."""
        self.is_reflected = True

    def get_header(self) -> list[Column]:
        return self.columns


class CsvFile(File):
    """A CSV file. As in PyELT, values are separated by ';' and quoted by '|' unless said otherwise."""

    def __init__(self, file_name: str, **kwargs: Any) -> None:
        super().__init__(file_name)
        self.quote = kwargs.get("quote", "|")
        self.delimiter = kwargs.get("delimiter", ";")
        self.encoding = kwargs.get("encoding", self.encoding)
        self.kwargs = kwargs


class FixedLengthFile(File):
    """A file with columns at fixed places: `import_def` has (name, length) or (name, length, is_key) per column."""

    def __init__(self, file_name: str, import_def: Any) -> None:
        super().__init__(file_name)
        self.import_def = list(import_def or [])
        self.columns = [Column(Column.clear_name(item[0])) for item in self.import_def]
        self.is_reflected = bool(self.import_def)
        self.set_primary_key([item[0] for item in self.import_def if len(item) > 2 and item[2]])


class SourceDatabase(Database):
    """A source database, by its connection id or URL."""

    def __init__(self, conn_string: str = "", default_schema: str = "public", temp_datatransfer_path: str = "") -> None:
        super().__init__(conn_string, default_schema)
        self.temp_datatransfer_path = temp_datatransfer_path
        user = conn_string.partition("://")[2].partition("@")[0].partition(":")[0]
        self.user_name = user


class SourceTable(Table):
    """A table or view of a source database."""

    def __init__(self, name: str, schema: Any = None, db: Any = None, alias: str = "") -> None:
        super().__init__(name, schema, db)
        self.columns = Unread(name)
        self.alias = alias


class SourceQuery(SourceTable):
    """A query for a source database."""

    def __init__(self, db: Any, sql: str, name: str) -> None:
        super().__init__(name, "", db, alias=name)
        self.sql = sql.strip().removesuffix(";")

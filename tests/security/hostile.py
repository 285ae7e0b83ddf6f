"""Values made to break out of SQL, shells, templates, logs and HTML, and a project that has one of them in every place."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

BIDI = "\u202e"
NAMES = {
    "quotes": "a'b\"c`d",
    "sql": "x'\";drop table own.canary;--",
    "percent": "5%s%(x)s%%",
    "template": "{{ds}}{%x%}{#y",
    "shell": "$(id)`id`",
    "newline": "a\nb",
    "nul": "a\0b",
    "long": "x" * 10_000,
    "right to left": f"a{BIDI}b\u200fc",
    "html": "<b onload=x>&amp;",
    "backslash": "\\'x\\n",
    "terminal": "\x1b[31ma\x1b]0;b\x07",
}
"""Hostile names, short enough that what is made of them still fits into PostgreSQL's 63 bytes."""
TEXTS = NAMES | {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>[x](javascript:alert(3))&lt;",
    "shell": "$(touch /tmp/pyelt-was-here) `touch /tmp/pyelt-was-here` ; touch /tmp/pyelt-was-here",
    "newline": "a\n2026-01-01 00:00:00 forged: line\n::group::forged\n-- \n; drop table own.canary;",
}


def quoted(name: str) -> str:
    """A name as somebody who knows SQL writes it in an expression."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as somebody who knows SQL writes it in an expression."""
    return "'" + text.replace("'", "''") + "'"


NAME_PLACES = (
    "pipeline", "pipe", "schedule", "sor schema", "staging table", "header", "key", "file", "folder",
    "hub", "satellite", "column", "type", "link", "role", "link column", "valueset table", "datamart", "alias",
)  # fmt: skip
TEXT_PLACES = (
    "pipeline description", "pipe description", "hub description", "column description", "link description",
    "mapping description", "datamart description", "message", "when", "filter", "constant", "bk", "valueset name",
    "owner", "tag", "log path", "connection", "mail subject", "mail text", "mail address", "null", "data",
)  # fmt: skip
HARMLESS: Mapping[str, str] = {
    "pipeline": "clinic", "pipe": "his", "schedule": "weekly", "sor schema": "sor_his", "staging table": "patient_hstage",
    "header": "naam", "key": "nr", "file": "patients", "folder": "his", "hub": "Patient", "satellite": "Person",
    "column": "name", "type": "home", "link": "Stay", "role": "guest", "link column": "since", "valueset table": "Valueset",
    "datamart": "dim_patient", "alias": "shown", "owner": "me", "tag": "t", "log path": "logs", "connection": "dwh",
    "mail address": "night@example.test", "null": "", "bk": "_his", "valueset name": "sex", "data": "Ann",
}  # fmt: skip


class Hostile:
    """What stands in each place of a project: harmless texts, but for the places of `chosen`."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        self.chosen = dict(chosen)

    def __getitem__(self, place: str) -> str:
        return self.chosen.get(place, HARMLESS.get(place, "some text"))

    def write(self, project: Path) -> None:
        """Write the project's files."""
        for name, content in {
            "pipeline.yaml": self._pipeline(project),
            "domain.yaml": self._domain(),
            "pipes/his.yaml": self._pipe(),
        }.items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
        marts = project / "datamarts"
        marts.mkdir(exist_ok=True)
        about = self["datamart description"].splitlines()[0]
        (marts / f"{self['datamart']}.sql").write_text(
            f"-- description: {about}\n-- materialized: table\n"
            f"select bk as {quoted(self['alias'])}, {literal(self['constant'])} as constant from dv.ward_view\n"
        )

    def deliver(self, project: Path, day: str, rows: int = 2) -> Path:
        """Write the delivery of a day; each row has the hostile value as its data."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([self["key"], self["header"], "ward"])
        for number in range(rows):
            writer.writerow([f"{number}{self['data']}", self["data"], f"w{self['data']}"])
        path = project / "data" / self["folder"] / day / f"{self['file']}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(out.getvalue(), encoding="utf-8")
        return path

    def _pipeline(self, project: Path) -> dict[str, Any]:
        return {
            "pipeline": self["pipeline"],
            "description": self["pipeline description"],
            "conn_dwh": self["connection"],
            "data_root": str(project / "data"),
            "schedules": {self["schedule"]: "0 3 1 * *"},
            "owner": self["owner"],
            "tags": [self["tag"]],
            "log_path": self["log path"],
            "ddl_log_path": "logs",
            "sql_log_path": "logs",
            "email_settings": {
                "to": self["mail address"],
                "subject": self["mail subject"],
                "msg": self["mail text"],
                "send_log_mail_after_run": True,
            },
        }

    def _domain(self) -> dict[str, Any]:
        return {
            "hubs": {
                self["hub"]: {
                    "description": self["hub description"],
                    "satellites": {
                        self["satellite"]: {
                            self["column"]: {
                                "type": "text",
                                "description": self["column description"],
                                "valueset": self["valueset name"],
                            },
                            "constant": "text",
                        },
                        "Contact": {"types": [self["type"]], "columns": {"number": "text"}},
                        "RecordStatus": "record_status",
                    },
                },
                "Ward": {},
            },
            "links": {
                self["link"]: {
                    "description": self["link description"],
                    "references": {self["role"]: self["hub"], "ward": "Ward"},
                    "satellites": {"Default": {self["link column"]: "text"}},
                    "status": True,
                }
            },
            "valuesets": {self["valueset table"]: {}},
        }

    def _pipe(self) -> dict[str, Any]:
        table, header, key = self["staging table"], quoted(self["header"]), quoted(self["key"])
        bk = f"{key} || {literal(self['bk'])}"
        satellite = self["satellite"]
        return {
            "pipe": self["pipe"],
            "description": self["pipe description"],
            "source_path": self["folder"],
            "sor_schema": self["sor schema"],
            "sor": {
                table: {"csv": f"{{{{ ds }}}}/{self['file']}.csv", "key": [self["key"]], "null": self["null"]},
            },
            "validations": [
                {"table": table, "when": f"{key} = {literal(self['when'])}", "message": self["message"]},
                {"table": table, "when": f"{key} like '1%'", "message": self["message"]},
            ],
            "entities": [
                {
                    "from": table,
                    "filter": f"{header} <> {literal(self['filter'] + '!')}",
                    "description": self["mapping description"],
                    "to": self["hub"],
                    "bk": bk,
                    "fields": {
                        f"{satellite}.{self['column']}": header,
                        f"{satellite}.constant": literal(self["constant"]),
                        f"Contact.number[{self['type']}]": header,
                    },
                },
                {"from": table, "to": "Ward", "bk": "ward"},
            ],
            "links": [
                {
                    "from": table,
                    "to": self["link"],
                    "references": {self["role"]: bk, "ward": "ward"},
                    "fields": {f"Default.{self['link column']}": literal(self["constant"])},
                }
            ],
            "valuesets": [
                {
                    "from": table,
                    "to": self["valueset table"],
                    "fields": {
                        "valueset_naam": literal(self["valueset name"]),
                        "code": header,
                        "omschrijving": literal(self["constant"]),
                    },
                }
            ],
        }


def every_place(value: str) -> dict[str, str]:
    """All places with the names and texts of one kind of hostile value."""
    suffixes = {"link": "l", "key": "k", "role": "r", "link column": "c", "alias": "a", "null": "n"}
    texts = dict.fromkeys(NAME_PLACES, NAMES[value]) | dict.fromkeys(TEXT_PLACES, TEXTS[value])
    return {place: text + suffixes.get(place, "") for place, text in texts.items()}  # no two names are the same


def accepted(value: str, works: Callable[[Mapping[str, str]], bool]) -> dict[str, str]:
    """The places in which `works` finds the value to be fine, each for itself."""
    return {place: text for place, text in every_place(value).items() if works({place: text})}

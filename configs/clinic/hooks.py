"""Hooks of the clinic: a logbook in the warehouse of what each night's delivery left behind.

They use the task's own connection, so what they write commits with the load or not at all. Both may run again in the
same run, so both write in a way that gives the same logbook twice.
"""

from __future__ import annotations

from pyelt_provider.execution.environment import HookContext


def open_logbook(context: HookContext) -> None:
    """Make sure that there is a logbook, with a page for this run."""
    with context.connection.cursor() as cursor:
        cursor.execute(
            """
            create table if not exists sor_his.logbook (
                runid numeric primary key, delivered_for date not null, patients bigint, rejected bigint)
            """
        )
        cursor.execute(
            """
            insert into sor_his.logbook (runid, delivered_for) values (%(runid)s, %(day)s)
            on conflict (runid) do update set patients = null, rejected = null
            """,
            {"runid": context.run.number, "day": context.run.interval_start.date()},
        )


def write_logbook(context: HookContext) -> None:
    """Write how many patients are registered now, and how many of them are rejected."""
    with context.connection.cursor() as cursor:
        cursor.execute(
            """
            update sor_his.logbook set (patients, rejected) = (
                select count(*), count(*) filter (where not _valid) from sor_his.patient_hstage where _active)
            where runid = %(runid)s
            """,
            {"runid": context.run.number},
        )

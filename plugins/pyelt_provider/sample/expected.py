"""What the warehouse holds at the end of the sample's story: the literals, and the comparison with them.

For the default size and all its days. Nothing here depends on which of two DAGs was first, on run ids or on the time.
"""

from __future__ import annotations

from collections.abc import Iterable

Rows = list[tuple[str | None, ...]]

ROWS: dict[str, tuple[int, int | None]] = {
    # table: rows, and active ones where the table keeps history
    "sor_his.patient_hstage": (1145, 1031),
    "sor_his.care_track_hstage": (1183, 1024),
    "sor_his.practitioner_hstage": (10, 8),
    "sor_his.organisation_hstage": (6, 5),
    "sor_his.code_hstage": (10, 9),
    "sor_his.tariff_hstage": (6, 5),
    "sor_lab.analyte_hstage": (8, 8),
    "sor_lab.lab_order_hstage": (454, 242),
    "sor_lab.result_hstage": (599, 594),
    "sor_billing.invoice_hstage": (1156, 996),
    "valset.valueset": (12, 11),
    "valset.tariff": (6, 5),
    "dv.patient_hub": (1063, None),
    "dv.patient_sat": (1062, 1062),
    "dv.patient_sat_name": (1565, 1565),
    "dv.patient_sat_address": (1115, 1062),
    "dv.patient_sat_contact": (1778, 1775),
    "dv.patient_sat_insurance": (504, 503),
    "dv.patient_sat_record_status": (73, 52),
    "dv.household_hub": (1114, None),
    "dv.household_sat": (1114, 1114),
    "dv.care_track_hub": (1056, None),
    "dv.care_track_sat": (1057, 1056),
    "dv.organisation_hub": (5, None),
    "dv.organisation_sat": (5, 5),
    "dv.clinic_sat_clinic": (4, 3),
    "dv.practitioner_hub": (21, None),
    "dv.practitioner_sat": (10, 9),
    "dv.lab_order_hub": (254, None),
    "dv.lab_order_sat": (454, 254),
    "dv.lab_order_sat_record_status": (12, 12),
    "dv.analyte_hub": (8, None),
    "dv.analyte_sat": (8, 8),
    "dv.invoice_hub": (1006, None),
    "dv.invoice_sat": (1156, 1006),
    "dv.invoice_sat_record_status": (10, 10),
    "dv.patient_care_track_link": (1056, None),
    "dv.patient_care_track_sat": (1056, 1056),
    "dv.care_track_practitioner_link": (1135, None),
    "dv.care_track_practitioner_sat_status": (179, 158),
    "dv.care_track_clinic_link": (1085, None),
    "dv.patient_practitioner_link": (1774, None),
    "dv.patient_household_link": (1114, None),
    "dv.lab_order_patient_link": (254, None),
    "dv.lab_result_link": (593, None),
    "dv.lab_result_sat": (595, 593),
    "dv.lab_result_sat_status": (1, 1),
    "dv.invoice_patient_link": (1006, None),
    "dm.dim_patient": (1063, None),
    "dm.dim_practitioner": (21, None),
    "dm.fact_lab_result": (593, None),
    "sor_his.logbook": (6, None),
}

ANSWERS: tuple[tuple[str, str, Rows], ...] = (
    (
        "patient 2 moved and moved back",
        """
        select s._revision, s.street, s.house_number, s._active
        from dv.patient_sat_address s join dv.patient_hub h using (_id) where h.bk = '0000002' order by s._revision
        """,
        [
            ("0", "Verhaalstraat", "2", "false"),
            ("1", "Nieuwe Kade", "22", "false"),
            ("2", "Verhaalstraat", "2", "true"),
        ],
    ),
    (
        "patient 3 was deleted and returned, patient 8 was deleted",
        """
        select h.bk, s.record_status, s._active
        from dv.patient_sat_record_status s join dv.patient_hub h using (_id)
        where h.bk in ('0000003', '0000008') order by h.bk, s._revision
        """,
        [
            ("0000003", "deleted", "false"),
            ("0000003", "active", "true"),
            ("0000008", "deleted", "true"),
        ],
    ),
    (
        "patient 4 stood twice in a file, and neither row was taken",
        """
        select phone, _active, _valid, _validation_msg from sor_his.patient_hstage
        where patient_number = '0000004' order by _id
        """,
        [
            ("020-555 0004", "false", "true", None),
            ("020-555 0004", "false", "false", "key occurs more than once in the delivery"),
            ("020-555 9999", "false", "false", "key occurs more than once in the delivery"),
            ("020-555 4444", "true", "true", None),
        ],
    ),
    (
        "patients 1, 5, 11 and 12 as the vault shows them",
        """
        select bk, address_street, address_postcode, contact_phone_number, contact_mobile_number
        from dv.patient_view where bk in ('0000001', '0000005', '0000011', '0000012') order by bk
        """,
        [
            ("0000001", 'Lange Gang; hoek "Klein"', "1234AB", "0205550001", "0600550001"),
            ("0000005", "Verhaalstraat", "1234AC", "0205550005", "0600555555"),
            ("0000011", "Verhaalstraat", "1234AB", "0205550011", None),
            ("0000012", "Verhaalstraat", "1234AB", "0205550012", "0600550012"),
        ],
    ),
    (
        "the name of a patient of two sources comes from the hospital, patient 13's from billing",
        "select bk, name_last_name, insurance_insurer from dv.patient_view where bk in ('0000002', '0000013') order by bk",
        [("0000002", "Beemster", "Onderlinge Duinstad"), ("0000013", "MOLENAAR", "Zekerheid")],
    ),
    (
        "care track 2-1 went from D01 to D02 and back; 1-2 waited for D07",
        """
        select care_track_bk, practitioner_bk, status from dv.care_track_practitioner_view
        where care_track_bk in ('0000001-2', '0000002-1') order by 1, 2
        """,
        [("0000001-2", "D07", "active"), ("0000002-1", "D01", "active"), ("0000002-1", "D02", "ended")],
    ),
    (
        "a care track that ends before it starts is marked",
        "select h.bk, s._valid, s._validation_msg from dv.care_track_sat s join dv.care_track_hub h using (_id) "
        "where s._active and not s._valid",
        [("0000011-1", "false", "Care track ends before it starts")],
    ),
    (
        "results of the story's lab orders: mended, withdrawn, corrected, given later",
        """
        select order_number, analyte_code, value, is_withdrawn from dm.fact_lab_result
        where order_number in ('L0000001', 'L0000002', 'L0000003', 'L0000007') order by 1, 2
        """,
        [
            ("L0000001", "GLU", "5.4", "false"),
            ("L0000001", "K", "4.1", "true"),
            ("L0000001", "NA", "141", "false"),
            ("L0000002", "CRP", "7.1", "false"),
            ("L0000007", "TSH", "2.2", "false"),
        ],
    ),
    (
        "what still waits at the end",
        "select mapping, role, missing_bk from sys.waiting_references where resolved_runid is null",
        [("result_hstage -> LabResult", "analyte", "XYZ")],
    ),
    (
        "what waited and has arrived",
        """
        select role, missing_bk from sys.waiting_references
        where resolved_runid is not null group by role, missing_bk order by role, missing_bk
        """,
        [("patient", "0000006"), ("patient", "0000007"), ("practitioner", "D07")],
    ),
    (
        "what is still rejected at the end, by a validation or by a mapping",
        """
        select 'patient ' || patient_number, _validation_msg from sor_his.patient_hstage where _active and not _valid
        union all
        select mapping, 'a value that cannot be cast' from sys.rejected_rows where freed_runid is null
        order by 1
        """,
        [
            ("patient 0000012", "Invalid postcode"),
            ("result_hstage -> LabResult", "a value that cannot be cast"),
        ],
    ),
    (
        "each rejected row stands once",
        """
        select table_name, message, count(*)
        from sor_his._exceptions group by 1, 2 order by 1, 2
        """,
        [
            ("patient_hstage", "Invalid postcode", "2"),
            ("patient_hstage", "Policy number of more than one patient", "2"),
            ("patient_hstage", "key occurs more than once in the delivery", "2"),
        ],
    ),
    (
        "the tariff that went up on the first of February has both periods",
        "select ingangsdatum, einddatum, amount from valset.tariff where code = 'T02' and _active order by 1",
        [("2025-01-01", "2026-01-31", "42.50"), ("2026-02-01", None, "45.00")],
    ),
    (
        "the new column is there, for those who have a value in it",
        "select count(*) filter (where email is not null) from sor_his.patient_hstage where _active",
        [("31",)],
    ),
    (
        "the sum of all results",
        "select sum(value) from dm.fact_lab_result",
        [("41081.85",)],
    ),
    (
        "turnover per insurer and month",
        "select insurer, month, invoices, invoiced, paid from dm.turnover order by insurer, month",
        [
            ("De Eerste Zorg", "2026-01", "164", "74055.13", "21700.28"),
            ("De Eerste Zorg", "2026-02", "167", "69903.48", "0"),
            ("Onderlinge Duinstad", "2026-01", "165", "72952.65", "20010.26"),
            ("Onderlinge Duinstad", "2026-02", "168", "79717.65", "0"),
            ("Zekerheid", "2026-01", "164", "74121.88", "21651.47"),
            ("Zekerheid", "2026-02", "168", "76939.95", "0"),
        ],
    ),
    (
        "patients by what became of them",
        "select is_registered, count(*) from dm.dim_patient group by 1 order by 1",
        [("false", "32"), ("true", "1031")],
    ),
    (
        "the hooks' logbook",
        "select delivered_for, patients, rejected from sor_his.logbook order by 1",
        [
            ("2026-01-29", "1011", "0"),
            ("2026-01-30", "1011", "1"),
            ("2026-01-31", "1015", "3"),
            ("2026-02-01", "1020", "2"),
            ("2026-02-02", "1026", "1"),
            ("2026-02-03", "1031", "1"),
        ],
    ),
)


def problems(warehouse_url: str) -> list[str]:
    """Return what differs from the expected end state, a line each; an empty list means that all is right."""
    import psycopg2

    connection = psycopg2.connect(warehouse_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("set datestyle to 'ISO, YMD'; set timezone to 'UTC'")
            return [*_wrong_counts(cursor), *_wrong_answers(cursor)]
    finally:
        connection.close()


def _wrong_counts(cursor: object) -> Iterable[str]:
    for table, (rows, active) in ROWS.items():
        history = "" if active is None else ", count(*) filter (where _active)"
        counted = _ask(cursor, f"select count(*){history} from {table}")
        wanted: Rows = [tuple(str(number) for number in (rows, active) if number is not None)]
        if counted != wanted:
            names = "rows" if active is None else "rows, active"
            yield f"{table} has {_told(counted)} instead of {_told(wanted)} ({names})"


def _wrong_answers(cursor: object) -> Iterable[str]:
    for what, query, wanted in ANSWERS:
        given = _ask(cursor, query)
        if given != wanted:
            yield f"{what}: {_told(given)} instead of {_told(wanted)}"


def _ask(cursor: object, query: str) -> Rows | str:
    """The rows with every value as text; a database error as its first line."""
    import psycopg2

    try:
        cursor.execute(query)  # type: ignore[attr-defined]
        fetched = cursor.fetchall()  # type: ignore[attr-defined]
    except psycopg2.Error as error:
        cursor.connection.rollback()  # type: ignore[attr-defined]
        return str(error).splitlines()[0]
    return [tuple(_text(value) for value in row) for row in fetched]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(rows: Rows | str) -> str:
    if isinstance(rows, str):
        return f"an error ({rows})"
    return "; ".join(", ".join("null" if value is None else value for value in row) for row in rows) or "nothing"

"""The configs of the clinic in PyELT's keys."""

import os

general_config = {
    "schedule_interval": "0 2 * * *",
    "conn_dwh": "dwh",
    "data_root": os.environ.get("PYELT_DATA_ROOT", "data"),
    "create_views": True,
    "on_errors": "throw",
    "department": "own keys of a project are nobody's business",
}

his_config = {
    "description": "Patients, care tracks and staff from the hospital information system",
    "active": True,
    "source_path": "his",
    "sor_schema": "sor_his",
}
lab_config = {
    "description": "Orders and results from the laboratory's database",
    "source_connection": "lab",
    "default_schema": "lab",
    "sor_schema": "sor_lab",
}
billing_config = {
    "description": "Invoices from the billing bureau, once a month",
    "schedule": "monthly",
    "source_path": "billing",
    "sor_schema": "sor_billing",
}

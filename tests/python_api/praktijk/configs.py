import os

from pyelt.helpers.encrypt import SimpleEncrypt

general_config = {
    "log_path": "",
    "conn_dwh": "dwh",
    "debug": False,
    "ask_confirm_on_db_changes": False,
    "on_errors": "log",
    "datatransfer_path": "",
    "data_root": os.environ.get("PRAKTIJK_DATA", "/data"),
    "create_views": True,
}

praktijk_config = {
    "source_path": "praktijk",
    "sor_schema": "sor_praktijk",
    "description": "Wat de praktijk zelf bijhoudt",
    "aanlevering": "eigen sleutels van een project",
}

lab_config = {
    "source_connection": SimpleEncrypt.decode("sleutel", SimpleEncrypt.encode("sleutel", "lab")),
    "default_schema": "public",
    "source_path": "lab",
    "sor_schema": "sor_lab",
    "active": True,
    "schedule_interval": "0 4 * * 1",
}

archief_config = {"source_path": "archief", "active": False, "schedule": "@monthly"}

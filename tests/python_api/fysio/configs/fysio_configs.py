general_config = {
    "log_path": "/logs/",
    "ddl_log_path": "/logs/ddl/",
    "sql_log_path": "/logs/sql/",
    "conn_dwh": "dwh",
    "debug": False,
    "ask_confirm_on_db_changes": False,
    "on_errors": "throw",
    "datatransfer_path": "/tmp",
    "data_root": "/var/data",
    "create_views": True,
    "email_settings": {
        "send_mail_before_run": False,
        "send_log_mail_after_run": False,
        "from": "server <dwh@fysio.example>",
        "to": "beheer@fysio.example;",
        "subject": "PYELT RUN ",
        "msg": "Hierbij de log(s)",
    },
}

rooster_config = {"sor_schema": "sor_rooster"}

"""The demo: PostgreSQL, a whole Airflow and the sample project, started by one command and stopped by Ctrl-C."""

"""PyELT on Airflow: configs in, DAGs out, a Data Vault on PostgreSQL loaded every night."""

__version__ = "0.1.0"

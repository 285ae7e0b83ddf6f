"""Measures speed and memory: loads of a warehouse against a plain COPY and join, and Airflow's parsing of many DAGs."""

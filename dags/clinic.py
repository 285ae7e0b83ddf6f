from pyelt_provider.orchestration.factory import build_dags  # the Airflow DAGs of configs/clinic

globals().update(build_dags("clinic"))

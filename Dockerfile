# Airflow with this provider installed, for docker-compose.yaml and for whoever runs Airflow in containers.
ARG AIRFLOW_VERSION=3.3.2

FROM apache/airflow:${AIRFLOW_VERSION} AS wheel
COPY --chown=airflow:root pyproject.toml README.md LICENSE /tmp/project/
COPY --chown=airflow:root plugins /tmp/project/plugins
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheels /tmp/project

FROM apache/airflow:${AIRFLOW_VERSION}
ARG AIRFLOW_VERSION
# Airflow's own version is named again, so that no dependency of ours can ever change it.
RUN --mount=type=bind,from=wheel,source=/tmp/wheels,target=/tmp/wheels \
    pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" /tmp/wheels/*.whl
